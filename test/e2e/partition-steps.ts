/** What every partition must leave as it was: service with those who can still reach each other, and back after healing. */
import { expect } from 'vitest';
import type { FinalWatch } from './final-watch.ts';
import type { Member } from './members.ts';
import { report, seconds } from './report.ts';
import { untilMoreBlocks } from './under-load.ts';
import { until } from './until.ts';

/** Issue 2: "service back within 10 s at worst". */
export const SERVICE_BACK_MS = 10_000;

export type Cut = {
  readonly what: string;
  readonly watch: FinalWatch;
  readonly cut: () => void | Promise<void>;
};

/** Cuts lines and waits for more final blocks; prints and returns how long there were none. */
export async function serviceGoesOn({ what, watch, cut }: Cut): Promise<void> {
  const cutAt = performance.now();
  await cut();
  await untilMoreBlocks(watch, 10);
  const gap = watch.longestGapMs(cutAt);
  report(`${what}: longest time without a final block ${seconds(gap)}`);
  expect(gap).toBeLessThan(SERVICE_BACK_MS);
}

type Heal = {
  readonly what: string;
  readonly watch: FinalWatch;
  readonly members: readonly Member[];
  readonly heal: () => void | Promise<void>;
};

/** Heals, and waits until new blocks are final and every node that is up has them. */
export async function serviceComesBack({ what, watch, members, heal }: Heal): Promise<void> {
  const healedAt = performance.now();
  await heal();
  await untilMoreBlocks(watch, 3);
  const resumed = watch.resumedAfterMs(healedAt)!;
  await untilAllHave(members, watch.height);
  report(
    `${what}, healed: next final block after ${seconds(resumed)}, all level after ${seconds(performance.now() - healedAt)}`,
  );
  expect(resumed).toBeLessThan(SERVICE_BACK_MS);
}

/** Waits until every node that is up has a block. */
export async function untilAllHave(members: readonly Member[], height: number): Promise<void> {
  for (const { name, rpc, isUp } of members) {
    if (!isUp) continue;
    await until(`${name} has block ${height}`, async () => {
      const own = await rpc.blockNumber(5000);
      if (own < height) throw new Error(`block ${own}`);
      return true;
    });
  }
}
