/** What the simulated machine expects of the process it runs: the node's host, or a toy in the tests of the simulator. */
import type { EpochConfig } from '../../consensus/config.ts';
import type { Phase } from '../../consensus/core.ts';
import type { Block } from '../../ledger/block.ts';
import type { GovernanceState } from '../../ledger/governance/state.ts';
import type { KeyValueStore } from '../../ledger/store.ts';
import type { Chain } from '../../node/epoch-peers.ts';
import type { HostLog, HostSettings } from '../../node/host-options.ts';
import type { Address, Bytes, Hash } from '../../primitives/ids.ts';
import type { Validator } from '../../primitives/membership.ts';
import type { SubmitResult } from './clients.ts';
import type { SimClock } from './clock.ts';
import type { WalState } from './disk.ts';
import type { Channel } from './network.ts';
import type { Founding } from './setting.ts';

/** The machine, block, view or epoch that a line in the transcript says something of. */
export type About = {
  readonly machine?: number | undefined;
  readonly block?: Hash | undefined;
  readonly view?: number | undefined;
  readonly epoch?: number | undefined;
};

export type ProcessEnvironment = {
  /** Number of the machine. */
  readonly self: number;
  /** All machines by their number: the validators of epoch 0, then those that may join. */
  readonly machines: readonly Validator[];
  readonly chain: Chain;
  readonly founding: Founding;
  readonly incarnation: string;
  /** The log was begun after an earlier one was lost. */
  readonly afterLoss: boolean;
  /** Tells this start from all others. */
  readonly nonce: number;
  readonly wal: HostLog;
  readonly records: readonly Bytes[];
  readonly walState: WalState | 'empty';
  readonly store: KeyValueStore;
  readonly clock: SimClock;
  /** Runs a callback of this process later, unless it has died by then. */
  readonly after: (delayMs: number, callback: () => void) => void;
  readonly isDead: () => boolean;
  /** Runs a callback of this process soon. */
  readonly defer: (callback: () => void) => void;
  readonly settings: HostSettings;
  readonly send: (to: number, channel: Channel, payload: Bytes) => boolean;
  /** A consensus signature. */
  readonly sign: (digest: Bytes) => Bytes;
  readonly recover: (digest: Bytes, signature: Bytes) => Address | undefined;
  /** The validator key, which signs READYs and the transactions that carry them; none where epochs never end. */
  readonly validatorSecret: Bytes | undefined;
  /** Final blocks are gossiped. */
  readonly gossips: boolean;
  /** Something worth a line in the transcript. */
  readonly log: (name: string, text: string, about?: About) => void;
  /** A block was executed here that ends its epoch. */
  readonly onClosing: (block: Block) => void;
  /** A block is final here. */
  readonly onDeliver: (block: Block, proof: Bytes) => void;
};

/** Where a process is in the life of the chain. */
export type Standing = {
  readonly config: EpochConfig;
  /** Its index among the validators of that epoch, or -1. */
  readonly self: number;
  readonly phase: Phase;
};

export type SimProcess = {
  readonly onMessage: (from: number, channel: Channel, payload: Bytes) => void;
  readonly onConnected: (peer: number) => void;
  readonly tick: () => void;
  readonly submit: (raw: Bytes) => SubmitResult;
  /** Newest final block that is written. */
  readonly head: () => { readonly height: number; readonly hash: Hash };
  readonly account: (address: Address) => { readonly nonce: number; readonly balance: bigint } | undefined;
  /** The governance contract in the final state. */
  readonly governance: () => GovernanceState;
  readonly standing: () => Standing;
  /** Not asking its way after a start, nor without a right to sign. */
  readonly takesPart: () => boolean;
};

/** Starts a process on a machine: opened and ready to run, but not yet begun. */
export type OpenProcess = (environment: ProcessEnvironment) => Promise<SimProcess & { readonly start: () => void }>;
