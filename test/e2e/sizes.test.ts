/** Networks of other sizes than three: each makes blocks, and survives what it promises to survive. */
import { afterEach, expect, test } from 'vitest';
import { transfer, untilFinal } from './accounts.ts';
import { agreedChain } from './agreement.ts';
import { Devnet } from './devnet.ts';
import { report, seconds } from './report.ts';
import { until } from './until.ts';

let devnet: Devnet | undefined;

afterEach(async () => {
  await devnet?.stop();
  devnet = undefined;
});

const nonces = new Map<Devnet, number>();

/** A transfer through every living node, final on all of them. */
async function sendThrough(net: Devnet, nodes: readonly number[]): Promise<void> {
  const [from, to] = net.line.accounts;
  const hashes: string[] = [];
  for (const index of nodes) {
    const nonce = nonces.get(net) ?? 0;
    nonces.set(net, nonce + 1);
    const { raw, hash } = transfer(from!, { chainId: 1337, nonce, to: to!.address, value: 1n });
    await net.rpc(index).call('eth_sendRawTransaction', [raw]);
    hashes.push(hash);
  }
  for (const index of nodes) await untilFinal(net.rpc(index), hashes);
}

async function untilAllReachable(net: Devnet): Promise<void> {
  await until('all see each other', async () => {
    const all = await Promise.all(net.indices.map((index) => net.status(index)));
    return all.every(({ margin, t, phase }) => margin === t && phase === 'running');
  });
}

test('one validator: makes blocks, stands still when killed, goes on after its restart', async () => {
  devnet = await Devnet.start({ validators: 1 });
  await sendThrough(devnet, [0, 0, 0]);
  expect(await devnet.status(0)).toMatchObject({ role: 'primary', t: 0, margin: 0, view: 0 });
  const [genesis, first] = await agreedChain(devnet.rpcs);
  await devnet.kill(0);
  await devnet.restart(0);
  await sendThrough(devnet, [0]);
  const chain = await agreedChain(devnet.rpcs);
  expect(chain.slice(0, 2)).toEqual([genesis, first]);
});

test('four validators tolerate one: the primary is killed, and comes back', async () => {
  devnet = await Devnet.start({ validators: 4 });
  await sendThrough(devnet, [0, 1, 2, 3]);
  expect(await devnet.status(1)).toMatchObject({ t: 1, margin: 1 });
  const victim = await devnet.withRole('primary');
  const rest = devnet.indices.filter((index) => index !== victim);
  const killedAt = performance.now();
  await devnet.kill(victim);
  await sendThrough(devnet, rest);
  report(
    `four validators, primary killed: transfers final on the others after ${seconds(performance.now() - killedAt)}`,
  );
  await devnet.restart(victim);
  await untilAllReachable(devnet);
  await sendThrough(devnet, devnet.indices);
  await agreedChain(devnet.rpcs);
});

test('five validators tolerate two: the primary and a follower are killed at once, and come back', async () => {
  devnet = await Devnet.start({ validators: 5 });
  await sendThrough(devnet, devnet.indices);
  expect(await devnet.status(1)).toMatchObject({ t: 2, margin: 2 });
  const victims = [await devnet.withRole('primary'), await devnet.withRole('follower')];
  const rest = devnet.indices.filter((index) => !victims.includes(index));
  const killedAt = performance.now();
  await devnet.kill(...victims);
  await sendThrough(devnet, rest);
  const { view, margin } = await devnet.status(rest[0]!);
  const after = seconds(performance.now() - killedAt);
  report(
    `five validators, two of the group killed: final on the others after ${after}, view ${view}, margin ${margin}`,
  );
  expect(margin).toBe(0);
  for (const index of victims) await devnet.restart(index);
  await untilAllReachable(devnet);
  await sendThrough(devnet, devnet.indices);
  await agreedChain(devnet.rpcs);
});
