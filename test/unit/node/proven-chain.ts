/** A chain of three validators, built in this process: blocks with transfers, finality proofs signed with the real keys. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeCertificate } from '../../../consensus/certificate-codec.ts';
import { makeSchedule } from '../../../consensus/groups.ts';
import type { Certificate } from '../../../consensus/message.ts';
import { sealDigest, sealType } from '../../../consensus/statement.ts';
import { parseGenesis } from '../../../genesis/parse.ts';
import type { Block } from '../../../ledger/block.ts';
import type { EpochInfo } from '../../../ledger/epoch-info.ts';
import { encodeCall, FUNCTIONS, UNCHANGED_POLICY } from '../../../ledger/governance/abi.ts';
import { Ledger } from '../../../ledger/ledger.ts';
import { LevelStore } from '../../../ledger/level-store.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import type { KeyValueStore } from '../../../ledger/store.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { chainOf, chainRules, genesisInput } from '../../../node/chain.ts';
import { epochConfig } from '../../../node/epoch-peers.ts';
import { EMPTY } from '../../../primitives/bytes.ts';
import { type Bytes, GOVERNANCE_ADDRESS } from '../../../primitives/ids.ts';
import { sign } from '../../../primitives/secp256k1.ts';
import { rawGenesis } from '../genesis/fixture.ts';
import { commit, KEYS, transfer } from '../ledger/fixtures.ts';

export const RAW_GENESIS = {
  ...rawGenesis(3),
  alloc: Object.fromEntries(KEYS.map(({ address }) => [address, '1000000000000000000000'])),
};
export const GENESIS = parseGenesis(RAW_GENESIS);

/** The three founders, and one who comes later. */
const PEOPLE = rawGenesis(4).validators;

/** Private key of one of them. */
function secret(index: number, role: 'validator' | 'operator' = 'validator'): Bytes {
  const bytes = new Uint8Array(32);
  bytes[31] = 3 * index + (role === 'validator' ? 1 : 3);
  return bytes;
}

export async function openLedger(store: KeyValueStore = new MemoryStore()): Promise<Ledger> {
  return await Ledger.open({ store, ...chainRules(GENESIS), genesis: genesisInput(GENESIS) });
}

async function firstEpoch(): Promise<EpochInfo> {
  const ledger = await openLedger();
  return ledger.epochAfter(ledger.genesisHash);
}

type About = { readonly height: number; readonly hash: string };

/** What view 0's group, or other signers in their place, would have made of a block. */
export async function certify(
  about: About,
  kind: 'QC' | 'FP' = 'FP',
  signers?: readonly number[],
  within?: EpochInfo,
): Promise<Certificate> {
  const first = await firstEpoch();
  const { epoch, members } = within ?? first;
  const config = epochConfig(chainOf(GENESIS, first.root.hash), within ?? first);
  const group = makeSchedule(members.length).groupOf(0);
  const unsealed = { kind, epoch, view: 0, viewCertificate: '', ...about };
  const seals = group.map((signer, place) => {
    const seal = { signer, incarnation: '0x' + '0a'.repeat(16), signature: EMPTY };
    const digest = sealDigest(
      config,
      { ...unsealed, seals: [] } as Certificate,
      sealType(kind, place, group.length),
      seal,
    );
    const person = PEOPLE.findIndex(({ validator }) => validator === members[signer]!.validator);
    return { ...seal, signature: sign(digest, secret(signers?.[place] ?? person)) };
  });
  return { ...unsealed, seals } as Certificate;
}

export async function proofOf(block: Block, within?: EpochInfo): Promise<Bytes> {
  return encodeCertificate(await certify({ height: block.header.number, hash: block.hash }, 'FP', undefined, within));
}

/** The first founder leaves and the fourth person comes: two calls, each its sender's first. */
function changeOfMembers(): Transaction[] {
  const call = (index: number, data: Bytes): Transaction => {
    const from = { secret: secret(index, 'operator'), address: PEOPLE[index]!.operator };
    return transfer({ from, nonce: 0, to: GOVERNANCE_ADDRESS, value: 0n, gasLimit: 1_000_000, data });
  };
  const additions = [{ ...PEOPLE[3]!, multiaddr: '' }];
  const removals = [PEOPLE[0]!.validator];
  const proposal = { additions, removals, replacements: [], policy: UNCHANGED_POLICY };
  return [
    call(0, encodeCall(FUNCTIONS.propose, proposal)),
    call(1, encodeCall(FUNCTIONS.vote, { id: 1, approve: true })),
  ];
}

export type ChainOptions = {
  readonly proven?: (height: number) => boolean;
  readonly value?: bigint;
  /** Height of the block that ends epoch 0. */
  readonly closing?: number;
};

/** Adds blocks with a transfer each; those of `proven` get a proof. */
export async function extendChain(
  ledger: Ledger,
  to: number,
  { proven = () => true, value = 1n, closing }: ChainOptions = {},
): Promise<void> {
  const [from, receiver] = [KEYS[0]!, KEYS[1]!];
  for (let height = ledger.head.height + 1; height <= to; height++) {
    const epoch = ledger.epochAfter(ledger.head.hash);
    const payment = transfer({ from, nonce: height - 1, to: receiver.address, value });
    const { block } = ledger.build({
      parent: ledger.head.hash,
      timeMs: GENESIS.timestamp * 1000 + height * 100,
      miner: GENESIS.validators[0]!.operator,
      candidates: height === closing ? [payment, ...changeOfMembers()] : [payment],
      bytesMax: 1_000_000,
      transactionsMax: 100,
    });
    await commit(ledger, block.hash, proven(height) ? await proofOf(block, epoch) : EMPTY);
  }
}

/** A data folder of a stopped node with this genesis and, when given, blocks. */
export async function makeDataDir(path: string, to = 0, options: ChainOptions = {}): Promise<string> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'genesis.json'), JSON.stringify(RAW_GENESIS));
  if (to > 0) await withStore(path, (ledger) => extendChain(ledger, to, options));
  return path;
}

/** Runs with the ledger of a data folder. */
export async function withStore<T>(path: string, run: (ledger: Ledger) => T | Promise<T>): Promise<T> {
  const store = await LevelStore.open(join(path, 'store'));
  try {
    const ledger = await openLedger(store);
    const result = await run(ledger);
    await ledger.close();
    return result;
  } finally {
    await store.close();
  }
}
