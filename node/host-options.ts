/** What the host is given: the ports it works through. The node passes real ones, the simulator virtual ones. */
import type { Trace } from '../consensus/effect.ts';
import type { Certificate } from '../consensus/message.ts';
import type { Ports } from '../consensus/ports.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Pool } from '../ledger/pool.ts';
import type { TransactionResult } from '../ledger/transaction.ts';
import type { Channel } from '../p2p/transport.ts';
import type { Bytes, Epoch } from '../primitives/ids.ts';
import type { Timing } from '../primitives/timing.ts';
import type { Chain, Identity } from './epoch-peers.ts';
import type { EvidenceDesk } from './evidence-desk.ts';
import type { Readiness } from './readiness.ts';

/** What the host needs of the write-ahead log. */
export type HostLog = {
  append(records: readonly Bytes[], options: { readonly sync: boolean }): number;
  onDurable(listener: (sequence: number) => void): void;
  /** Begins to write what was appended, without waiting for more of it. */
  flush(): void;
  rotate(snapshot: readonly Bytes[]): number;
  readonly bytesSinceSnapshot: number;
};

export type HostSettings = {
  readonly batchBytesMax: number;
  readonly batchTransactionsMax: number;
  readonly maxDriftMs: number;
  readonly requestTimeoutMs: number;
  /** Bytes of log after which it is cut. */
  readonly logBytesMax: number;
};

export type HostOptions = {
  readonly chain: Chain;
  readonly identity: Identity;
  readonly incarnation: string;
  readonly signer: Pick<Ports, 'sign' | 'recover'>;
  readonly ledger: Ledger;
  readonly pool: Pool;
  readonly decodeTransaction: (raw: Bytes) => TransactionResult;
  readonly log: HostLog;
  /** Peers are named by their node keys. */
  readonly network: {
    readonly send: (to: string, channel: Channel, payload: Bytes) => boolean;
    /** To every peer in touch that is no validator of the present epoch. */
    readonly toObservers?: (channel: Channel, payload: Bytes) => void;
  };
  readonly clock: {
    readonly monotonicMs: () => number;
    readonly wallMs: () => number;
    /** Runs the callback soon, after what is already waiting. */
    readonly defer: (callback: () => void) => void;
  };
  readonly settings: HostSettings;
  /** Random number that tells this start's questions from an earlier one's. */
  readonly nonce: number;
  readonly onTrace: (trace: Trace) => void;
  /** A finality proof as it is delivered. */
  readonly onProof?: (proof: Certificate) => void;
  /** Where proven faults go, and are judged when they are about epochs that are over. */
  readonly evidence?: EvidenceDesk;
  /** Says on the chain that this node's validator key is ready, where it has one. */
  readonly readiness?: Pick<Readiness, 'check'>;
  /** An epoch begins here, or is the one this node comes back in; `self` is this node's index in it, or -1. */
  readonly onEpoch?: (info: EpochInfo, self: number, timing: Timing) => void;
  /** A peer speaks in an epoch that has not begun here. */
  readonly onLater?: (epoch: Epoch) => void;
};

/** How the log was found at a start. */
export type LogState = {
  /** False for an empty log and for one with a torn tail. */
  readonly clean: boolean;
  /** It was begun after an earlier one was lost: what the key promised before, in the epoch it began in, is not known. */
  readonly afterLoss: boolean;
};
