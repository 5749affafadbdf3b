import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GovernedChain, member } from '../governed-chain.ts';
import { startFakeNode } from './fake-node.ts';
import { run } from './run.ts';

const [A, B, C, D] = [0, 1, 2, 3].map(member) as [Member, Member, Member, Member];
type Member = ReturnType<typeof member>;

let dir: string;
let chain: GovernedChain;
/** Epochs 0 to 2: a fourth validator comes after block 2, the first leaves after block 6; the newest block is 7. */
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quorate-epoch-'));
  chain = await GovernedChain.start();
  await chain.vote(B, await chain.propose(A, { add: [D] }));
  await chain.extend(1);
  const id = await chain.propose(A, { remove: [A] });
  await chain.vote(B, id);
  await chain.vote(C, id);
  await chain.extend(1);
  await writeFile(genesis(), chain.genesisText);
});
afterEach(async () => {
  expect(chain.bugs).toEqual([]);
  await chain.stop();
  await rm(dir, { recursive: true });
});

const file = (name: string) => join(dir, name);
const genesis = () => file('genesis.json');
const epoch = (...args: string[]) => run(['epoch', ...args, '--rpc', chain.url]);
const hashOf = (height: number) => chain.ledger.blockByHeight(height)!.hash;

describe('epoch verify', () => {
  it('walks from the genesis file to the newest block, one line per epoch', async () => {
    const outcome = await epoch('verify', '--genesis', genesis());
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(outcome.out.trimEnd().split('\n')).toEqual([
      `epoch 0: 3 validators, t = 1, founded by ${chain.ledger.genesisHash}: ${A.validator} ${B.validator} ${C.validator}`,
      `epoch 1: 4 validators, t = 1, after block 2 signed by ${A.validator}, ${B.validator}: +${D.validator}`,
      expect.stringMatching(`^epoch 2: 3 validators, t = 1, after block 6 signed by 0x\\w+, 0x\\w+: -${A.validator}$`),
      `block 7 ${hashOf(7)} is final: epoch 2, view 0, signed by ${B.validator}, ${C.validator}`,
    ]);
  });

  it('goes no further than the block asked for', async () => {
    const third = await epoch('verify', '3', '--genesis', genesis(), '--json');
    const { chainId, genesisHash, epochs, block } = JSON.parse(third.out);
    expect({ chainId, genesisHash }).toEqual({ chainId: 1337, genesisHash: chain.ledger.genesisHash });
    expect(epochs).toMatchObject([{ epoch: 0 }, { epoch: 1, firstBlock: 3, closing: { number: 2, hash: hashOf(2) } }]);
    expect(block).toMatchObject({ number: 3, hash: hashOf(3), epoch: 1, view: 0 });
    const zero = await epoch('verify', '0', '--genesis', genesis());
    expect(zero.out).toContain(`block 0 ${chain.ledger.genesisHash} is the genesis`);
  });

  it('without a genesis file says on what it rests', async () => {
    const outcome = await epoch('verify');
    expect(outcome.code).toBe(0);
    expect(outcome.out).toContain(`block 7 ${hashOf(7)} is final`);
    expect(outcome.err).toContain(
      `everything rests on ${chain.ledger.genesisHash} being the genesis hash of your chain`,
    );
  });

  it('with the genesis of another chain proves nothing', async () => {
    const text = chain.genesisText.replace('"chainId": 1337', '"chainId": 1338');
    await writeFile(file('other.json'), text);
    const outcome = await epoch('verify', '--genesis', file('other.json'));
    expect(outcome.code).toBe(1);
    expect(outcome.err).toMatch(
      /^error: the hand-over to epoch 1 is not proven: .*; do not rely on who answered, ask another node\n$/,
    );
  });

  it('finds out a node that invents a validator set', async () => {
    const first = await chain.call<{ validators: object[] }>('xft_getEpoch', 1);
    const forged = { ...first, validators: first.validators.slice(0, 2) };
    const proof = await chain.call('xft_getFinalityProof', '0x3');
    const node = await startFakeNode({ xft_getEpoch: () => forged, xft_getFinalityProof: () => proof });
    try {
      const outcome = await run(['epoch', 'verify', '3', '--genesis', genesis(), '--rpc', node.url]);
      expect(outcome.code).toBe(1);
      expect(outcome.err).toContain('the list of validators is not the one the closing block names');
    } finally {
      await node.close();
    }
  });

  it('says so when the block does not exist, or is none', async () => {
    const above = await epoch('verify', '99', '--genesis', genesis());
    expect(above.code).toBe(1);
    expect(above.err).toContain('there is no final block 99 yet');
    expect(await epoch('verify', 'newest', '--genesis', genesis())).toMatchObject({ code: 2, out: '' });
    const missing = await epoch('verify', '--genesis', file('none.json'));
    expect(missing).toMatchObject({ code: 1, out: '' });
    expect(missing.err).toContain('there is no genesis file');
  });
});

describe('epoch export', () => {
  it('writes what verifies the same without a node', async () => {
    const out = file('epochs.json');
    expect(await epoch('export', '--out', out)).toMatchObject({ code: 0, out: '' });
    const online = await epoch('verify', '--genesis', genesis());
    await chain.stop();
    const offline = await run(['epoch', 'verify', '--genesis', genesis(), '--file', out]);
    expect(offline).toEqual(online);
    chain = await GovernedChain.start();
  });

  it('is of one block, and never overwrites', async () => {
    const out = file('epochs.json');
    expect(JSON.parse((await epoch('export', '4', '--out', out, '--json')).out)).toEqual({
      file: out,
      number: 4,
      epochs: 2,
    });
    expect((await epoch('export', '--out', out)).err).toContain('never overwritten');
    const other = await epoch('verify', '5', '--genesis', genesis(), '--file', out);
    expect(other.code).toBe(1);
    expect(other.err).toContain('has the proof of block 4, not 5');
    expect((await epoch('export', '99', '--out', file('x'))).err).toContain('has no final block 99');
  });

  it('a file that was changed is found out, and needs a genesis', async () => {
    const out = file('epochs.json');
    await epoch('export', '--out', out);
    const written = JSON.parse(await readFile(out, 'utf8'));
    expect(await epoch('verify', '--file', out)).toMatchObject({ code: 2, out: '' });
    const verified = async (content: unknown) => {
      await writeFile(file('changed.json'), JSON.stringify(content));
      return epoch('verify', '--genesis', genesis(), '--file', file('changed.json'));
    };
    const [, second, third] = written.epochs;
    expect((await verified({ ...written, epochs: [null, third, second] })).err).toContain('not proven');
    expect((await verified({ ...written, epochs: [null, second] })).err).toContain(
      'the hand-over to epoch 2 is not proven',
    );
    expect((await verified({ ...written, number: 6 })).err).toContain('the proof is about block 7');
    expect((await verified({ epochs: [] })).err).toContain('holds no epoch proofs');
    expect((await verified(7)).code).toBe(1);
  });
});
