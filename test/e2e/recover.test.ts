/**
 * More validators than the chain tolerates are gone for good, folders and all. Those who are left go on by `quorate
 * recover`, and nothing that anybody was shown as final is lost.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { transfer, untilFinal } from './accounts.ts';
import { agreedChain, blocksOf } from './agreement.ts';
import { Devnet, Node, type Status, temporaryFolder } from './devnet.ts';
import { Candidates } from './members.ts';
import { P2P_OFFSET } from './ports.ts';
import { type Finished, run, runJson } from './processes.ts';
import type { Rpc } from './rpc.ts';
import { beginLoad, type UnderLoad, untilMoreBlocks } from './under-load.ts';
import { until } from './until.ts';

type Report = {
  readonly digest: string | null;
  readonly base: { readonly number: number };
  readonly missing: string[];
};
type Recovered = Status & { readonly breaks: readonly { readonly block: number; readonly statement: string }[] };

let devnet: Devnet;
let candidates: Candidates | undefined;
let folder: string;

afterEach(async () => {
  await candidates?.stop();
  candidates = undefined;
  await devnet.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(validators: number): Promise<string> {
  devnet = await Devnet.start({ validators });
  folder = await temporaryFolder();
  return join(folder, 'recovery.json');
}

function propose(index: number, removed: readonly number[], out: string, ...more: string[]): Promise<Finished> {
  const remove = removed.flatMap((gone) => ['--remove', devnet.line.validators[gone]!.address]);
  const args = ['--data-dir', devnet.dataDir(index), '--reason', 'the data centre burnt down', '--out', out, ...more];
  return run(['recover', 'propose', ...args, ...remove]);
}

const recover = (step: string, dataDir: string, file: string): Promise<Finished> =>
  run(['recover', step, '--data-dir', dataDir, file]);

const confirm = (file: string, privateKey: string): Promise<Report> =>
  runJson<Report>(['recover', 'confirm', file, '--yes', '--json'], { env: { QUORATE_PRIVATE_KEY: privateKey } });

function operatorKey(index: number): string {
  const { operator } = devnet.line.validators[index]!;
  return devnet.line.accounts.find(({ address }) => address === operator)!.privateKey;
}

/** The load goes on up to the very moment in which these are killed, all at once. */
async function loseUnderLoad(load: UnderLoad, gone: readonly number[]): Promise<ReadonlySet<string>> {
  await untilMoreBlocks(load.watch, 20);
  await devnet.kill(...gone);
  const shown = new Set(load.watch.finalAt.keys());
  await load.load.stop();
  await load.watch.stop();
  expect(load.watch.contradictions).toEqual([]);
  expect(shown.size).toBeGreaterThan(20);
  for (const index of gone) rmSync(devnet.dataDir(index), { recursive: true });
  return shown;
}

/** All that was ever seen as final is final, in the very blocks. */
async function nothingLost({ watch }: UnderLoad, rpc: Rpc): Promise<void> {
  await untilFinal(rpc, [...watch.finalAt.keys()]);
  const chain = await blocksOf(rpc, 0, await rpc.blockNumber());
  for (const { height, hash } of watch.blocks) expect(chain[height]?.hash).toBe(hash);
}

async function send(rpc: Rpc): Promise<number> {
  const [from, to] = devnet.line.accounts;
  const nonce = await rpc.number('eth_getTransactionCount', [from!.address, 'pending']);
  const { raw } = transfer(from!, { chainId: 1337, nonce, to: to!.address, value: 1n });
  const [receipt] = await untilFinal(rpc, [await rpc.call<string>('eth_sendRawTransaction', [raw])]);
  return Number(receipt!.blockNumber);
}

const failure = ({ code, stderr }: Finished): string => {
  expect(code).toBe(1);
  return stderr;
};

const success = ({ code, stdout, stderr }: Finished): string => {
  expect(code, stderr).toBe(0);
  return stdout;
};

describe('five validators of which three are gone for good', () => {
  test('go on as two, refuse what is not safe, and are followed by whoever has the statement', async () => {
    const file = await start(5);
    const load = await beginLoad(devnet);
    // Validator 4 falls behind; validator 2 is one of the group, 3 will come back.
    expect((await devnet.status(2)).view).toBe(0);
    devnet.signal(4, 'SIGSTOP');
    await untilMoreBlocks(load.watch, 20);
    await devnet.stopNode(3);
    renameSync(devnet.dataDir(3), join(folder, 'old'));
    await loseUnderLoad(load, [0, 1]);
    await devnet.kill(4);

    // While a node runs on the folder, and while the chain could go on by itself.
    expect(failure(await propose(2, [0, 1, 3], file))).toMatch(/^error: process \d+ is running on /m);
    await devnet.stopNode(2);
    expect(failure(await propose(2, [0, 1], file))).toMatch(/2 of 5 validators are to go and the chain tolerates 2/);
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((done) => server.listen(devnet.basePort + P2P_OFFSET, '127.0.0.1', done));
    expect(failure(await propose(2, [0, 1, 3], file))).toMatch(
      /0x\w+ at \/ip4\/127.0.0.1\/.* can be reached, .*--force/,
    );
    const forced = join(folder, 'forced.json');
    success(await propose(2, [0, 1, 3], forced, '--force'));
    expect(JSON.parse(readFileSync(forced, 'utf8'))).toMatchObject({ forced: true });
    await new Promise((done) => server.close(done));
    expect(existsSync(file)).toBe(false);

    // From the folder that is behind it would lose what the other has.
    success(await propose(4, [0, 1, 3], join(folder, 'behind.json')));
    const newer = failure(await recover('sign', devnet.dataDir(2), join(folder, 'behind.json')));
    expect(newer).toMatch(/make (the|a) statement here/);

    success(await propose(2, [0, 1, 3], file));
    success(await recover('sign', devnet.dataDir(4), file));
    await confirm(file, operatorKey(2));
    expect(failure(await recover('apply', devnet.dataDir(2), file))).toMatch(/not complete: operator 0x\w+ has not/);
    const { digest, base, missing } = await confirm(file, operatorKey(4));
    expect(missing).toEqual([]);
    for (const index of [2, 4])
      expect(success(await recover('apply', devnet.dataDir(index), file))).toMatch(/start the/);

    await Promise.all([2, 4].map((index) => devnet.restart(index)));
    const first = await send(devnet.rpc(4));
    expect(first).toBeGreaterThan(base.number);
    await nothingLost(load, devnet.rpc(2));
    await agreedChain([devnet.rpc(2), devnet.rpc(4)]);
    const status = await devnet.rpc(4).call<Recovered>('xft_status');
    const list = [2, 4].map((index) => devnet.line.validators[index]!.address);
    expect(status.validators.map(({ address }) => address)).toEqual(list);
    expect(status).toMatchObject({ epoch: 1, t: 0, breaks: [{ epoch: 0, block: base.number, statement: digest }] });
    expect(success(await run(['status', '--rpc', devnet.rpc(2).url]))).toContain(`RECOVERED at block ${base.number}`);

    await lightClients(digest!);
    await returning(file, base.number);
  });

  async function lightClients(digest: string): Promise<void> {
    const genesis = join(devnet.dir, 'genesis.json');
    const verify = ['epoch', 'verify', '--genesis', genesis, '--rpc', devnet.rpc(2).url];
    const refused = failure(await run(verify));
    expect(refused).toMatch(/the chain was broken at block \d+: the validators of epoch 0 did not hand over/);
    expect(refused).toContain(`--accept-break ${digest}`);
    expect(success(await run([...verify, '--accept-break', digest]))).toMatch(
      /epoch 1: 2 validators.* NOT handed over/,
    );
  }

  /** A validator of before, back with its folder. */
  async function returning(file: string, base: number): Promise<void> {
    renameSync(join(folder, 'old'), devnet.dataDir(3));
    const lost = await devnet.restart(3);
    await until('it says why it stays behind', () => lost.log.includes('quorate recover apply'), { timeoutMs: 60_000 });
    await send(devnet.rpc(2));
    expect(await devnet.rpc(3).blockNumber()).toBeLessThanOrEqual(base);
    await devnet.stopNode(3);
    success(await recover('apply', devnet.dataDir(3), file));
    await devnet.restart(3);
    const chain = await agreedChain([2, 3, 4].map((index) => devnet.rpc(index)));
    expect(chain.length).toBeGreaterThan(base + 2);
    expect(await devnet.status(3)).toMatchObject({ role: 'observer', epoch: 1 });
    await devnet.stopNode(3);
    const report = await runJson(['chain', 'verify', '--data-dir', devnet.dataDir(3), '--json']);
    expect(report).toMatchObject({ head: chain.length - 1 });
  }
});

describe('three validators of which two are gone for good, the primary one of them', () => {
  test('go on with a new one, from what the follower signed', async () => {
    const file = await start(3);
    candidates = await Candidates.create(devnet, 1);
    const { dataDir, seat, operator, ...newcomer } = await made(candidates);
    const descriptor = join(folder, 'descriptor.json');
    writeFileSync(descriptor, JSON.stringify(seat));
    const load = await beginLoad(devnet);
    const [primary, follower, passive] = [
      await devnet.withRole('primary'),
      await devnet.withRole('follower'),
      await devnet.withRole('passive'),
    ];
    await loseUnderLoad(load, [primary, passive]);
    await devnet.kill(follower);
    const alone = await propose(follower, [primary], file, '--add', descriptor);
    expect(failure(alone)).toMatch(/1 of 3 validators are to go and the chain tolerates 1: it goes on by itself/);

    success(await propose(follower, [primary, passive], file, '--add', descriptor));
    success(await recover('sign', dataDir, file));
    await confirm(file, operatorKey(follower));
    const { digest, base } = await confirm(file, operator.privateKey);
    for (const path of [devnet.dataDir(follower), dataDir]) success(await recover('apply', path, file));

    await Promise.all([devnet.restart(follower), newcomer.start()]);
    const first = await send(devnet.rpc(follower));
    expect(first).toBeGreaterThan(base.number);
    await nothingLost(load, newcomer.rpc);
    await agreedChain([devnet.rpc(follower), newcomer.rpc]);
    const members = [devnet.line.validators[follower]!.address, seat.validator];
    expect(await newcomer.rpc.call('xft_getValidators')).toEqual(members);
    expect(await newcomer.rpc.call('xft_getEpoch', [1])).toMatchObject({
      firstBlock: base.number + 1,
      handover: { recovery: { reason: 'the data centre burnt down', forced: false } },
    });

    // An observer from nothing but the genesis stops at the break, and goes on with the statement.
    const observer = join(folder, 'observer');
    const genesis = ['--genesis', join(devnet.dir, 'genesis.json')];
    const rpcPort = devnet.basePort;
    const ports = ['--rpc-port', String(rpcPort), '--p2p-port', '0', '--metrics-port', '0'];
    const env = { QUORATE_PASSWORD: 'observer' };
    const begin = async (): Promise<Node> => {
      const node = new Node(observer, `http://127.0.0.1:${rpcPort}`, [...genesis, ...ports], { env });
      await node.serving();
      return node;
    };
    const lost = await begin();
    await until('it says why it stays behind', () => lost.log.includes('quorate recover apply'), { timeoutMs: 90_000 });
    expect(await lost.rpc.blockNumber()).toBeLessThanOrEqual(base.number);
    await lost.program.stop();
    success(await run(['recover', 'apply', '--data-dir', observer, ...genesis, file]));
    const found = await begin();
    await agreedChain([devnet.rpc(follower), newcomer.rpc, found.rpc]);
    expect(await found.rpc.call('xft_status')).toMatchObject({ role: 'observer', breaks: [{ statement: digest }] });
    await found.program.stop();
  });

  async function made(from: Candidates) {
    const member = await from.make('newcomer');
    const { dataDir, seat, operator, rpc } = member;
    return { dataDir, seat, operator, rpc, start: () => member.start() };
  }
});
