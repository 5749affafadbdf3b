/**
 * A chain with governance in this process, served by the real backend over HTTP: every transaction becomes a final block at
 * once, its proof signed with the keys of the validators of its epoch. Network and host are stand-ins: who is in touch is
 * what a test says.
 */
import { encodeCertificate } from '../../consensus/certificate-codec.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type { Certificate } from '../../consensus/message.ts';
import { sealDigest, sealType } from '../../consensus/statement.ts';
import { genesisText } from '../../genesis/create.ts';
import type { Genesis } from '../../genesis/genesis.ts';
import { parseGenesis } from '../../genesis/parse.ts';
import { encodeCall, FUNCTIONS, UNCHANGED_POLICY } from '../../ledger/governance/abi.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { MemoryStore } from '../../ledger/memory-store.ts';
import { Pool } from '../../ledger/pool.ts';
import { decodeTransaction } from '../../ledger/transaction.ts';
import { NodeBackend } from '../../node/backend.ts';
import { chainOf, chainRules, genesisInput } from '../../node/chain.ts';
import { epochConfig } from '../../node/epoch-peers.ts';
import { EvidenceShelf } from '../../node/evidence-shelf.ts';
import { Followers } from '../../node/followers.ts';
import type { Host } from '../../node/host.ts';
import type { SubmitResult } from '../../node/rpc/backend.ts';
import { RpcServer } from '../../node/rpc/server.ts';
import { peerIdOfNodeKey } from '../../p2p/peers.ts';
import type { Transport } from '../../p2p/transport.ts';
import { EMPTY, hexBytes, toHex, utf8 } from '../../primitives/bytes.ts';
import { type Address, type Bytes, GOVERNANCE_ADDRESS } from '../../primitives/ids.ts';
import { keccak256 } from '../../primitives/keccak.ts';
import { readyDigest } from '../../primitives/ready.ts';
import { privateKeyAddress, publicKey, sign } from '../../primitives/secp256k1.ts';
import { signTransaction } from '../../primitives/sign-transaction.ts';

export type Member = {
  readonly validator: Address;
  readonly nodeKey: string;
  readonly operator: Address;
  readonly multiaddr: string;
  readonly peerId: string;
  readonly validatorSecret: Bytes;
  readonly operatorSecret: Bytes;
  /** As QUORATE_PRIVATE_KEY takes it. */
  readonly operatorKey: string;
};

const INCARNATION = '0x' + '0a'.repeat(16);
const GAS = 1_000_000;

/** The n-th member; the first ones found the chain. */
export function member(n: number): Member {
  const secret = (role: string) => keccak256(utf8(`${role} ${n}`));
  const nodeKey = toHex(publicKey(secret('node')));
  return {
    validator: privateKeyAddress(secret('validator')),
    nodeKey,
    operator: privateKeyAddress(secret('operator')),
    multiaddr: `/ip4/10.0.0.${n + 1}/tcp/30300`,
    peerId: peerIdOfNodeKey(nodeKey)!,
    validatorSecret: secret('validator'),
    operatorSecret: secret('operator'),
    operatorKey: toHex(secret('operator')),
  };
}

/** What `key show --descriptor` says of it. */
export function descriptorOf({ validator, nodeKey, operator, multiaddr }: Member) {
  return { validator, nodeKey, operator, multiaddr };
}

export class GovernedChain {
  /** What peers that are no validators asked for, as the host remembers it. */
  readonly followers = new Followers();
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  readonly backend: NodeBackend;
  /** Validators out of touch, and how far the others are; a missing one is at the head. */
  readonly unreachable = new Set<Address>();
  readonly finals = new Map<Address, number>();
  /** Peer ids in touch besides the validators. */
  readonly connected = new Set<string>();

  readonly bugs: unknown[] = [];
  /** Whose node this is. */
  self: Member = member(0);
  #server: RpcServer | undefined;

  private constructor(genesis: Genesis, ledger: Ledger) {
    this.genesis = genesis;
    this.ledger = ledger;
    const pool = new Pool({
      ...chainRules(genesis),
      account: (address) => ledger.account(address, { final: true }),
      now: Date.now,
    });
    const transport = { connected: () => [...this.connected] };
    Object.defineProperty(transport, 'self', { get: () => this.self.peerId });
    this.backend = new NodeBackend({
      genesis,
      ledger,
      pool,
      evidence: new EvidenceShelf(() => undefined),
      host: () => this.#host(),
      transport: transport as unknown as Transport,
      clientVersion: 'test',
      snapshot: () => undefined,
      submit: (raw) => this.submit(raw) as unknown as SubmitResult,
    });
  }

  static async start(founders = 3, more: Record<string, unknown> = {}): Promise<GovernedChain> {
    const validators = Array.from({ length: founders }, (_, n) => member(n)).map(
      ({ validator, nodeKey, operator, multiaddr }) => ({ validator, nodeKey, operator, addresses: [multiaddr] }),
    );
    const genesis = parseGenesis({ version: 1, chainId: 1337, timestamp: 1_750_000_000, validators, ...more });
    const ledger = await Ledger.open({
      store: new MemoryStore(),
      ...chainRules(genesis),
      genesis: genesisInput(genesis),
    });
    const chain = new GovernedChain(genesis, ledger);
    chain.#server = await RpcServer.start({
      backend: chain.backend,
      host: '127.0.0.1',
      port: 0,
      onBug: (method, error) => chain.bugs.push({ method, error }),
    });
    return chain;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server!.port}`;
  }

  get genesisText(): string {
    return genesisText(this.genesis);
  }

  get head(): number {
    return this.ledger.head.height;
  }

  /** Members of the present epoch, with their keys. */
  get members(): Member[] {
    const { members } = this.ledger.epochAfter(this.ledger.head.hash);
    return members.map(({ validator }) => ALL.find((known) => known.validator === validator)!);
  }

  #host(): Host {
    const epoch = this.ledger.epochAfter(this.ledger.head.hash);
    const { height, hash } = this.ledger.head;
    const peers = epoch.members.flatMap(({ validator }, index) => {
      const peer = {
        sinceHeardMs: this.unreachable.has(validator) ? 60_000 : 0,
        view: 0,
        final: this.finals.get(validator) ?? height,
      };
      return index === 0 ? [] : [[index, peer] as const];
    });
    const status = {
      phase: 'running',
      epoch: epoch.epoch,
      view: 0,
      group: makeSchedule(epoch.members.length).groupOf(0),
      installed: true,
      final: { height, hash },
      head: { view: 0, height, hash },
      peers: new Map(peers),
      suspicionMs: 1000,
      proven: new Map(),
      suspectedBy: new Map(),
    };
    // Those in touch are linked.
    for (const { validator, peerId } of this.members) {
      if (this.unreachable.has(validator)) this.connected.delete(peerId);
      else this.connected.add(peerId);
    }
    return { epoch, self: 0, status, followers: this.followers } as unknown as Host;
  }

  /** Makes a final block of one transaction. */
  async submit(raw: Bytes): Promise<SubmitResult> {
    const decoded = decodeTransaction(raw, { chainId: this.genesis.chainId });
    if (!decoded.ok) return { code: -32000, message: decoded.message };
    const { block } = this.ledger.build({
      parent: this.ledger.head.hash,
      timeMs: Date.now(),
      miner: this.members[0]!.operator,
      candidates: [decoded.transaction],
      bytesMax: 1_000_000,
      transactionsMax: 10,
    });
    if (block.transactions.length === 0) return { code: -32000, message: 'the block refused it' };
    this.ledger.setTip(block.hash);
    const proof = encodeCertificate(this.certify(block.header.number, block.hash));
    await new Promise<void>((resolve, reject) => {
      this.ledger.commit(block.hash, proof, (error) => (error ? reject(error) : resolve()));
    });
    return { hash: decoded.transaction.hash };
  }

  /** A finality proof by the group of view 0 of the present epoch. */
  certify(height: number, hash: string): Certificate {
    const info = this.ledger.epochAfter(this.ledger.head.hash);
    const config = epochConfig(chainOf(this.genesis, this.ledger.genesisHash), info);
    const group = makeSchedule(info.members.length).groupOf(0);
    const about = { kind: 'FP' as const, epoch: info.epoch, view: 0, viewCertificate: '', height, hash };
    const { members } = this;
    const seals = group.map((signer, place) => {
      const seal = { signer, incarnation: INCARNATION, signature: EMPTY };
      const digest = sealDigest(config, about, sealType('FP', place, group.length), seal);
      return { ...seal, signature: sign(digest, members[signer]!.validatorSecret) };
    });
    return { ...about, seals };
  }

  async #send(secret: Bytes, to: Address, data: string): Promise<{ status: number }> {
    const nonce = this.ledger.account(privateKeyAddress(secret), { final: true })?.nonce ?? 0;
    const fees = { maxPriorityFeePerGas: 0n, maxFeePerGas: 0n };
    const fields = { chainId: this.genesis.chainId, nonce, gasLimit: GAS, to, value: 0n, data, ...fees };
    const { raw, hash } = signTransaction(fields, secret);
    const result = await this.submit(hexBytes(raw));
    if (!('hash' in result)) throw new Error(result.message);
    const { block, index } = this.ledger.transactionByHash(hash)!;
    return { status: this.ledger.receipts(block.hash)![index]!.status };
  }

  /** Ordinary blocks: transfers of nothing. */
  async extend(blocks: number): Promise<void> {
    for (let i = 0; i < blocks; i++) await this.#send(member(0).operatorSecret, member(0).operator, '0x');
  }

  async propose(
    by: Member,
    change: { add?: Member[]; remove?: Member[]; replace?: [Member, Member][] },
  ): Promise<number> {
    const id = this.ledger.governance({ final: true }).nextId;
    const data = encodeCall(FUNCTIONS.propose, {
      additions: (change.add ?? []).map(descriptorOf),
      removals: (change.remove ?? []).map(({ validator }) => validator),
      replacements: (change.replace ?? []).map(([{ validator }, next]) => ({ validator, by: descriptorOf(next) })),
      policy: UNCHANGED_POLICY,
    });
    const { status } = await this.#send(by.operatorSecret, GOVERNANCE_ADDRESS, toHex(data));
    if (status !== 1) throw new Error('the proposal was refused');
    return id;
  }

  async vote(by: Member, id: number, approve = true): Promise<void> {
    const data = encodeCall(FUNCTIONS.vote, { id, approve });
    const { status } = await this.#send(by.operatorSecret, GOVERNANCE_ADDRESS, toHex(data));
    if (status !== 1) throw new Error('the vote was refused');
  }

  /** The validator's word that it is ready; of a present member, the request of a same-set epoch. */
  async ready(who: Member, incarnation = INCARNATION): Promise<void> {
    const { ledger } = this;
    const { height, hash } = ledger.head;
    const { epoch } = ledger.governance({ final: true });
    const said = { validator: who.validator, height, hash, incarnation };
    const digest = readyDigest({ chainId: this.genesis.chainId, genesisHash: ledger.genesisHash, epoch, ...said });
    const data = encodeCall(FUNCTIONS.ready, { ...said, signature: toHex(sign(digest, who.validatorSecret)) });
    const { status } = await this.#send(who.validatorSecret, GOVERNANCE_ADDRESS, toHex(data));
    if (status !== 1) throw new Error('the READY was refused');
  }

  async call<T = unknown>(method: string, ...params: unknown[]): Promise<T> {
    const answer = await this.rpc(method, ...params);
    if (answer.error !== undefined) throw new Error(`${answer.error.code} ${answer.error.message}`);
    return answer.result as T;
  }

  async rpc(
    method: string,
    ...params: unknown[]
  ): Promise<{ result?: unknown; error?: { code: number; message: string } }> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(this.url, { method: 'POST', headers, body });
    return (await response.json()) as { result?: unknown; error?: { code: number; message: string } };
  }
}

const ALL = Array.from({ length: 12 }, (_, n) => member(n));
