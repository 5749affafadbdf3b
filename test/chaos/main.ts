/**
 * `npm run chaos`: real validators under random SIGKILL, SIGSTOP, cut lines and restarts, with constant load. Checked over
 * JSON-RPC alone: nothing acknowledged is lost, what was final stays, all agree, service comes back; and memory stays flat.
 *
 *   npm run chaos -- --minutes 30                  the long run
 *   npm run chaos -- --minutes 5 --validators 5    more validators
 *   npm run chaos -- --seed N                      the same troubles in the same order; when they strike is chance
 *
 * The last line is JSON. Exit code 1 means that something did not hold.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type RelayedNetwork, relayedNetwork } from '../e2e/network.ts';
import { beginLoad, endLoad, type UnderLoad, untilMoreBlocks } from '../e2e/under-load.ts';
import { makeRandom } from '../fuzz/random.ts';
import { MemoryWatch } from './memory.ts';
import { Troubles } from './troubles.ts';

const PAUSE_LEAST_MS = 1000;
const PAUSE_MOST_MS = 8000;
/** A quiet moment now and then, as in life; service must be back within it. */
const CALM_EVERY = 10;
const SERVICE_BACK_MS = 60_000;
const LAST_CHECK_MS = 600_000;
/** The rest are transfers behind one that a dead node holds, and calls to a node that is about to stop. */
const ORDINARY = /behind a nonce gap|is stopping/;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function wholeNumber(text: string | undefined, name: string, fallback: number): number {
  if (text === undefined) return fallback;
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  say(`--${name} takes a whole number above 0, not ${text}`);
  process.exit(2);
}

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, validators: { type: 'string' }, seed: { type: 'string' } },
});
const minutes = wholeNumber(values.minutes, 'minutes', 10);
const validators = wholeNumber(values.validators, 'validators', 3);
const seed = wholeNumber(values.seed, 'seed', randomInt(1, 2 ** 29));

/** How long it took each time until a block was final after everything was healed. */
async function calm({ watch }: UnderLoad, troubles: Troubles): Promise<number> {
  await troubles.end();
  const from = performance.now();
  await untilMoreBlocks(watch, 3, SERVICE_BACK_MS);
  return watch.resumedAfterMs(from)!;
}

async function chaos(relayed: RelayedNetwork, run: UnderLoad): Promise<Record<string, unknown>> {
  const { network } = relayed;
  const random = makeRandom(seed);
  const spared = random(validators);
  const memory = new MemoryWatch(network.members);
  const troubles = new Troubles(relayed, { random, spared });
  const startedAt = performance.now();
  const backAfterMs: number[] = [];
  try {
    for (let count = 1; performance.now() < startedAt + minutes * 60_000; count++) {
      const trouble = troubles.begin();
      say(
        `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  block ${run.watch.height}  ${trouble}`,
      );
      await sleep(PAUSE_LEAST_MS + random(PAUSE_MOST_MS - PAUSE_LEAST_MS));
      if (count % CALM_EVERY === 0) backAfterMs.push(await calm(run, troubles));
    }
    backAfterMs.push(await calm(run, troubles));
  } finally {
    troubles.release();
    memory.stop();
  }
  const endedAt = performance.now();
  const chain = await endLoad({ rpcs: network.members.map(({ rpc }) => rpc) }, run, LAST_CHECK_MS);
  const { refusals, sent } = run.load;
  const odd = refusals.filter((reason) => !ORDINARY.test(reason));
  const slope = memory.slope(network.members[spared]!);
  const others = network.members.map((member) => memory.slope(member).highestMiB);
  return {
    seed,
    minutes,
    validators,
    troubles: Object.fromEntries(troubles.counts),
    blocks: chain.length,
    acknowledged: sent,
    lost: 0,
    longestWithoutBlockMs: Math.round(run.watch.longestGapMs(startedAt, endedAt)),
    serviceBackMs: backAfterMs.map(Math.round),
    refusals: refusals.length,
    oddRefusals: [...new Set(odd)].slice(0, 10),
    memory: { neverKilled: slope, highestMiB: others },
    passed: odd.length === 0 && slope.flat,
  };
}

say(`seed ${seed}, ${validators} validators, ${minutes} minutes`);
const relayed = await relayedNetwork({ validators });
let run: UnderLoad | undefined;
try {
  await relayed.network.start(...relayed.network.members.keys());
  run = await beginLoad(relayed.network, { count: 8, everyMs: 100 });
  const result = await chaos(relayed, run);
  process.exitCode = result['passed'] === true ? 0 : 1;
  say(JSON.stringify(result));
} catch (error) {
  process.exitCode = 1;
  const message = error instanceof Error ? error.message : String(error);
  for (const { name, log } of relayed.network.members) say(`--- ${name}\n${log.slice(-4000)}`);
  say(
    JSON.stringify({
      seed,
      minutes,
      validators,
      passed: false,
      failure: message,
      contradictions: run?.watch.contradictions,
    }),
  );
} finally {
  await run?.load.stop();
  await run?.watch.stop();
  await relayed.stop();
}
