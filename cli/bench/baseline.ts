/**
 * The same machine's yardstick: how many senders one core recovers per second. Every validator recovers the sender of
 * every transaction once, so that a network on this machine cannot pass cores / (validators x one recovery).
 */
import { availableParallelism } from 'node:os';
import { uint64 } from '../../primitives/bytes.ts';
import { keccak256 } from '../../primitives/keccak.ts';
import { randomPrivateKey, recoverAddress, sign } from '../../primitives/secp256k1.ts';

const SAMPLES = 256;
const WARM_UP_MS = 200;
const MEASURED_MS = 1000;
/** The yardstick is that of the usual devnet, so that figures of different runs compare. */
const BASELINE_VALIDATORS = 3;

export type Baseline = { readonly recoveriesPerSecond: number; readonly cores: number; readonly ceilingTps: number };

/** Takes a little over a second of one core. */
export function measureBaseline(): Baseline {
  const key = randomPrivateKey();
  const digests = Array.from({ length: SAMPLES }, (_, i) => keccak256(uint64(i)));
  const signatures = digests.map((digest) => sign(digest, key));
  // Per second of processor time, which is what one core to itself would do, however busy the machine is.
  const roundsFor = (ms: number): number => {
    const start = process.cpuUsage();
    let done = 0;
    let spentMs = 0;
    while (spentMs < ms) {
      for (let i = 0; i < SAMPLES; i++) recoverAddress(digests[i]!, signatures[i]!);
      done += SAMPLES;
      const { user, system } = process.cpuUsage(start);
      spentMs = (user + system) / 1000;
    }
    return (done / spentMs) * 1000;
  };
  roundsFor(WARM_UP_MS);
  const recoveriesPerSecond = Math.round(roundsFor(MEASURED_MS));
  const cores = availableParallelism();
  return { recoveriesPerSecond, cores, ceilingTps: Math.round((cores * recoveriesPerSecond) / BASELINE_VALIDATORS) };
}
