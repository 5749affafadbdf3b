/** Memory of processes over a run: samples, and whether there is a slope in them. */
import type { Member } from '../e2e/members.ts';
import { residentBytes } from '../e2e/processes.ts';

const MIB = 1024 * 1024;
const SAMPLE_MS = 2000;
/** What a flat line may rise by: the collector's mood, caches that fill. */
const SLACK_BYTES = 64 * MIB;
const SLACK_SHARE = 0.3;

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? 0;
}

export type Slope = {
  readonly earlyMiB: number;
  readonly lateMiB: number;
  readonly highestMiB: number;
  readonly flat: boolean;
};

export class MemoryWatch {
  readonly #samples = new Map<string, number[]>();
  readonly #timer: NodeJS.Timeout;

  constructor(members: readonly Member[]) {
    this.#timer = setInterval(() => {
      for (const member of members) this.#sample(member);
    }, SAMPLE_MS);
  }

  #sample(member: Member): void {
    if (!member.isUp) return;
    const samples = this.#samples.get(member.name) ?? [];
    try {
      samples.push(residentBytes(member.pid));
    } catch {
      return; // It was killed just now.
    }
    this.#samples.set(member.name, samples);
  }

  /** The second quarter of the run, when all caches have been in use, against the last. */
  slope(member: Member): Slope {
    const samples = this.#samples.get(member.name) ?? [];
    const quarter = Math.floor(samples.length / 4);
    const early = median(samples.slice(quarter, 2 * quarter));
    const late = median(samples.slice(-Math.max(1, quarter)));
    const inMiB = (bytes: number): number => Math.round(bytes / MIB);
    return {
      earlyMiB: inMiB(early),
      lateMiB: inMiB(late),
      highestMiB: inMiB(Math.max(0, ...samples)),
      flat: late <= early * (1 + SLACK_SHARE) + SLACK_BYTES,
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
