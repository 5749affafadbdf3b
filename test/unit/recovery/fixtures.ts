/**
 * Folders of stopped validators: keys, a chain that all of their keys have signed, and in each folder as much of it as a
 * test gives it, in the store or only in the log.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeCertificate } from '../../../consensus/certificate-codec.ts';
import type { DurableRecord } from '../../../consensus/durable.ts';
import { makeSchedule } from '../../../consensus/groups.ts';
import type { Certificate, Vote } from '../../../consensus/message.ts';
import { decodeRecord, encodeRecord } from '../../../consensus/record-codec.ts';
import { sealDigest, sealType } from '../../../consensus/statement.ts';
import type { Genesis } from '../../../genesis/genesis.ts';
import { parseGenesis } from '../../../genesis/parse.ts';
import type { Block } from '../../../ledger/block.ts';
import type { EpochInfo } from '../../../ledger/epoch-info.ts';
import { Ledger } from '../../../ledger/ledger.ts';
import { LevelStore } from '../../../ledger/level-store.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import type { KeyValueStore } from '../../../ledger/store.ts';
import { chainOf, chainRules, genesisInput } from '../../../node/chain.ts';
import { writeEmptyGuard } from '../../../node/data-dir.ts';
import { type Chain, epochConfig } from '../../../node/epoch-peers.ts';
import { writeKeyFile } from '../../../node/keystore.ts';
import { confirmRecovery, proposeRecovery, signRecovery } from '../../../node/recovery.ts';
import { loadRecoveries } from '../../../node/recovery-files.ts';
import type { RecoveryStatement } from '../../../node/recovery-statement.ts';
import { openValidatorLog } from '../../../node/validator-log.ts';
import { EMPTY, toHex } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { sign } from '../../../primitives/secp256k1.ts';
import { commit, KEYS, member, memberKeys, transfer } from '../ledger/fixtures.ts';

export const PASSWORD = 'recovery';
export const person = member;
export const addressOf = (n: number): string => member(n).validator;
export const secretOf = (n: number) => async (): Promise<Bytes> => memberKeys(n).validator.secret;

/** What a test puts into a folder. */
export type Holding = {
  /** Newest block in the store, with proofs of those that `proven` names. */
  readonly store?: number;
  readonly proven?: (height: number) => boolean;
  readonly log?: readonly DurableRecord[];
};

export class Network {
  readonly root: string;
  readonly genesis: Genesis;
  readonly chain: Chain;
  /** Block 1 first. */
  readonly blocks: Block[] = [];
  readonly #whole: Ledger;

  private constructor(root: string, genesis: Genesis, whole: Ledger) {
    this.root = root;
    this.genesis = genesis;
    this.chain = chainOf(genesis, whole.genesisHash);
    this.#whole = whole;
  }

  /** `addresses` by member. Founders have a folder each, named after their number. */
  static async create(
    root: string,
    { validators, height, addresses = {} }: { validators: number; height: number; addresses?: Record<number, string> },
  ): Promise<Network> {
    const founders = Array.from({ length: validators }, (_, n) => ({
      ...member(n),
      ...(addresses[n] !== undefined && { addresses: [addresses[n]] }),
    }));
    const alloc = Object.fromEntries(KEYS.map(({ address }) => [address, '1000000000000000000000']));
    const genesis = parseGenesis({ version: 1, chainId: 1337, timestamp: 1_750_000_000, validators: founders, alloc });
    const whole = await openOn(genesis, new MemoryStore());
    const network = new Network(root, genesis, whole);
    await network.grow(height);
    for (let n = 0; n < validators; n++) await network.makeFolder(n);
    return network;
  }

  at(name: number | string): string {
    return join(this.root, String(name));
  }

  /** A folder with the genesis, and with keys unless it is an observer's. */
  async makeFolder(name: number | string): Promise<string> {
    const folder = this.at(name);
    await mkdir(folder, { recursive: true });
    const { validators, alloc } = this.genesis;
    const text = { version: 1, chainId: 1337, timestamp: this.genesis.timestamp, validators };
    const amounts = Object.fromEntries([...alloc].map(([address, amount]) => [address, amount.toString()]));
    await writeFile(join(folder, 'genesis.json'), JSON.stringify({ ...text, alloc: amounts }));
    if (typeof name === 'string') return folder;
    const { validator, node, operator } = memberKeys(name);
    await writeEmptyGuard(folder, validator.address);
    await putKey(join(folder, 'node-key.json'), node.secret);
    await putKey(join(folder, 'validator-key.json'), validator.secret);
    await putKey(join(folder, 'operator.json'), operator.secret);
    return folder;
  }

  /** Blocks with a transfer each, on what is there. */
  async grow(to: number): Promise<void> {
    const ledger = this.#whole;
    for (let height = ledger.head.height + 1; height <= to; height++) {
      this.blocks.push(await extend(ledger, (block) => this.certify(block, 'FP')));
    }
  }

  block(height: number): Block {
    return this.blocks[height - 1]!;
  }

  /** What the group of a view made of a block of epoch 0. */
  certify(block: Block, kind: Certificate['kind'], view = 0): Certificate {
    return certify(this.chain, this.#whole.epochInfo(0)!, { block, kind, view });
  }

  /** The votes that make a certificate of a group of two, as the follower logs them. */
  votesOf(block: Block): DurableRecord[] {
    const { seals, kind: _, ...about } = this.certify(block, 'QC');
    return seals.map((seal, place) => {
      const vote: Vote = { kind: place === 0 ? 'PREPARE' : 'COMMIT', ...about, ...seal };
      return { kind: 'vote', vote };
    });
  }

  bodyOf(block: Block): DurableRecord {
    return { kind: 'block', hash: block.hash, height: block.header.number, bytes: block.bytes };
  }

  /** Fills a folder. */
  async hold(name: number | string, { store = 0, proven = () => true, log = [] }: Holding): Promise<void> {
    await this.withStore(name, async (ledger) => {
      for (let height = ledger.head.height + 1; height <= store; height++) {
        const block = this.block(height);
        const result = ledger.execute(block, undefined, {});
        if (!result.ok) throw new Error(result.detail);
        await commit(ledger, block.hash, proven(height) ? encodeCertificate(this.certify(block, 'FP')) : EMPTY);
      }
    });
    if (typeof name === 'number') await this.append(name, log);
  }

  async withStore<T>(name: number | string, run: (ledger: Ledger) => T | Promise<T>): Promise<T> {
    const store = await LevelStore.open(join(this.at(name), 'store'));
    try {
      const recoveries = (await loadRecoveries(this.at(name), this.chain)).map(({ recovery }) => recovery);
      const ledger = await openOn(this.genesis, store, recoveries);
      const result = await run(ledger);
      await ledger.close();
      return result;
    } finally {
      await store.close();
    }
  }

  async #withLog<T>(n: number, run: (log: Awaited<ReturnType<typeof openValidatorLog>>) => T | Promise<T>): Promise<T> {
    const { genesisHash } = this.chain;
    const fail = (error: unknown) => {
      throw error;
    };
    const opened = await openValidatorLog({
      dataDir: this.at(n),
      validator: addressOf(n),
      genesisHash,
      onFailure: fail,
    });
    const result = await run(opened);
    await opened.log.close();
    return result;
  }

  async append(n: number, records: readonly DurableRecord[]): Promise<void> {
    await this.#withLog(n, (opened) => {
      opened.log.append(records.map(encodeRecord), { sync: true });
    });
  }

  /** What a folder's log says, and under which life. */
  async logOf(n: number): Promise<{ records: DurableRecord[]; incarnation: string }> {
    return this.#withLog(n, ({ records, incarnation }) => ({ records: records.map(decodeRecord), incarnation }));
  }

  /** `quorate recover propose` on a folder. */
  async propose(
    name: number | string,
    removed: readonly number[],
    more: { added?: readonly number[]; force?: boolean; reason?: string } = {},
  ) {
    const { added = [], force = false, reason = 'the data centre burnt down' } = more;
    return proposeRecovery({
      dataDir: this.at(name),
      removed: removed.map(addressOf),
      added: added.map((n) => ({ ...member(n), multiaddr: `/ip4/10.0.0.${n}/tcp/30300` })),
      reason,
      force,
      secret: secretOf(Number(name)),
    });
  }

  sign(n: number, statement: RecoveryStatement): Promise<RecoveryStatement> {
    return signRecovery({ dataDir: this.at(n), statement, secret: secretOf(n) });
  }

  /** Proposed on the first of those who stay, signed by the rest, and confirmed by all. */
  async agree(stay: readonly number[], removed: readonly number[], added: readonly number[] = []) {
    const [first, ...rest] = [...stay, ...added];
    let { statement } = await this.propose(first!, removed, { added });
    for (const n of rest) statement = await this.sign(n, statement);
    return confirmAll(statement, [...stay, ...added]);
  }
}

/** Texts of key files, by key: a password takes its time. */
const keyTexts = new Map<string, string>();

async function putKey(path: string, secret: Bytes): Promise<void> {
  const known = keyTexts.get(toHex(secret));
  if (known !== undefined) return writeFile(path, known, { mode: 0o600 });
  await writeKeyFile(path, secret, PASSWORD, { strength: 'light', withPublicKey: true });
  keyTexts.set(toHex(secret), await readFile(path, 'utf8'));
}

export function confirmAll(statement: RecoveryStatement, members: readonly number[]): RecoveryStatement {
  return members.reduce((so, n) => confirmRecovery(so, memberKeys(n).operator.secret), statement);
}

type Opening = Parameters<typeof Ledger.open>[0]['recoveries'];

export function openOn(genesis: Genesis, store: KeyValueStore, recoveries: Opening = []): Promise<Ledger> {
  return Ledger.open({ store, ...chainRules(genesis), genesis: genesisInput(genesis), recoveries });
}

/** One more final block, with a transfer. */
export async function extend(ledger: Ledger, proofOf: (block: Block) => Certificate): Promise<Block> {
  const nonce = ledger.account(KEYS[0]!.address, { final: true })?.nonce ?? 0;
  const { block } = ledger.build({
    parent: ledger.head.hash,
    timeMs: 1_750_000_000_000 + ledger.head.height * 100,
    miner: member(0).operator,
    candidates: [transfer({ from: KEYS[0]!, nonce })],
    bytesMax: 1_000_000,
    transactionsMax: 10,
  });
  ledger.setTip(block.hash);
  await commit(ledger, block.hash, encodeCertificate(proofOf(block)));
  return block;
}

export function certify(
  chain: Chain,
  info: EpochInfo,
  { block, kind = 'FP', view = 0 }: { block: Block; kind?: Certificate['kind']; view?: number },
): Certificate {
  const group = makeSchedule(info.members.length).groupOf(view);
  const viewCertificate = view === 0 ? '' : '0x' + '33'.repeat(32);
  const about = { epoch: info.epoch, view, viewCertificate, height: block.header.number, hash: block.hash };
  const seals = group.map((signer, place) => {
    const n = Array.from({ length: 12 }, (_, i) => i).find((i) => addressOf(i) === info.members[signer]!.validator)!;
    const seal = { signer, incarnation: '0x' + '0a'.repeat(16), signature: EMPTY };
    const digest = sealDigest(epochConfig(chain, info), about, sealType(kind, place, group.length), seal);
    return { ...seal, signature: sign(digest, memberKeys(n).validator.secret) };
  });
  return { kind, ...about, seals };
}

export const hexOf = (certificate: Certificate): string => toHex(encodeCertificate(certificate));
