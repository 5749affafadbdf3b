/** A chain of three validators, built in this process: blocks with transfers, finality proofs signed with the real keys. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeCertificate } from '../../../consensus/certificate-codec.ts';
import { makeSchedule } from '../../../consensus/groups.ts';
import type { Certificate } from '../../../consensus/message.ts';
import { sealDigest, sealType } from '../../../consensus/statement.ts';
import { parseGenesis } from '../../../genesis/parse.ts';
import type { Block } from '../../../ledger/block.ts';
import { Ledger } from '../../../ledger/ledger.ts';
import { LevelStore } from '../../../ledger/level-store.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import type { KeyValueStore } from '../../../ledger/store.ts';
import { chainRules, epochConfig, genesisInput } from '../../../node/chain.ts';
import { EMPTY } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { sign } from '../../../primitives/secp256k1.ts';
import { rawGenesis } from '../genesis/fixture.ts';
import { commit, KEYS, transfer } from '../ledger/fixtures.ts';

export const RAW_GENESIS = {
  ...rawGenesis(3),
  alloc: Object.fromEntries(KEYS.map(({ address }) => [address, '1000000000000000000000'])),
};
export const GENESIS = parseGenesis(RAW_GENESIS);

/** Private key of a validator of `rawGenesis`. */
function secret(index: number): Bytes {
  const bytes = new Uint8Array(32);
  bytes[31] = 3 * index + 1;
  return bytes;
}

export async function openLedger(store: KeyValueStore = new MemoryStore()): Promise<Ledger> {
  return await Ledger.open({ store, ...chainRules(GENESIS), genesis: genesisInput(GENESIS) });
}

export async function configOf() {
  return epochConfig(GENESIS, (await openLedger()).genesisHash);
}

type About = { readonly height: number; readonly hash: string };

/** What view 0's group, or other signers in their place, would have made of a block. */
export async function certify(
  about: About,
  kind: 'QC' | 'FP' = 'FP',
  signers?: readonly number[],
): Promise<Certificate> {
  const config = await configOf();
  const group = makeSchedule(3).groupOf(0);
  const unsealed = { kind, epoch: 0, view: 0, viewCertificate: '', ...about };
  const seals = group.map((signer, place) => {
    const seal = { signer, incarnation: '0x' + '0a'.repeat(16), signature: EMPTY };
    const digest = sealDigest(
      config,
      { ...unsealed, seals: [] } as Certificate,
      sealType(kind, place, group.length),
      seal,
    );
    return { ...seal, signature: sign(digest, secret(signers?.[place] ?? signer)) };
  });
  return { ...unsealed, seals } as Certificate;
}

export async function proofOf(block: Block): Promise<Bytes> {
  return encodeCertificate(await certify({ height: block.header.number, hash: block.hash }));
}

/** Adds blocks with a transfer each; those of `proven` get a proof. */
export async function extendChain(
  ledger: Ledger,
  to: number,
  { proven = () => true, value = 1n }: { proven?: (height: number) => boolean; value?: bigint } = {},
): Promise<void> {
  const { membershipHash } = await configOf();
  const [from, receiver] = [KEYS[0]!, KEYS[1]!];
  for (let height = ledger.head.height + 1; height <= to; height++) {
    const block = ledger.build({
      parent: ledger.head.hash,
      timeMs: GENESIS.timestamp * 1000 + height * 100,
      epoch: 0,
      mixHash: membershipHash,
      miner: GENESIS.validators[0]!.operator,
      candidates: [transfer({ from, nonce: height - 1, to: receiver.address, value })],
      bytesMax: 1_000_000,
      transactionsMax: 100,
    });
    await commit(ledger, block.hash, proven(height) ? await proofOf(block) : EMPTY);
  }
}

/** A data folder of a stopped node with this genesis and, when given, blocks. */
export async function makeDataDir(
  path: string,
  to = 0,
  options: Parameters<typeof extendChain>[2] = {},
): Promise<string> {
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
