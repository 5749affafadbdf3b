/**
 * Validators far from each other: every line between them takes 100 ms one way, up to 20 ms more by chance. The chain
 * works, a block is final after so many round trips, and validators come and go with a short pause (issue 3: under three
 * round trips plus one view change).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fund, transfer, untilFinal } from '../e2e/accounts.ts';
import { makeChange, primaryOf } from '../e2e/changes.ts';
import { Governance } from '../e2e/governance.ts';
import { type RelayedNetwork, relayedNetwork } from '../e2e/network.ts';
import { report, seconds } from '../e2e/report.ts';
import { oneStory } from '../e2e/story.ts';
import { beginLoad, endLoad, type UnderLoad, untilMoreBlocks } from '../e2e/under-load.ts';
import { until } from '../e2e/until.ts';

oneStory();

const ONE_WAY_MS = 100;
const JITTER_MS = 20;
/** One way with the jitter, there and back. */
const ROUND_TRIP_MS = 2 * (ONE_WAY_MS + JITTER_MS);
const DELTA_MS = 1250;
/** What a loaded machine may add to what the lines take. */
const SLACK_MS = 1000;

let wan: RelayedNetwork;
let run: UnderLoad;
let viewChangeMs = 0;

beforeAll(async () => {
  wan = await relayedNetwork({ validators: 3, spare: 1, deltaMs: DELTA_MS });
  wan.mesh.shape({ delayMs: ONE_WAY_MS, jitterMs: JITTER_MS });
  await wan.network.start(0, 1, 2);
});

afterAll(async () => {
  await run?.load.stop();
  await run?.watch.stop();
  await wan?.stop();
});

test('a transfer is final after a few round trips, through any node', async () => {
  const { members, line } = wan.network;
  const primary = await primaryOf(members.slice(0, 3), members[0]!);
  const from = line.accounts[3]!;
  let nonce = 0;
  await untilFinal(
    members[0]!.rpc,
    await fund(members[0]!.rpc, [line.accounts[0]!], [from], { chainId: line.chainId, value: 1n }),
  );
  for (const member of members.slice(0, 3)) {
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const { raw, hash } = transfer(from, { chainId: line.chainId, nonce: nonce++, to: from.address, value: 1n });
      const sentAt = performance.now();
      await member.rpc.call('eth_sendRawTransaction', [raw]);
      await until('it is final', async () => (await member.rpc.call('eth_getTransactionReceipt', [hash])) !== null, {
        everyMs: 5,
      });
      times.push(performance.now() - sentAt);
    }
    times.sort((a, b) => a - b);
    const role = member === primary ? 'the primary' : (await member.status()).role;
    report(`latency through ${role}: median ${times[5]!.toFixed(0)} ms, slowest ${times[9]!.toFixed(0)} ms`);
    expect(times[5]!).toBeLessThan(4 * ROUND_TRIP_MS);
  }
});

test('the primary is killed: what a view change takes here', async () => {
  run = await beginLoad(wan.network, { count: 8, everyMs: 100 });
  const founders = wan.network.members.slice(0, 3);
  const primary = await primaryOf(founders, founders[0]!);
  const killedAt = performance.now();
  await primary.kill();
  await untilMoreBlocks(run.watch, 10);
  viewChangeMs = run.watch.longestGapMs(killedAt);
  report(`primary killed: longest time without a final block ${seconds(viewChangeMs)}`);
  await primary.start();
  await sleep(5000);
});

for (const step of ['3 to 4', '4 to 3'] as const) {
  test(`${step}: the hand-over takes less than three round trips plus one view change`, async () => {
    const { members } = wan.network;
    const [guest, founders] = [members[3]!, members.slice(0, 3)];
    const isJoin = step === '3 to 4';
    if (isJoin) {
      await guest.start();
      run.watch.follow(guest.rpc);
    }
    const governance = new Governance(members[0]!.rpc.url);
    const changed = await makeChange({
      what: `${step} on the WAN`,
      governance,
      watch: run.watch,
      change: isJoin ? { additions: [guest.seat] } : { removals: [guest.seat.validator] },
      approving: isJoin ? founders.slice(0, 2) : founders,
      after: isJoin ? members : founders,
      warm: isJoin ? [guest] : [],
    }).finally(() => governance.close());
    report(
      `${step}: gap ${seconds(changed.gapMs)}; three round trips ${seconds(3 * ROUND_TRIP_MS)}, a view change ${seconds(viewChangeMs)}`,
    );
    expect(changed.gapMs).toBeLessThan(3 * ROUND_TRIP_MS + viewChangeMs + SLACK_MS);
  });
}

test('nothing acknowledged is lost, and all agree', async () => {
  const chain = await endLoad(wan.network, run);
  report(`${run.load.sent} transfers in ${chain.length} blocks, ${run.load.refusals.length} refusals`);
  expect(run.load.refusals).toEqual([]);
});
