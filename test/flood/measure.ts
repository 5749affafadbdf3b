/** What a flood does to those who are flooded: their memory at its highest, and how long there was no final block. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FinalWatch } from '../e2e/final-watch.ts';
import type { Member } from '../e2e/members.ts';
import { residentBytes } from '../e2e/processes.ts';

export type Measured = {
  readonly sent: number;
  readonly highestBytes: number;
  readonly blocks: number;
  readonly gapMs: number;
};

const SAMPLE_MS = 200;

export async function measured(
  { members, watch }: { readonly members: readonly Member[]; readonly watch: FinalWatch },
  flood: () => Promise<number>,
): Promise<Measured> {
  let highestBytes = 0;
  let done = false;
  const sampling = (async () => {
    while (!done) {
      for (const { pid } of members) highestBytes = Math.max(highestBytes, residentBytes(pid));
      await sleep(SAMPLE_MS);
    }
  })();
  const [height, from] = [watch.height, performance.now()];
  try {
    const sent = await flood();
    return { sent, highestBytes, blocks: watch.height - height, gapMs: watch.longestGapMs(from) };
  } finally {
    done = true;
    await sampling;
  }
}
