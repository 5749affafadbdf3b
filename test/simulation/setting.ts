/** What all runs of one size share: keys, block 0 and a store that holds it. Made once per process. */
import { Ledger } from '../../ledger/ledger.ts';
import { fromHex } from '../../primitives/bytes.ts';
import type { Hash } from '../../primitives/ids.ts';
import { membershipHash, type Validator } from '../../primitives/membership.ts';
import { WALL_START_MS } from './clock.ts';
import { cheapKeys, type Keys, realKeys } from './keys.ts';
import type { OpenProcess } from './process.ts';
import { SimStoreDisk } from './store.ts';
import { ACCOUNTS, BASE_FEE, CHAIN_ID, decode, GAS_LIMIT, START_BALANCE } from './transactions.ts';

/** A kind of process to simulate, and what all its runs of one size share. */
export type Platform = {
  readonly open: OpenProcess;
  readonly shared: (n: number, realCrypto: boolean) => Promise<Shared>;
};

export type Shared = {
  readonly keys: Keys;
  readonly genesisHash: Hash;
  readonly membershipHash: Hash;
  readonly genesisStore: SimStoreDisk;
};

/** What a simulated validator opens its ledger with, beside the store. */
export function ledgerOptions(membership: Hash) {
  return {
    chainId: CHAIN_ID,
    gasLimit: GAS_LIMIT,
    baseFee: BASE_FEE,
    decode,
    genesis: {
      extraData: fromHex('0x' + '51'.repeat(32))!,
      mixHash: membership,
      timestamp: Math.floor(WALL_START_MS / 1000) - 86_400,
      alloc: new Map(ACCOUNTS.map((address) => [address, START_BALANCE])),
    },
  };
}

/** Hash of the validator list: each one its own operator, with a node key that nobody here uses. */
export function membershipOf(keys: Keys): Hash {
  const validators: Validator[] = keys.addresses.map((validator) => ({
    validator,
    nodeKey: '0x02' + validator.slice(2).padStart(64, '0'),
    operator: validator,
  }));
  return membershipHash(validators);
}

async function makeShared(n: number, realCrypto: boolean): Promise<Shared> {
  const keys = realCrypto ? realKeys(n) : cheapKeys(n);
  const membership = membershipOf(keys);
  const genesisStore = new SimStoreDisk();
  const store = genesisStore.open({ after: (_, run) => queueMicrotask(run), delayMs: () => 0, isDead: () => false });
  const ledger = await Ledger.open({ ...ledgerOptions(membership), store });
  const { genesisHash } = ledger;
  await ledger.close();
  return { keys, genesisHash, membershipHash: membership, genesisStore };
}

const cache = new Map<string, Promise<Shared>>();

export function sharedSetting(n: number, realCrypto: boolean): Promise<Shared> {
  const key = `${n} ${realCrypto}`;
  let shared = cache.get(key);
  if (shared === undefined) {
    shared = makeShared(n, realCrypto);
    cache.set(key, shared);
  }
  return shared;
}
