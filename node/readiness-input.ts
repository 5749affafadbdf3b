/** What a node knows of itself that decides whether it may call itself ready (consensus.md section 7). */
import { faultThreshold } from '../consensus/config.ts';
import type { Durable } from '../consensus/durable.ts';
import type { ReplicaStatus } from '../consensus/replica.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Standing } from './readiness.ts';

type Here = {
  readonly ledger: Ledger;
  readonly info: EpochInfo;
  readonly durable: Durable;
  readonly self: number;
  /** The log is beyond the epoch that is followed. */
  readonly isPast: boolean;
  readonly status: ReplicaStatus;
};

export function readinessOf({ ledger, info, durable, self, isPast, status }: Here): Standing {
  const { peers, suspicionMs } = status;
  const heard = [...peers.values()].filter(({ isKnown, sinceHeardMs }) => isKnown && sinceHeardMs <= suspicionMs);
  // A liar may boast: of t peers it does not count what they say they have.
  const ahead = heard.filter(({ final }) => final > ledger.head.height).length;
  return {
    governance: ledger.governanceAfter(ledger.head.hash),
    epoch: info.epoch,
    head: ledger.head,
    caughtUp: !isPast && heard.length > ahead && ahead <= faultThreshold(info.members.length),
    forgot: self >= 0 && durable.forgot && !durable.rolledBack,
  };
}
