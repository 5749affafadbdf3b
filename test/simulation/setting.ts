/** What all runs of one kind share: keys, block 0 and a store that holds it. Made once per process. */
import { Ledger } from '../../ledger/ledger.ts';
import { fromHex } from '../../primitives/bytes.ts';
import type { Hash } from '../../primitives/ids.ts';
import type { Validator } from '../../primitives/membership.ts';
import { DEFAULT_POLICY, type Policy } from '../../primitives/policy.ts';
import { WALL_START_MS } from './clock.ts';
import { cheapKeys, type Keys, membersOf, realKeys } from './keys.ts';
import { machineCount, type Options } from './options.ts';
import type { OpenProcess } from './process.ts';
import { SimStoreDisk } from './store.ts';
import { BASE_FEE, CHAIN_ID, decode, FUNDED, GAS_LIMIT, START_BALANCE } from './transactions.ts';

/** A kind of process to simulate, and what all its runs of one kind share. */
export type Platform = {
  readonly open: OpenProcess;
  readonly shared: (options: Options) => Promise<Shared>;
};

/** What block 0 says of validators. */
export type Founding = { readonly members: readonly Validator[]; readonly policy: Policy };

export type Shared = {
  readonly keys: Keys;
  readonly genesisHash: Hash;
  readonly founding: Founding;
  /** The founders, then those that may be taken in. */
  readonly machines: readonly Validator[];
  readonly genesisStore: SimStoreDisk;
};

/** What a simulated validator opens its ledger with, beside the store. */
export function ledgerOptions({ members, policy }: Founding) {
  return {
    chainId: CHAIN_ID,
    gasLimit: GAS_LIMIT,
    baseFee: BASE_FEE,
    judgeEvidence: undefined,
    decode,
    genesis: {
      extraData: fromHex('0x' + '51'.repeat(32))!,
      validators: members,
      policy,
      timestamp: Math.floor(WALL_START_MS / 1000) - 86_400,
      alloc: new Map(FUNDED.map((address) => [address, START_BALANCE])),
    },
  };
}

type Kind = { readonly founders: number; readonly machines: number; readonly policy: Policy; readonly real: boolean };

async function makeShared({ founders, machines, policy, real }: Kind): Promise<Shared> {
  const founding = { members: membersOf(founders), policy };
  const genesisStore = new SimStoreDisk();
  const store = genesisStore.open({ after: (_, run) => queueMicrotask(run), delayMs: () => 0, isDead: () => false });
  const ledger = await Ledger.open({ ...ledgerOptions(founding), store });
  const { genesisHash } = ledger;
  await ledger.close();
  const keys = real ? realKeys(machines) : cheapKeys(machines);
  return { keys, genesisHash, founding, machines: membersOf(machines), genesisStore };
}

const cache = new Map<string, Promise<Shared>>();

export function sharedSetting(options: Options): Promise<Shared> {
  const policy = options.epochs?.policy ?? DEFAULT_POLICY;
  const kind = { founders: options.validators, machines: machineCount(options), policy, real: options.realCrypto };
  const key = JSON.stringify(kind);
  let shared = cache.get(key);
  if (shared === undefined) {
    shared = makeShared(kind);
    cache.set(key, shared);
  }
  return shared;
}
