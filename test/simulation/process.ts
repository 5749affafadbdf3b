/** What the simulated machine expects of the process it runs: the node's host, or a toy in the tests of the simulator. */
import type { EpochConfig } from '../../consensus/config.ts';
import type { Block } from '../../ledger/block.ts';
import type { KeyValueStore } from '../../ledger/store.ts';
import type { HostSettings } from '../../node/host.ts';
import type { Address, Bytes, Hash } from '../../primitives/ids.ts';
import type { SubmitResult } from './clients.ts';
import type { SimClock } from './clock.ts';
import type { SimWal, WalState } from './disk.ts';
import type { Channel } from './network.ts';

export type ProcessEnvironment = {
  readonly self: number;
  readonly config: EpochConfig;
  readonly incarnation: string;
  /** Tells this start from all others. */
  readonly nonce: number;
  readonly wal: SimWal;
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
  readonly sign: (digest: Bytes) => Bytes;
  readonly recover: (digest: Bytes, signature: Bytes) => Address | undefined;
  /** Something worth a line in the transcript; `about`: the replica it says something of. */
  readonly log: (name: string, text: string, about?: number) => void;
  /** A block is final here. */
  readonly onDeliver: (block: Block, proof: Bytes) => void;
};

export type SimProcess = {
  readonly onMessage: (from: number, channel: Channel, payload: Bytes) => void;
  readonly onConnected: (peer: number) => void;
  readonly tick: () => void;
  readonly submit: (raw: Bytes) => SubmitResult;
  /** Newest final block that is written. */
  readonly head: () => { readonly height: number; readonly hash: Hash };
  readonly account: (address: Address) => { readonly nonce: number; readonly balance: bigint } | undefined;
};

/** Starts a process on a machine: opened and ready to run, but not yet begun. */
export type OpenProcess = (environment: ProcessEnvironment) => Promise<SimProcess & { readonly start: () => void }>;
