/** Everybody who follows a recovered chain: stores verified and carried elsewhere, what JSON-RPC says, light clients. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { statusText } from '../../../cli/node-status.ts';
import type { Block } from '../../../ledger/block.ts';
import type { Ledger } from '../../../ledger/ledger.ts';
import { exportChain, importChain } from '../../../node/chain-transfer.ts';
import { type EpochView, epochView } from '../../../node/epoch-view.ts';
import { anchorOf, EpochWalk } from '../../../node/epoch-walk.ts';
import { finalityView } from '../../../node/finality-view.ts';
import { applyRecovery } from '../../../node/recovery.ts';
import { loadRecoveries } from '../../../node/recovery-files.ts';
import { type RecoveryStatement, statementDigest } from '../../../node/recovery-statement.ts';
import { replayFinal } from '../../../node/replay.ts';
import { proofAt, serveFinal } from '../../../node/serve.ts';
import { Stranded } from '../../../node/stranded.ts';
import { verifyChain } from '../../../node/verify-chain.ts';
import { run } from '../cli/run.ts';
import { addressOf, certify, extend, Network, person } from './fixtures.ts';

let root: string;
let network: Network;
let whole: RecoveryStatement;

const BASE = 6;
const HEAD = 9;

/** Three validators, of whom 1 is left, with block 6 certified and no more; it goes on with 7 to block 9. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quorate-recovery-'));
  network = await Network.create(root, { validators: 3, height: BASE });
  const certified = [5, 6].flatMap((height) => {
    const block = network.block(height);
    return [network.bodyOf(block), ...network.votesOf(block)];
  });
  await network.hold(1, { store: 4, log: certified });
  await network.makeFolder(7);
  whole = await network.agree([1], [0, 2], [7]);
  await applyRecovery({ dataDir: network.at(1), statement: whole });
  const { records } = await network.logOf(1);
  await network.withStore(1, async (ledger) => {
    replayFinal(ledger, records);
    await settled(ledger);
    const info = ledger.epochAfter(ledger.head.hash);
    while (ledger.head.height < HEAD) await extend(ledger, (block: Block) => certify(network.chain, info, { block }));
  });
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const settled = (ledger: Ledger) => new Promise<void>((done) => ledger.sync(() => done()));
const onLedger = <T>(run: (ledger: Ledger) => T | Promise<T>) => network.withStore(1, run);

describe('a recovered chain on disk', () => {
  test('verifies whole: blocks by those who decided then, the base by the statement', async () => {
    const report = await verifyChain({ dataDir: network.at(1) });
    expect(report).toMatchObject({ head: HEAD, proofs: 8 });
    await rm(join(network.at(1), 'recoveries'), { recursive: true });
    await expect(verifyChain({ dataDir: network.at(1) })).rejects.toThrow(
      /block 6: finality proof: .*block 7: epoch 1, expected 0/,
    );
  });

  test('is carried to a folder that has the statement, and only there across the break', async () => {
    const file = join(root, 'chain');
    const exported = await exportChain({ dataDir: network.at(1), out: file });
    expect(exported).toMatchObject({ from: 1, to: HEAD });
    await network.makeFolder('observer');
    const observer = network.at('observer');
    await expect(importChain({ dataDir: observer, file })).rejects.toMatchObject({
      code: 'VERIFY_FAILED',
      message: expect.stringMatching(/proof of block 6 is not valid \(it is a quorum certificate.*ends at block 4$/),
    });
    await applyRecovery({ dataDir: observer, statement: whole });
    expect(await importChain({ dataDir: observer, file })).toMatchObject({ imported: HEAD - 4, head: HEAD });
    expect(await verifyChain({ dataDir: observer })).toEqual(await verifyChain({ dataDir: network.at(1) }));
  });

  test('whose base is proven final stops without the statement above it, and says what to do', async () => {
    await network.makeFolder('observer');
    await network.hold('observer', { store: BASE });
    const file = join(root, 'chain');
    await exportChain({ dataDir: network.at(1), out: file });
    await expect(importChain({ dataDir: network.at('observer'), file })).rejects.toThrow(
      /block 7 is not valid \(other-epoch: 1, and nothing here has ended epoch 0; if the chain was recovered at block 6, .*recover apply first\).* ends at block 6$/,
    );
    await applyRecovery({ dataDir: network.at('observer'), statement: whole });
    expect(await importChain({ dataDir: network.at('observer'), file })).toMatchObject({ imported: 3, head: HEAD });
  });
});

describe('blocks served to others', () => {
  test('end with the epoch, and less than a finality proof is not called one', async () => {
    await onLedger((ledger) => {
      const heights = (from: number) => {
        const { blocks } = serveFinal(ledger, { kind: 'FETCH-FINAL', nonce: 1, from });
        return blocks.map(({ proof }) => proof?.height);
      };
      expect(heights(1)).toEqual([1, 2, 3, 4]);
      expect(heights(5)).toEqual([]);
      expect(heights(7)).toEqual([7, 8, 9]);
      expect(proofAt(ledger, BASE)).toBeUndefined();
      expect(finalityView(ledger, ledger.epochInfo(0)!, BASE)).toMatchObject({
        epoch: 0,
        signatures: [{ type: 'PREPARE' }, { type: 'COMMIT' }],
      });
    });
  });
});

describe('what is shown', () => {
  const view = (epoch: number) =>
    onLedger(async (ledger) => {
      const statements = (await loadRecoveries(network.at(1), network.chain)).map(({ statement }) => statement);
      return epochView({ ledger, info: ledger.epochInfo(epoch)!, multiaddrOf: () => undefined, statements });
    });

  test('by xft_getEpoch is the statement, where a closing proof would be', async () => {
    expect(await view(0)).toMatchObject({ epoch: 0, handover: null });
    expect(await view(1)).toMatchObject({
      epoch: 1,
      firstBlock: BASE + 1,
      validators: [{ address: addressOf(1) }, { address: addressOf(7) }],
      handover: { recovery: whole },
    });
  });

  test('by quorate status is where the chain was broken', () => {
    const digest = statementDigest(whole)!;
    const status = {
      role: 'observer' as const,
      epoch: 1,
      view: 0,
      primary: addressOf(1),
      group: [addressOf(1)],
      final: 9,
      head: 9,
      t: 0,
      validators: [],
      margin: 0,
    };
    expect(statusText({ ...status, breaks: [] })).not.toMatch(/RECOVERED/);
    expect(statusText({ ...status, breaks: [{ epoch: 0, block: 6, statement: digest }] })).toContain(
      `RECOVERED at block 6: epoch 0 was broken off by its operators, statement ${digest}`,
    );
  });

  describe('to a light client', () => {
    let answer: EpochView;
    let digest: string;
    beforeEach(async () => {
      answer = structuredClone(await view(1));
      digest = statementDigest(whole)!;
    });
    const walk = (...accepted: string[]) => new EpochWalk(anchorOf(network.genesis), new Set(accepted));

    test('is refused in plain words unless it knows the break to be in order', () => {
      expect(() => walk().enter(answer)).toThrow(
        `the chain was broken at block 6: the validators of epoch 0 did not hand over. Epoch 1 rests on a statement signed by ${addressOf(1)}, ${addressOf(7)}, of whom 1 were validators before, and confirmed by the operators ${person(1).operator}, ${person(7).operator}. Their reason: "the data centre burnt down". If you know this to be in order, give --accept-break ${digest}`,
      );
      expect(() => walk(`0x${'11'.repeat(32)}`).enter(answer)).toThrow(/was broken at block 6/);
    });

    test('is entered with the digest, and proves blocks from there on', async () => {
      const walking = walk(digest);
      expect(walking.enter(answer)).toMatchObject({
        epoch: 1,
        firstBlock: 7,
        validators: [addressOf(1), addressOf(7)],
        closing: undefined,
        broken: {
          number: 6,
          hash: network.block(6).hash,
          statement: digest,
          forced: false,
          signedBy: [addressOf(1), addressOf(7)],
          stayed: [addressOf(1)],
          confirmedBy: [person(1).operator, person(7).operator],
        },
      });
      const [eight, six] = await onLedger((ledger) => [
        finalityView(ledger, ledger.epochInfo(1)!, 8),
        finalityView(ledger, ledger.epochInfo(0)!, 6),
      ]);
      expect(walking.block(eight, 8)).toMatchObject({ number: 8, epoch: 1, signedBy: [addressOf(1)] });
      expect(() => walk().block(six, 6)).toThrow(
        /block 6 is not proven: it is certified, and no more: only the recovery/,
      );
      expect(() => walk().block(eight, 8)).toThrow(/it is from epoch 1, not 0/);
    });

    test('by quorate epoch verify fails, and with --accept-break says what it rests on', async () => {
      const file = join(root, 'epochs.json');
      const proof = await onLedger((ledger) => finalityView(ledger, ledger.epochInfo(1)!, HEAD));
      await writeFile(file, JSON.stringify({ version: 1, number: HEAD, epochs: [await view(0), answer], proof }));
      const verify = ['epoch', 'verify', '--genesis', join(network.at(1), 'genesis.json'), '--file', file];
      const refused = await run(verify);
      expect(refused.code).toBe(1);
      expect(refused.err).toMatch(
        /^error: the chain was broken at block 6: the validators of epoch 0 did not hand over/,
      );
      const accepted = await run([...verify, '--accept-break', digest]);
      expect(accepted).toMatchObject({ code: 0, err: '' });
      expect(accepted.out).toContain(
        `epoch 1: 2 validators, t = 0, NOT handed over: broken off after block 6 by statement`,
      );
      expect(accepted.out).toMatch(/block 9 0x\w+ is final: epoch 1/);
      expect(await run([...verify, '--accept-break', '0x12'])).toMatchObject({ code: 2 });
    });

    test('is refused when anything of it does not fit', () => {
      type Answer = EpochView & { handover: { recovery: RecoveryStatement } };
      const attempt = (change: (answer: Answer) => unknown) => {
        const copy = structuredClone(answer) as Answer;
        const handover = { recovery: change(copy) ?? copy.handover.recovery };
        return expect(() => walk(digest).enter({ ...copy, handover }));
      };
      const edit = (change: Partial<RecoveryStatement>) => (copy: Answer) => ({ ...copy.handover.recovery, ...change });
      attempt(edit({ reason: 'another' })).toThrow(/members\[0\].signature: is not that of/);
      attempt(edit({ chainId: 7 })).toThrow(/is not that of/);
      attempt(() => 'nothing').toThrow(/version: expected 1/);
      attempt(({ handover }) => {
        const members = handover.recovery.members.map((member) => ({ ...member, confirmation: null }));
        return { ...handover.recovery, members };
      }).toThrow(/has not confirmed/);
      attempt((copy) => {
        (copy.validators as unknown[]).pop();
      }).toThrow(/the list of validators is not its/);
      const other = { ...anchorOf(network.genesis), chainId: 7 };
      expect(() => new EpochWalk(other, new Set([digest])).enter(answer)).toThrow(/it is of another chain/);
      const later = walk(digest);
      later.enter(answer);
      expect(() => later.enter(answer)).toThrow(/it breaks epoch 0 off, not 1/);
    });
  });
});

describe('a node that lacks the statement', () => {
  test('says so when it has heard of a later epoch for long and got nowhere, once a minute', () => {
    const stranded = new Stranded();
    expect(stranded.due(0)).toBeUndefined();
    stranded.onLater(4, 1000);
    stranded.onLater(3, 5000);
    expect(stranded.due(10_999)).toBeUndefined();
    expect(stranded.due(11_000)).toBe(4);
    expect(stranded.due(70_999)).toBeUndefined();
    expect(stranded.due(71_000)).toBe(4);
  });

  test('does not while it is catching up', () => {
    const stranded = new Stranded();
    for (let now = 0; now < 100_000; now += 500) {
      stranded.onLater(2, now);
      if (now % 9000 === 0) stranded.onFinal();
      expect(stranded.due(now)).toBeUndefined();
    }
  });
});
