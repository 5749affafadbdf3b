/**
 * How long the rest may take once a majority is correct and in touch (reliability.md P28), by the number of validators and
 * of faulty ones. After a view change that fails somebody has a new suspicion (consensus.md section 4). In synchrony each of
 * these touches a faulty replica, and there are at most f(n-1) pairs with one. Suspicions from before may lead to a dead
 * end once: then all are forgotten and the count begins again.
 */
import type { Parameters } from '../../consensus/config.ts';

/** View changes at most until a view whose actives are all correct. */
export function viewChangesMax(validators: number, faulty: number): number {
  return 2 * (faulty * (validators - 1) + 1);
}

/** Each with its time-outs at the cap, and two for what was under way. */
export function progressBoundMs(parameters: Parameters, validators: number, faulty: number): number {
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = parameters;
  const timeout = Math.max(suspicionTimeoutMaxMs, suspicionTimeoutMs, 6 * deltaMs) + 10 * deltaMs;
  return (viewChangesMax(validators, faulty) + 2) * timeout;
}
