/** `quorate recover` on the folders of stopped nodes: what is proposed, signed and applied, and all that is refused. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DurableRecord } from '../../../consensus/durable.ts';
import { acquireLock } from '../../../node/lock.ts';
import { applyRecovery } from '../../../node/recovery.ts';
import { certificateOf, type RecoveryStatement, statementDigest } from '../../../node/recovery-statement.ts';
import { replayFinal } from '../../../node/replay.ts';
import { memberKeys } from '../ledger/fixtures.ts';
import { addressOf, confirmAll, hexOf, Network, person, secretOf } from './fixtures.ts';

let root: string;
const servers: Server[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quorate-recovery-'));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((done) => server.close(done))));
  await rm(root, { recursive: true, force: true });
});

const make = (validators: number, height = 4, addresses: Record<number, string> = {}) =>
  Network.create(root, { validators, height, addresses });
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'RECOVERY_REFUSED', message: expect.stringMatching(message) });
const conflict = (message: RegExp) =>
  expect.objectContaining({ code: 'RECOVERY_CONFLICT', message: expect.stringMatching(message) });
const apply = (network: Network, name: number | string, statement: RecoveryStatement) =>
  applyRecovery({ dataDir: network.at(name), statement });
const forgot = async (network: Network, n: number) =>
  (await network.logOf(n)).records.some(({ kind }) => kind === 'forgot');

/** Somebody listens at a multiaddr that is returned. */
async function listen(): Promise<string> {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  return `/ip4/127.0.0.1/tcp/${port}`;
}

describe('a network of five that lost three', () => {
  test('goes on with the other two: proposed, signed, confirmed, applied', async () => {
    const network = await make(5);
    for (const n of [1, 3]) await network.hold(n, { store: 4 });
    const { statement: proposed, isSigned, overruled } = await network.propose(1, [0, 2, 4]);
    expect({ isSigned, overruled }).toEqual({ isSigned: true, overruled: [] });
    const { incarnation } = await network.logOf(1);
    expect(proposed).toMatchObject({
      chainId: 1337,
      genesisHash: network.chain.genesisHash,
      epoch: 0,
      base: { number: 4, hash: network.block(4).hash },
      certificate: hexOf(network.certify(network.block(4), 'FP')),
      removed: [0, 2, 4].map(addressOf),
      members: [
        { ...person(1), multiaddr: '', incarnation, confirmation: null },
        { ...person(3), multiaddr: '', incarnation: null, signature: null },
      ],
      forced: false,
    });
    const signed = await network.sign(3, proposed);
    expect(signed.members[1]!.incarnation).toBe((await network.logOf(3)).incarnation);
    const whole = confirmAll(signed, [1, 3]);
    const { digest, path, head } = await apply(network, 1, whole);
    expect({ digest, path, head }).toEqual({
      digest: statementDigest(whole),
      path: join(network.at(1), 'recoveries', '0.json'),
      head: 4,
    });
    await apply(network, 3, whole);
    await network.withStore(3, (ledger) => {
      expect(ledger.epochAfter(ledger.head.hash)).toMatchObject({ epoch: 1, members: [person(1), person(3)] });
      const { lives } = ledger.governanceAfter(ledger.head.hash);
      expect(lives.map((life) => life.incarnation)).toEqual(whole.members.map((member) => member.incarnation));
    });
  });

  test('takes in replacements, whose folders are new, and observers', async () => {
    const network = await make(5);
    await network.hold(3, { store: 4 });
    await network.makeFolder(7);
    await network.makeFolder('observer');
    const whole = await network.agree([3], [0, 1, 2, 4], [7]);
    expect(whole.members[1]).toMatchObject({ ...person(7), multiaddr: '/ip4/10.0.0.7/tcp/30300' });
    for (const name of [3, 7, 'observer']) await apply(network, name, whole);
    // Nothing was promised by a key that never was a validator's.
    expect(await forgot(network, 7)).toBe(false);
    expect(await forgot(network, 3)).toBe(true);
    await network.hold('observer', { store: 4 });
    await network.withStore('observer', (ledger) => {
      expect(ledger.epochAfter(ledger.head.hash).epoch).toBe(1);
    });
  });

  test('is proposed from an observer as well, which signs nothing', async () => {
    const network = await make(5);
    await network.makeFolder('observer');
    await network.hold('observer', { store: 3 });
    const { statement, isSigned } = await network.propose('observer', [0, 1, 2]);
    expect(isSigned).toBe(false);
    expect(statement.base.number).toBe(3);
    await network.hold(3, { store: 3 });
    expect((await network.sign(3, statement)).members.map(({ signature }) => signature === null)).toEqual([
      false,
      true,
    ]);
    // Another who stays knows more.
    await network.hold(4, { store: 4 });
    await expect(network.sign(4, statement)).rejects.toEqual(conflict(/block 4 is final in .*make a statement here/));
  });
});

describe('the base', () => {
  const inLog = (network: Network, heights: number[]): DurableRecord[] =>
    heights.flatMap((height) => [network.bodyOf(network.block(height)), ...network.votesOf(network.block(height))]);

  test('is what the follower of two had signed: its primary may have shown it as final', async () => {
    const network = await make(3, 6);
    await network.hold(1, { store: 4, log: inLog(network, [5, 6]) });
    const whole = await network.agree([1], [0, 2]);
    expect(whole.base).toEqual({ number: 6, hash: network.block(6).hash });
    expect(certificateOf(whole)).toEqual(network.certify(network.block(6), 'QC'));
    // Only certified so far, so it is not final in the folder before the statement is applied.
    await network.withStore(1, (ledger) => expect(ledger.head.height).toBe(4));
    await apply(network, 1, whole);
    const { records } = await network.logOf(1);
    await network.withStore(1, async (ledger) => {
      const { delivered } = replayFinal(ledger, records);
      expect(delivered).toEqual({ height: 6, hash: network.block(6).hash });
      expect(ledger.epochAfter(delivered.hash).epoch).toBe(1);
    });
    // Who had the same in another folder signs; what a removed one has makes no difference.
    await network.withStore(1, (ledger) =>
      expect(ledger.proof(6)).toEqual(Buffer.from(whole.certificate.slice(2), 'hex')),
    );
  });

  test('is a logged certificate, above what is proven final, and in a later view if there is one', async () => {
    const network = await make(5, 6);
    const [five, six] = [network.block(5), network.block(6)];
    const log: DurableRecord[] = [
      network.bodyOf(five),
      network.bodyOf(six),
      { kind: 'certificate', certificate: network.certify(six, 'QC') },
    ];
    await network.hold(1, { store: 4, log });
    const later: DurableRecord[] = [
      { kind: 'view', view: 1, suspects: [], viewChange: undefined },
      { kind: 'certificate', certificate: network.certify(five, 'QC', 1) },
    ];
    await network.hold(3, { store: 4, log: [network.bodyOf(five), ...later] });
    const { statement: atSix } = await network.propose(1, [0, 2, 4]);
    expect(atSix.base.number).toBe(6);
    await expect(network.sign(3, atSix)).rejects.toEqual(refused(/knows of block 5, certified after block 6/));
    expect(await forgot(network, 3)).toBe(false);
    const { statement: atFive } = await network.propose(3, [0, 2, 4]);
    expect(atFive.base.number).toBe(5);
    await network.sign(1, atFive);
  });

  test('is block 0 of a chain that never began', async () => {
    const network = await make(3, 0);
    const whole = await network.agree([2], [0, 1]);
    expect(whole).toMatchObject({ base: { number: 0, hash: network.chain.genesisHash }, certificate: '0x' });
    await apply(network, 2, whole);
    await network.withStore(2, (ledger) => expect(ledger.epochAfter(ledger.head.hash).epoch).toBe(1));
  });

  test('that is certified and not here is given up only by force', async () => {
    const network = await make(3, 6);
    const log: DurableRecord[] = [{ kind: 'certificate', certificate: network.certify(network.block(6), 'FP') }];
    await network.hold(1, { store: 4, log });
    await network.hold(2, { store: 4 });
    await expect(network.propose(1, [0, 2])).rejects.toEqual(
      refused(/block 6 may have been shown .* on a node that does/),
    );
    const { statement, overruled } = await network.propose(1, [0, 2], { force: true });
    expect(statement).toMatchObject({ base: { number: 4 }, forced: true });
    expect(overruled).toEqual([expect.stringMatching(/^block 6 may have been shown to clients as final/)]);
  });

  test('without a proof of its own is no base', async () => {
    const network = await make(3);
    await network.hold(1, { store: 4, proven: (height) => height < 4 });
    await expect(network.propose(1, [0, 2])).rejects.toEqual(refused(/block 4, .*, has no proof of its own there/));
  });
});

describe('while the old validators could still be alive', () => {
  test('it is refused: at most t are to go', async () => {
    const network = await make(5);
    await network.hold(1, { store: 4 });
    const message = /2 of 5 validators are to go and the chain tolerates 2: .* quorate validator propose/;
    await expect(network.propose(1, [0, 2])).rejects.toEqual(refused(message));
    await expect(network.propose(1, [0, 2], { force: true })).rejects.toEqual(refused(message));
  });

  test('it is refused: one of them can be reached, from here or from who signs', async () => {
    const address = await listen();
    const network = await make(3, 4, { 0: address });
    await network.hold(1, { store: 4 });
    await expect(network.propose(1, [0, 2])).rejects.toEqual(
      refused(new RegExp(`${addressOf(0)} at ${address} can be`)),
    );
    const { statement, overruled } = await network.propose(1, [0, 2], { force: true });
    expect(statement.forced).toBe(true);
    expect(overruled).toHaveLength(1);
    const honest = { ...statement, forced: false, members: statement.members.map(unsigned) };
    await expect(network.sign(1, honest)).rejects.toEqual(refused(/can be reached from here/));
    await network.sign(1, statement);
    await new Promise((done) => servers.pop()!.close(done));
    expect(await network.propose(1, [0, 2], { force: true })).toMatchObject({
      statement: { forced: false },
      overruled: [],
    });
  });

  test('it is refused: those who stay are the whole group of the view', async () => {
    const network = await make(4);
    await network.hold(0, { store: 4 });
    await expect(network.propose(0, [2, 3])).rejects.toEqual(refused(/2 validators whose word .* in view 0 all stay/));
    const view: DurableRecord = { kind: 'view', view: 1, suspects: [], viewChange: undefined };
    await network.append(0, [view]);
    expect((await network.propose(0, [2, 3])).statement.forced).toBe(false);
  });
});

const unsigned = (member: RecoveryStatement['members'][0]) => ({
  ...member,
  incarnation: null,
  signature: null,
  confirmation: null,
});

describe('a proposal', () => {
  test('names validators that are there, once, and new ones that can be', async () => {
    const network = await make(3);
    await network.hold(1, { store: 4 });
    const attempt = (removed: number[], added: number[] = []) => network.propose(1, removed, { added });
    await expect(attempt([0, 9])).rejects.toEqual(refused(/is no validator of the newest epoch here; the list is 0x/));
    await expect(attempt([0, 0])).rejects.toEqual(refused(/is removed twice/));
    await expect(attempt([0, 1, 2])).rejects.toEqual(refused(/no validator would be left/));
    await expect(attempt([0, 2], [1])).rejects.toEqual(refused(/would be there twice/));
    await expect(network.propose(1, [0, 2], { reason: 'x'.repeat(501) })).rejects.toEqual(
      refused(/reason: expected one/),
    );
    expect(await forgot(network, 1)).toBe(false);
  });

  test('needs the folder of a stopped node, whose log is not ahead of its store', async () => {
    const network = await make(3);
    const lock = await acquireLock(network.at(1));
    await expect(network.propose(1, [0, 2])).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    await lock.release();
    await network.append(1, [{ kind: 'epoch', epoch: 2, self: 1, forgot: false, rolledBack: false }]);
    await expect(network.propose(1, [0, 2])).rejects.toEqual(
      refused(/log .* is in epoch 2 and its store only in epoch 0/),
    );
  });
});

describe('a signature', () => {
  let network: Network;
  let statement: RecoveryStatement;
  beforeEach(async () => {
    network = await make(5);
    for (const n of [1, 3]) await network.hold(n, { store: 4 });
    ({ statement } = await network.propose(1, [0, 2, 4]));
  });

  test('gives up signing in the broken epoch for good, before it leaves', async () => {
    expect(await forgot(network, 1)).toBe(true);
    expect(await forgot(network, 3)).toBe(false);
    await network.sign(3, statement);
    expect(await forgot(network, 3)).toBe(true);
    // Doing it again is fine, and says the same.
    const again = await network.sign(3, statement);
    expect(again).toEqual(await network.sign(3, statement));
  });

  test('is not given with a log that peers have shown to be an old copy', async () => {
    await network.append(3, [{ kind: 'forgot', rolledBack: true }]);
    await expect(network.sign(3, statement)).rejects.toEqual(refused(/is an old copy, .* move its guard folder away/));
  });

  test('is only for members of the new list, with their own key', async () => {
    await network.hold(4, { store: 4 });
    await network.makeFolder('observer');
    await expect(network.sign(4, statement)).rejects.toEqual(
      refused(/is none of the new list, so it has nothing to sign/),
    );
    await expect(
      import('../../../node/recovery.ts').then(({ signRecovery }) =>
        signRecovery({ dataDir: network.at(3), statement, secret: secretOf(4) }),
      ),
    ).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
    expect(await forgot(network, 3)).toBe(false);
  });

  test('is refused by who knows of a newer block, in its store or only in its log', async () => {
    await network.grow(6);
    const newer: DurableRecord = { kind: 'certificate', certificate: network.certify(network.block(6), 'QC') };
    await network.append(3, [newer]);
    await expect(network.sign(3, statement)).rejects.toEqual(refused(/knows of block 6, certified after block 4/));
    await network.hold(1, { store: 5 });
    await expect(network.sign(1, statement)).rejects.toEqual(conflict(/block 5 is final in /));
  });

  test('is refused for another chain, another list, and a base that was never certified', async () => {
    const draft = { ...statement, members: statement.members.map(unsigned) };
    const attempt = (change: Partial<RecoveryStatement>) => network.sign(3, { ...draft, ...change });
    await expect(attempt({ chainId: 1 })).rejects.toMatchObject({ code: 'GENESIS_MISMATCH' });
    await expect(attempt({ removed: [0, 2].map(addressOf) })).rejects.toEqual(refused(/2 of 5 validators do not stop/));
    await expect(attempt({ removed: [0, 2, 9].map(addressOf) })).rejects.toEqual(
      refused(/was no validator of epoch 0/),
    );
    const [one, three] = draft.members;
    await expect(attempt({ members: [three!, one!] })).rejects.toEqual(refused(/that stay must come first/));
    await expect(attempt({ members: [three!] })).rejects.toEqual(refused(/that stay must come first/));
    const moved = { ...one!, operator: person(9).operator };
    await expect(attempt({ members: [moved, three!] })).rejects.toEqual(refused(/that stay must come first/));
    const added = { ...unsigned(three!), ...person(9), operator: person(9).validator };
    await expect(attempt({ members: [one!, three!, added] })).rejects.toEqual(refused(/use three different keys/));
    await network.grow(5);
    const base = { number: 5, hash: network.block(5).hash };
    const alone = { ...network.certify(network.block(5), 'FP'), seals: [] };
    await expect(attempt({ base, certificate: hexOf(alone) })).rejects.toEqual(refused(/have not certified its base/));
    await expect(attempt({ base: { ...base, number: 3, hash: network.block(3).hash } })).rejects.toEqual(
      conflict(/block 4/),
    );
    expect(await forgot(network, 3)).toBe(false);
  });

  test('by a folder that is behind is for who never signed in that epoch only', async () => {
    await network.makeFolder(7);
    const { statement: withNew } = await network.propose(1, [0, 2, 4], { added: [7] });
    expect((await network.sign(7, withNew)).members[2]!.signature).not.toBeNull();
    // Back from epoch 1 to an old copy: it would promise nothing about the epoch that is broken off.
    const later = { ...withNew, epoch: 1 };
    await expect(network.sign(3, later)).rejects.toEqual(refused(/has not reached epoch 1, .* start the node until/));
  });
});

describe('applying', () => {
  let network: Network;
  let whole: RecoveryStatement;
  beforeEach(async () => {
    network = await make(3, 5);
    await network.hold(1, { store: 4 });
    whole = await network.agree([1], [0, 2]);
  });

  test('needs every signature', async () => {
    const { members } = whole;
    const half = { ...whole, members: members.map((member) => ({ ...member, confirmation: null })) };
    await expect(apply(network, 1, half)).rejects.toEqual(refused(/not complete: operator 0x\w+ has not confirmed/));
    await expect(apply(network, 1, { ...half, members: members.map(unsigned) })).rejects.toEqual(
      refused(/has not signed/),
    );
    expect(await readdir(network.at(1))).not.toContain('recoveries');
  });

  test('once more changes nothing, and another statement for the same epoch is refused', async () => {
    const first = await apply(network, 1, whole);
    expect(await apply(network, 1, whole)).toEqual(first);
    await network.makeFolder('other');
    await apply(network, 'other', whole);
    const { incarnation, signature } = whole.members[0]!;
    expect([incarnation, signature]).not.toContain(null);
    await expect(
      network.sign(1, { ...whole, reason: 'another', members: whole.members.map(unsigned) }),
    ).rejects.toEqual(conflict(/another recovery of epoch 0, 0x\w{64}, is applied/));
    await expect(network.propose(1, [0, 2])).rejects.toEqual(refused(/is no validator of the newest epoch/));
    const elsewhere = { ...whole, reason: 'another', members: whole.members.map(unsigned) };
    const { validator } = memberKeys(1);
    const { withSignature } = await import('../../../node/recovery-statement.ts');
    const by = { validator: validator.address, incarnation: incarnation!, privateKey: validator.secret };
    const second = confirmAll(withSignature(elsewhere, by), [1]);
    for (const name of [1, 'other']) {
      await expect(apply(network, name, second)).rejects.toEqual(
        conflict(/another recovery of epoch 0, 0x\w{64}, is applied/),
      );
    }
  });

  test('is refused where the old epoch has gone on: what is final there must not be lost unseen', async () => {
    await network.hold(2, { store: 5 });
    await expect(apply(network, 2, whole)).rejects.toEqual(conflict(/block 5 is final in .* make a statement here/));
    await network.hold(0, { store: 3 });
    expect(await apply(network, 0, whole)).toMatchObject({ head: 3 });
    await network.hold(0, { store: 4 });
    await network.withStore(0, (ledger) => expect(ledger.epochAfter(ledger.head.hash).epoch).toBe(1));
  });

  test('is refused on another chain', async () => {
    const other = { ...whole, genesisHash: `0x${'12'.repeat(32)}` };
    await expect(apply(network, 1, other)).rejects.toMatchObject({ code: 'GENESIS_MISMATCH' });
  });
});
