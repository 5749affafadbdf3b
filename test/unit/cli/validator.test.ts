import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../node/config.ts';
import { hasEmptyGuard, loadNodeKeys } from '../../../node/node-keys.ts';
import { DEFAULT_POLICY } from '../../../primitives/policy.ts';
import { descriptorOf, GovernedChain, member } from '../governed-chain.ts';
import { type Methods, startFakeNode } from './fake-node.ts';
import { type Outcome, run } from './run.ts';

type Member = ReturnType<typeof member>;
const [A, B, C, D, E] = [0, 1, 2, 3, 4].map(member) as [Member, Member, Member, Member, Member];

let dir: string;
let chain: GovernedChain;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quorate-validator-'));
  chain = await GovernedChain.start();
  for (const [name, who] of [
    ['dave', D],
    ['erin', E],
  ] as const) {
    await writeFile(join(dir, `${name}.json`), JSON.stringify(descriptorOf(who)));
  }
  await writeFile(join(dir, 'genesis.json'), chain.genesisText);
});
afterEach(async () => {
  expect(chain.bugs).toEqual([]);
  await chain.stop();
  await rm(dir, { recursive: true });
});

const file = (name: string) => join(dir, name);

/** `quorate validator …` at the chain's node, as an operator. */
function validator(as: Member | undefined, ...args: string[]): Promise<Outcome> {
  const env = as === undefined ? {} : { QUORATE_PRIVATE_KEY: as.operatorKey };
  return run(['validator', ...args, '--rpc', chain.url], env);
}

const proposeDave = () => validator(A, 'propose', '--add', file('dave.json'));

describe('validator propose', () => {
  it('signs, waits until final, and says who is still to approve', async () => {
    chain.connected.add(D.peerId);
    const outcome = await proposeDave();
    expect(outcome).toMatchObject({ code: 0, out: 'proposal 1: 1 of 3 has approved; 1 more starts epoch 1\n' });
    expect(outcome.err).toContain(`warning: the new epoch does not wait for ${D.validator}`);
    expect(chain.head).toBe(1);
    expect(chain.ledger.governance({ final: true }).open[0]!.change.additions).toEqual([descriptorOf(D)]);
  });

  it('with --json prints one line with the proposal, what is missing and where it is final', async () => {
    const outcome = await validator(A, 'propose', '--remove', A.validator, '--json');
    expect(outcome.out.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(outcome.out)).toEqual({
      proposal: 1,
      status: 'open',
      epoch: null,
      missing: ['1 of 3 has approved; 1 more starts epoch 1'],
      warnings: expect.arrayContaining(['after this change no fault is tolerated: all 2 validators must be up']),
      hash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      blockNumber: 1,
      blockHash: chain.ledger.head.hash,
    });
  });

  it('takes additions, removals, replacements and fields of the policy in one proposal', async () => {
    const change = [
      '--add',
      file('dave.json'),
      '--replace',
      `${A.validator}=${file('erin.json')}`,
      '--remove',
      B.validator,
    ];
    const policy = ['--policy', 'readyLag=12', '--policy', 'evidenceRemoves=true'];
    expect(await validator(C, 'propose', ...change, ...policy)).toMatchObject({ code: 0 });
    expect(chain.ledger.governance({ final: true }).open[0]!.change).toEqual({
      additions: [descriptorOf(D)],
      removals: [B.validator],
      replacements: [{ validator: A.validator, by: descriptorOf(E) }],
      policy: { ...DEFAULT_POLICY, readyLag: 12, evidenceRemoves: true },
    });
  });

  it('with --dry-run signs and sends nothing, and needs no key', async () => {
    const outcome = await validator(undefined, 'propose', '--remove', C.validator, '--dry-run');
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.out).toBe(
      'nothing was sent; once it is final: proposal 1: 1 of 3 has approved; 1 more starts epoch 1\n' +
        'the change leads to 2 validators, of which 2 must be up\n',
    );
    expect(outcome.err).toContain('warning: after this change no fault is tolerated');
    const json = await validator(undefined, 'propose', '--remove', C.validator, '--dry-run', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ id: 1, passes: false, after: { t: 0 } });
    expect(chain.head).toBe(0);
  });

  it('starts the next epoch at once where one approval is enough', async () => {
    await chain.stop();
    chain = await GovernedChain.start(1);
    const outcome = await proposeDave();
    expect(outcome.out).toBe(
      `proposal 1 has passed\nepoch 1 begins after block 1: validators ${A.validator}, ${D.validator}\n`,
    );
  });

  it('is refused in the words of the contract before anything is signed', async () => {
    for (const args of [[], ['--dry-run']]) {
      const outcome = await validator(A, 'propose', '--remove', D.validator, ...args);
      expect(outcome).toMatchObject({ code: 1, out: '' });
      expect(outcome.err).toBe(
        `error: the governance contract refuses this: ${D.validator} cannot be removed: it is no validator of this epoch; validators() lists them\n`,
      );
    }
    expect((await validator(D, 'propose', '--remove', A.validator)).err).toContain('is no operator of a validator');
    expect(chain.head).toBe(0);
  });

  it.each([
    ['nothing to change', [], 'name what is to change'],
    ['a replacement without a file', ['--replace', '0x12'], 'is not of the form ADDRESS=FILE'],
    ['an address that is none', ['--remove', '0x12'], '--remove: expected an address'],
    ['a policy field that does not exist', ['--policy', 'speed=7'], '--policy.speed: unknown field'],
    ['a policy value of the wrong kind', ['--policy', 'readyLag=soon'], '--policy.readyLag: expected a whole number'],
  ])('with %s is wrong use', async (_, args, expected) => {
    const outcome = await validator(A, 'propose', ...args);
    expect(outcome).toMatchObject({ code: 2, out: '' });
    expect(outcome.err).toContain(expected);
  });

  it('without a key is wrong use', async () => {
    const outcome = await validator(undefined, 'propose', '--remove', A.validator);
    expect(outcome).toMatchObject({ code: 2, out: '' });
    expect(outcome.err).toContain('give --key FILE, or set QUORATE_PRIVATE_KEY');
  });

  it('names everything that is wrong with a descriptor', async () => {
    await writeFile(file('bad.json'), JSON.stringify({ ...descriptorOf(D), operator: '0x12', publicKey: E.nodeKey }));
    const bad = await validator(A, 'propose', '--add', file('bad.json'));
    expect(bad).toMatchObject({ code: 1, out: '' });
    expect(bad.err).toMatch(
      /bad\.json is no descriptor of a validator: operator: expected an address .*; publicKey: it/,
    );
    await writeFile(file('text.json'), 'dave');
    expect((await validator(A, 'propose', '--add', file('text.json'))).err).toContain('key show --descriptor');
    expect((await validator(A, 'propose', '--add', file('none.json'))).code).toBe(1);
  });

  it('does not sign another call than was asked for', async () => {
    const other = await chain.call<object>('xft_proposeValidators', { remove: [B.validator] });
    const methods: Methods = { xft_proposeValidators: () => other };
    const node = await startFakeNode(methods);
    try {
      const env = { QUORATE_PRIVATE_KEY: A.operatorKey };
      const outcome = await run(['validator', 'propose', '--remove', C.validator, '--rpc', node.url], env);
      expect(outcome.code).toBe(1);
      expect(outcome.err).toContain('gives another call to sign than was asked for');
      expect(node.calls).toEqual(['xft_proposeValidators']);
    } finally {
      await node.close();
    }
  });
});

describe('validator vote and withdraw', () => {
  it('the vote that decides names the epoch it starts, and what lapses', async () => {
    await proposeDave();
    const outcome = await validator(B, 'vote', '1');
    expect(outcome.out).toBe(
      `proposal 1 has passed\nepoch 1 begins after block 2: validators ${[A, B, C, D].map((m) => m.validator).join(', ')}\n`,
    );
    expect(chain.members).toHaveLength(4);
  });

  it('with --json names the new epoch', async () => {
    await proposeDave();
    expect(JSON.parse((await validator(B, 'vote', '1', '--json')).out)).toMatchObject({
      proposal: 1,
      status: 'passed',
      epoch: { epoch: 1, firstBlock: 3, validators: [A, B, C, D].map((m) => m.validator) },
      missing: [],
    });
  });

  it('a rejection is counted; a second one is refused', async () => {
    await proposeDave();
    expect((await validator(C, 'vote', '1', '--reject')).out).toContain('1 of 3 has approved; 1 more starts epoch 1');
    expect(chain.ledger.governance({ final: true }).open[0]!.rejections).toEqual([C.validator]);
    const again = await validator(C, 'vote', '1', '--reject');
    expect(again).toMatchObject({ code: 1, out: '' });
    expect(again.err).toContain('has voted against proposal 1 already');
  });

  it('only the proposer takes a proposal back', async () => {
    await proposeDave();
    expect((await validator(B, 'withdraw', '1')).err).toContain('alone can withdraw it');
    expect(await validator(A, 'withdraw', '1')).toMatchObject({ code: 0, out: 'proposal 1: withdrawn\n' });
    expect((await validator(B, 'vote', '1')).err).toContain('is not open any more');
  });

  it('a proposal is named by a number', async () => {
    for (const command of ['vote', 'withdraw']) {
      expect(await validator(A, command, 'first')).toMatchObject({ code: 2, out: '' });
      expect((await validator(A, command)).code).toBe(2);
    }
  });
});

describe('validator list and proposals', () => {
  it('list shows who decides, who votes for whom, and who is in touch', async () => {
    chain.unreachable.add(C.validator);
    const { code, out } = await validator(undefined, 'list');
    expect(code).toBe(0);
    expect(out).toContain('epoch 0 since block 0: 3 validators, of which 2 must be up');
    expect(out).toMatch(new RegExp(`1 +${B.validator} +${B.operator} +reachable +${B.multiaddr}`));
    expect(out).toMatch(new RegExp(`2 +${C.validator} +${C.operator} +UNREACHABLE`));
    const json = await validator(undefined, 'list', '--json');
    expect(JSON.parse(json.out)).toMatchObject({
      epoch: 0,
      t: 1,
      validators: [A, B, C].map((m) => ({ address: m.validator })),
    });
  });

  it('proposals shows votes, candidates and what is missing, then the past', async () => {
    expect((await validator(undefined, 'proposals')).out).toBe('no proposal is open\n');
    await proposeDave();
    chain.connected.add(D.peerId);
    const open = (await validator(undefined, 'proposals')).out;
    for (const line of [
      /^proposal 1, open until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m,
      new RegExp(`adds +${D.validator} +${D.multiaddr}$`, 'm'),
      /leads to +4 validators, of which 3 must be up$/m,
      new RegExp(`approve +${A.validator}$`, 'm'),
      new RegExp(`not voted +${B.validator} ${C.validator}$`, 'm'),
      new RegExp(`candidate +${D.validator} has not said that it is ready$`, 'm'),
      /waits +1 of 3 has approved; 1 more starts epoch 1$/m,
    ]) {
      expect(open).toMatch(line);
    }
    await chain.ready(D);
    expect((await validator(undefined, 'proposals')).out).toMatch(
      /is ready at block 1, 1 block behind when last heard of$/m,
    );
    await validator(B, 'vote', '1');
    expect((await validator(undefined, 'proposals')).out).toMatch(
      new RegExp(`1 +passed +\\S+Z +2 for, 0 against, of 3 +\\+${D.validator}`),
    );
    const json = JSON.parse((await validator(undefined, 'proposals', '--json')).out);
    expect(json).toMatchObject([{ id: 1, status: 'passed' }]);
  });

  it('status tells how many proposals are open and whether it is about this node', async () => {
    await proposeDave();
    const status = () => run(['status', '--rpc', chain.url]);
    expect((await status()).out).toContain('open proposals: 1; see quorate validator proposals');
    await validator(B, 'propose', '--replace', `${C.validator}=${file('dave.json')}`);
    chain.self = D;
    expect((await status()).out).toContain('this node is to become a validator by proposal 1: not ready yet');
  });
});

describe('validator create', () => {
  const create = (...args: string[]) =>
    run(['validator', 'create', '--genesis', file('genesis.json'), '--out', file('new'), '--light', ...args], {
      QUORATE_PASSWORD: 'sesame',
    });

  it('makes a folder that `quorate node` runs, with the descriptor for the others', async () => {
    const outcome = await create('--operator', D.operator, '--host', '10.0.0.9:31000', '--rpc-port', '8600', '--json');
    expect(outcome).toMatchObject({ code: 0 });
    expect((await readdir(file('new'))).sort()).toEqual([
      'config.json',
      'descriptor.json',
      'genesis.json',
      'guard-empty',
      'node-key.json',
      'validator-key.json',
    ]);
    expect(await readFile(join(file('new'), 'genesis.json'), 'utf8')).toBe(chain.genesisText);
    const made = JSON.parse(outcome.out) as Record<string, string>;
    const descriptor = JSON.parse(await readFile(join(file('new'), 'descriptor.json'), 'utf8')) as Record<
      string,
      string
    >;
    expect(made).toEqual({ dir: file('new'), file: join(file('new'), 'descriptor.json'), ...descriptor });
    const keys = await loadNodeKeys(file('new'), () => Promise.resolve('sesame'));
    expect(keys).toMatchObject({ nodeKey: descriptor['nodeKey'], validator: { address: descriptor['validator'] } });
    expect(await hasEmptyGuard(file('new'), descriptor['validator']!)).toBe(true);
    expect(descriptor['operator']).toBe(D.operator);
    expect(descriptor['multiaddr']).toMatch(/^\/ip4\/10\.0\.0\.9\/tcp\/31000\/p2p\/16Uiu2/);
    const config = await loadConfig({ dataDir: file('new') });
    expect(config).toMatchObject({ p2p: { host: '0.0.0.0', port: 31_000 }, rpc: { port: 8600 }, peers: {} });
  });

  it('makes an operator account when none is named, and the descriptor can be proposed', async () => {
    expect((await create('--p2p-port', '30399')).out).toContain('quorate validator propose --add');
    expect(await readdir(file('new'))).toContain('operator-key.json');
    const descriptor = join(file('new'), 'descriptor.json');
    expect((await readFile(descriptor, 'utf8')).includes('/ip4/127.0.0.1/tcp/30399/p2p/')).toBe(true);
    expect(await validator(A, 'propose', '--add', descriptor)).toMatchObject({ code: 0 });
    // Asked again, the folder says the same.
    const shown = await run(['key', 'show', '--descriptor', '--data-dir', file('new')]);
    expect(shown.out).toBe(await readFile(descriptor, 'utf8'));
  });

  it('takes the addresses of the present validators from a node of the same chain', async () => {
    await chain.vote(B, await chain.propose(A, { add: [D] }));
    expect(await create('--rpc', chain.url)).toMatchObject({ code: 0 });
    const { peers } = await loadConfig({ dataDir: file('new') });
    expect(peers[D.nodeKey]).toEqual([D.multiaddr]);
    expect(Object.keys(peers)).toHaveLength(4);
  });

  it('refuses a node of another chain, a folder in use, and what is no genesis', async () => {
    const other = await GovernedChain.start(2);
    try {
      const outcome = await create('--rpc', other.url);
      expect(outcome).toMatchObject({ code: 1, out: '' });
      expect(outcome.err).toContain('is of another chain');
    } finally {
      await other.stop();
    }
    await writeFile(file('genesis.json'), '{}');
    expect((await create()).err).toContain('is not valid');
    expect((await readdir(dir)).includes('new')).toBe(false);
    const full = ['validator', 'create', '--genesis', file('genesis.json'), '--out', dir];
    expect(await run(full, { QUORATE_PASSWORD: 'x' })).toMatchObject({ code: 2, out: '' });
  });
});

describe('help', () => {
  it.each([
    ['validator', 'propose'],
    ['validator', 'vote'],
    ['validator', 'withdraw'],
    ['validator', 'proposals'],
    ['validator', 'list'],
    ['validator', 'create'],
    ['epoch', 'verify'],
    ['epoch', 'export'],
  ])('%s %s has an example', async (...command) => {
    const outcome = await run([...command, '--help']);
    expect(outcome.code).toBe(0);
    expect(outcome.out).toMatch(new RegExp(`Examples?:\\n {2}quorate ${command.join(' ')}`));
  });
});
