/** `quorate recover …` on the command line: what each step prints, writes and refuses. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memberKeys } from '../ledger/fixtures.ts';
import { addressOf, Network, PASSWORD, person } from '../recovery/fixtures.ts';
import { run } from './run.ts';

let root: string;
let network: Network;
let file: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quorate-recover-'));
  network = await Network.create(root, { validators: 3, height: 4 });
  await network.hold(1, { store: 4 });
  await network.makeFolder(7);
  file = join(root, 'recovery.json');
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const env = { QUORATE_PASSWORD: PASSWORD };
const recover = (...args: string[]) => run(['recover', ...args], env);
const operatorFile = (n: number) => join(network.at(n), 'operator.json');

async function descriptor(n: number): Promise<string> {
  const path = join(root, `descriptor-${n}.json`);
  const { validator, nodeKey, operator } = person(n);
  const multiaddr = `/ip4/10.0.0.${n}/tcp/30300`;
  await writeFile(path, JSON.stringify({ validator, nodeKey, operator, multiaddr }));
  return path;
}

async function propose(...more: string[]) {
  const removed = [0, 2].flatMap((n) => ['--remove', addressOf(n)]);
  const out = more.includes('--out') ? [] : ['--out', file];
  return recover('propose', '--data-dir', network.at(1), ...removed, '--reason', 'two disks', ...out, ...more);
}

test('four steps, each of which says what comes next', async () => {
  const proposed = await propose('--add', await descriptor(7));
  expect(proposed.code, proposed.err).toBe(0);
  expect(proposed.out).toContain(`Chain 1337 (block 0 ${network.chain.genesisHash}) is broken off at block 4 (`);
  expect(proposed.out).toMatch(
    /Gone for good:\n {2}0x\w+\n {2}0x\w+\nFrom block 5 on, in epoch 1, these decide; 2 of 2/,
  );
  expect(proposed.out).toContain(
    `${addressOf(1)}  stays; has signed, operator ${person(1).operator} has not confirmed`,
  );
  expect(proposed.out).toContain(`${addressOf(7)}  new, at /ip4/10.0.0.7/tcp/30300; has not signed`);
  expect(proposed.out).toMatch(/Reason: two disks\nDigest: known when all validators have signed\nNext: validator 0x/);
  expect(proposed.err).toContain('this validator signs nothing more in epoch 0, also if the recovery is dropped');
  const signed = await recover('sign', '--data-dir', network.at(7), file);
  expect(signed.code, signed.err).toBe(0);
  expect(signed.out).toMatch(/Digest: 0x\w{64}\nNext: operator 0x\w+ has not confirmed: quorate recover confirm\n$/);
  const first = await recover('confirm', file, '--key', operatorFile(1), '--yes');
  expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/Next: operator/) });
  const secret = `0x${Buffer.from(memberKeys(7).operator.secret).toString('hex')}`;
  const second = await run(['recover', 'confirm', file, '--yes', '--json'], { QUORATE_PRIVATE_KEY: secret });
  expect(JSON.parse(second.out)).toMatchObject({ epoch: 0, base: { number: 4 }, missing: [], forced: false });
  const shown = await recover('show', file);
  expect(shown.out).toContain('Complete: quorate recover apply on every node.');
  for (const [n, below] of [
    [1, ''],
    [7, 'this folder is 4 blocks below the base; it fetches them from the others\n'],
  ] as const) {
    const applied = await recover('apply', '--data-dir', network.at(n), file);
    expect(applied).toEqual({
      code: 0,
      out: `applied: ${join(network.at(n), 'recoveries', '0.json')}\n${below}start the node: quorate node --data-dir ${network.at(n)}\n`,
      err: '',
    });
  }
  const again = await recover('apply', '--data-dir', network.at(1), file, '--json');
  const { digest } = JSON.parse(second.out) as { digest: string };
  expect(JSON.parse(again.out)).toEqual({ digest, path: join(network.at(1), 'recoveries', '0.json'), head: 4 });
});

test('what is forced is warned of, and said for ever', async () => {
  const log = [{ kind: 'certificate' as const, certificate: network.certify((await grown()).block(6), 'FP') }];
  await network.append(1, log);
  const refused = await propose();
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^error: block 6 may have been shown .*--force/),
  });
  const forced = await propose('--force');
  expect(forced.err).toMatch(/^warning: overruled, as the statement says for ever: block 6 may have been shown/m);
  expect(forced.out).toContain('\nFORCED: ');
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ forced: true });
});

async function grown(): Promise<Network> {
  await network.grow(6);
  return network;
}

test('wrong use and refusals are one sentence each, and nothing was written or promised before', async () => {
  const none = await recover('propose', '--data-dir', network.at(1), '--reason', 'x', '--out', file);
  expect(none).toEqual({
    code: 2,
    out: '',
    err: 'error: name every validator that is gone for good: --remove ADDRESS, once for each\n',
  });
  expect((await recover('propose', '--data-dir', network.at(1), '--out', file)).code).toBe(2);
  expect((await propose('--remove', '0x12')).code).toBe(2);
  expect((await propose('--add', join(root, 'absent.json'))).err).toMatch(
    /absent.json is no descriptor of a validator/,
  );
  const taken = join(root, 'taken.json');
  await writeFile(taken, 'mine');
  expect(await propose('--out', taken)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/taken.json exists already/),
  });
  expect(await readFile(taken, 'utf8')).toBe('mine');
  const locked = await run(
    ['recover', 'propose', '--data-dir', network.at(1), '--remove', addressOf(0), '--remove', addressOf(2)].concat(
      '--reason x --out'.split(' '),
      file,
    ),
    { QUORATE_PASSWORD: 'wrong' },
  );
  expect(locked).toMatchObject({ code: 1, err: expect.stringMatching(/password/) });
  expect((await network.logOf(1)).records).toEqual([]);
  await propose();
  expect(await recover('confirm', file, '--key', operatorFile(1))).toMatchObject({
    code: 2,
    err: 'error: nobody to ask: read it with quorate recover show, then confirm with --yes\n',
  });
  expect(await recover('confirm', file, '--yes')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/no key to sign/),
  });
  expect(await recover('confirm', file, '--key', operatorFile(0), '--yes')).toMatchObject({ code: 1 });
  expect(await recover('apply', '--data-dir', network.at(1), file)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^error: the statement is not complete: operator 0x\w+ has not confirmed/),
  });
  await writeFile(file, '{"version": 2}');
  expect(await recover('show', file)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/version: expected 1, found 2; /),
  });
});

test('is in the help, with examples', async () => {
  const group = await run(['recover', '--help']);
  for (const name of ['propose', 'sign', 'confirm', 'apply', 'show']) {
    expect(group.out).toContain(`\n  ${name} `);
    expect((await run(['recover', name, '--help'])).out).toMatch(/Examples?:\n {2}quorate recover/);
  }
});
