/** The statement of a recovery by itself: its file, what is signed, and every way in which it can be wrong. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { confirmRecovery } from '../../../node/recovery.ts';
import { loadRecoveries, readStatement, replaceStatement, storeRecovery } from '../../../node/recovery-files.ts';
import {
  missingSignatures,
  parseStatement,
  type RecoveryStatement,
  recoveryOf,
  statementDigest,
  statementText,
  withSignature,
} from '../../../node/recovery-statement.ts';
import { concat, fromHex, toHex, utf8 } from '../../../primitives/bytes.ts';
import { keccak256, keccakHash } from '../../../primitives/keccak.ts';
import { Problems } from '../../../primitives/parse.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';
import { privateKeyAddress, publicKey, recoverAddress } from '../../../primitives/secp256k1.ts';
import { memberKeys } from '../ledger/fixtures.ts';
import { addressOf, confirmAll, hexOf, Network, person } from './fixtures.ts';

let root: string;
let network: Network;
/** By members 1 (who stays) and 5 (who is new); 0 and 2 are gone. */
let draft: RecoveryStatement;
let whole: RecoveryStatement;

const LIFE = (n: number) => '0x' + n.toString(16).padStart(32, '0');

function signedBy(statement: RecoveryStatement, n: number, life = n): RecoveryStatement {
  const { validator } = memberKeys(n);
  const by = { validator: validator.address, incarnation: LIFE(life), privateKey: validator.secret };
  return withSignature(statement, by);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'quorate-recovery-'));
  network = await Network.create(root, { validators: 3, height: 4 });
  const block = network.block(4);
  const unsigned = { incarnation: null, signature: null, confirmation: null };
  draft = {
    version: 1,
    chainId: 1337,
    genesisHash: network.chain.genesisHash,
    epoch: 0,
    base: { number: 4, hash: block.hash },
    certificate: hexOf(network.certify(block, 'QC')),
    removed: [addressOf(0), addressOf(2)],
    members: [
      { ...person(1), multiaddr: '', ...unsigned },
      { ...person(5), multiaddr: '/dns/five.example/tcp/30300', ...unsigned },
    ],
    reason: 'two disks, one fire – “gone”',
    forced: false,
  };
  whole = confirmAll(signedBy(signedBy(draft, 1), 5), [1, 5]);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

function parse(value: unknown): { statement: RecoveryStatement | undefined; problems: readonly string[] } {
  const problems = new Problems();
  return { statement: parseStatement(value, problems), problems: problems.list };
}

describe('the file', () => {
  test('is read back as it was, at every stage', () => {
    for (const statement of [draft, signedBy(draft, 5), signedBy(signedBy(draft, 1), 5), whole]) {
      expect(parse(JSON.parse(statementText(statement)))).toEqual({ statement, problems: [] });
    }
  });

  test('names every wrong field', () => {
    const wrong: [path: string, value: unknown][] = [
      ['version', 2],
      ['chainId', '1337'],
      ['genesisHash', '0x12'],
      ['epoch', -1],
      ['base', []],
      ['base.number', 1.5],
      ['base.hash', null],
      ['base.more', 1],
      ['certificate', '0xZZ'],
      ['certificate', `${draft.certificate.slice(0, -2)}FF`],
      ['certificate', 7],
      ['removed', 'none'],
      ['removed', []],
      ['removed[1]', '0x00'],
      ['members', {}],
      ['members', []],
      ['members[0]', 'one'],
      ['members[0].validator', 3],
      ['members[0].nodeKey', '0x02'],
      ['members[0].operator', undefined],
      ['members[1].multiaddr', '10.0.0.1:30300'],
      ['members[1].incarnation', '0x12'],
      ['members[1].signature', 'me'],
      ['members[1].confirmation', `0x${'AB'.repeat(65)}`],
      ['members[1].weight', 1],
      ['reason', ''],
      ['reason', 'x'.repeat(501)],
      ['reason', 'two\nlines'],
      ['reason', 'red \u001b[31m'],
      ['forced', 'no'],
      ['policy', {}],
    ];
    for (const [path, value] of wrong) {
      const copy = structuredClone(whole) as unknown;
      const keys = path.replaceAll(/\[(\d)\]/g, '.$1').split('.');
      const last = keys.pop()!;
      const target = keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], copy);
      (target as Record<string, unknown>)[last] = value;
      const { statement, problems } = parse(copy);
      expect(statement, path).toBeUndefined();
      expect(
        problems.map((problem) => problem.split(':')[0]),
        path,
      ).toContain(path);
    }
    for (const value of [null, 7, [], 'text']) expect(parse(value).statement).toBeUndefined();
  });

  test('must not contradict itself', () => {
    const problem = (change: Partial<RecoveryStatement>) => parse({ ...draft, ...change }).problems.join('; ');
    const { members, base } = draft;
    expect(problem({ certificate: '0xc0' })).toBe('certificate: cannot be decoded');
    expect(problem({ base: { ...base, number: 3 } })).toMatch(/^certificate: is about block 4 /);
    expect(problem({ base: { number: 0, hash: base.hash } })).toMatch(/^certificate: expected 0x, since nobody signs/);
    expect(parse({ ...draft, certificate: '0x', base: { number: 0, hash: draft.genesisHash } }).problems).toEqual([]);
    expect(problem({ removed: [addressOf(0), addressOf(0)] })).toMatch(/^removed\[1\]: .* is named twice/);
    expect(problem({ removed: [addressOf(0), addressOf(1)] })).toMatch(/^members\[0\].validator: .* is named twice/);
    expect(problem({ members: [members[0]!, members[0]!] })).toMatch(/members\[1\].nodeKey: .* is named twice/);
    expect(problem({ members: [{ ...members[0]!, incarnation: LIFE(1) }] })).toMatch(
      /members\[0\].signature: comes together/,
    );
  });
});

describe('what is signed', () => {
  test('is everything: any change takes all signatures away', () => {
    const changes: Partial<RecoveryStatement>[] = [
      { chainId: 1 },
      { genesisHash: `0x${'11'.repeat(32)}` },
      { epoch: 1 },
      { certificate: hexOf(network.certify(network.block(4), 'FP')) },
      { removed: [addressOf(2), addressOf(0)] },
      { members: [whole.members[1]!, whole.members[0]!] },
      { members: [whole.members[0]!, { ...whole.members[1]!, multiaddr: '/dns/six.example/tcp/30300' }] },
      { members: [whole.members[0]!, { ...whole.members[1]!, nodeKey: person(6).nodeKey }] },
      { members: [whole.members[0]!, { ...whole.members[1]!, operator: person(6).operator }] },
      { reason: 'another' },
      { forced: true },
    ];
    for (const change of changes) {
      const { problems } = parse({ ...whole, ...change });
      expect(problems).toHaveLength(4);
      for (const problem of problems) expect(problem).toMatch(/(signature|confirmation): is not that of 0x/);
      expect(statementDigest({ ...whole, ...change })).not.toBe(statementDigest(whole));
    }
  });

  test('by a validator is its own life only, by operators all of them', () => {
    const [one, five] = [signedBy(draft, 1), signedBy(draft, 5)];
    const both = { ...draft, members: [one.members[0]!, five.members[1]!] };
    expect(parse(both)).toEqual({ statement: both, problems: [] });
    const swapped = { ...whole, members: [{ ...whole.members[0]!, incarnation: LIFE(9) }, whole.members[1]!] };
    expect(parse(swapped).problems).toEqual([
      `members[0].signature: is not that of ${addressOf(1)} on this statement`,
      expect.stringMatching(/^members\[0\].confirmation/),
      expect.stringMatching(/^members\[1\].confirmation/),
    ]);
    expect(statementDigest(signedBy(whole, 1, 9))).not.toBe(statementDigest(whole));
  });

  test('by one key counts for nobody else, nor as a confirmation', () => {
    const [first, second] = whole.members as [(typeof whole.members)[0], (typeof whole.members)[0]];
    const lent = [first, { ...second, signature: first.signature }];
    expect(parse({ ...whole, members: lent }).problems).toEqual([expect.stringMatching(/^members\[1\].signature/)]);
    const confirmed = [first, { ...second, confirmation: first.confirmation }];
    expect(parse({ ...whole, members: confirmed }).problems).toEqual([expect.stringMatching(/^members\[1\].conf/)]);
  });

  test('is confirmed only once all validators have signed, and again when one signs anew', () => {
    const half = signedBy(draft, 1);
    expect(missingSignatures(half)).toEqual([`validator ${addressOf(5)} has not signed: quorate recover sign`]);
    expect(statementDigest(half)).toBeUndefined();
    expect(() => confirmRecovery(half, memberKeys(1).operator.secret)).toThrow(
      `it is too early to confirm: validator ${addressOf(5)} has not signed`,
    );
    expect(() => confirmRecovery(whole, memberKeys(0).operator.secret)).toThrow(
      `${person(0).operator} is the operator of no validator in the new list`,
    );
    const ready = signedBy(half, 5);
    expect(missingSignatures(ready)).toEqual([
      `operator ${person(1).operator} has not confirmed: quorate recover confirm`,
      `operator ${person(5).operator} has not confirmed: quorate recover confirm`,
    ]);
    expect(missingSignatures(whole)).toEqual([]);
    const again = signedBy(whole, 5, 6);
    expect(again.members.map(({ confirmation }) => confirmation)).toEqual([null, null]);
    expect(parse(again).problems).toEqual([]);
  });

  test('is confirmed at once for all members of one operator', () => {
    const members = draft.members.map((member) => ({ ...member, operator: person(1).operator }));
    const shared = confirmAll(signedBy(signedBy({ ...draft, members }, 1), 5), [1]);
    expect(missingSignatures(shared)).toEqual([]);
    expect(parse(shared).problems).toEqual([]);
  });

  test('is named by one digest, which the ledger puts into the chain', () => {
    const { digest, ...recovery } = recoveryOf(whole);
    expect(digest).toBe(statementDigest(whole));
    expect(recovery).toMatchObject({
      epoch: 0,
      base: { height: 4, hash: network.block(4).hash },
      members: [
        { ...person(1), multiaddr: '', incarnation: LIFE(1) },
        { ...person(5), multiaddr: '/dns/five.example/tcp/30300', incarnation: LIFE(5) },
      ],
    });
    const { chainId, genesisHash, epoch, base, certificate, removed, members, reason } = whole;
    const list = members.map((m) => [m.validator, m.nodeKey, m.operator, utf8(m.multiaddr)]);
    const head = [chainId, genesisHash, epoch, base.number, base.hash, certificate, removed, list, utf8(reason), 0];
    const lives = [LIFE(1), LIFE(5)];
    expect(digest).toBe(keccakHash(rlpEncode([utf8('quorate/RECOVERY/1'), ...head, lives])));
    expect(() => recoveryOf(draft)).toThrow('not complete');
  });
});

describe('files of statements', () => {
  const at = (name: string) => join(root, name);

  test('that cannot be used are refused with the reason', async () => {
    await expect(readStatement(at('absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await writeFile(at('torn.json'), '{"version": 1');
    await expect(readStatement(at('torn.json'))).rejects.toMatchObject({ code: 'RECOVERY_INVALID' });
    await writeFile(at('long.json'), ' '.repeat(300_000));
    await expect(readStatement(at('long.json'))).rejects.toThrow(/over 262144 characters/);
    await writeFile(at('wrong.json'), JSON.stringify({ ...draft, epoch: 'zero', reason: 7 }));
    await expect(readStatement(at('wrong.json'))).rejects.toThrow(/epoch: expected .*; reason: expected/);
  });

  test('are replaced as a whole', async () => {
    await replaceStatement(at('statement.json'), draft);
    await replaceStatement(at('statement.json'), whole);
    expect(await readStatement(at('statement.json'))).toEqual(whole);
    await expect(replaceStatement(at('no/such/folder.json'), whole)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });

  test('applied to a folder are found by their epoch, complete, and of this chain', async () => {
    const folder = at('applied');
    expect(await loadRecoveries(folder, network.chain)).toEqual([]);
    await network.makeFolder('applied');
    const path = await storeRecovery(folder, whole);
    expect(path).toBe(join(folder, 'recoveries', '0.json'));
    await writeFile(join(folder, 'recoveries', 'notes.txt'), 'not one');
    expect(await loadRecoveries(folder, network.chain)).toEqual([{ statement: whole, recovery: recoveryOf(whole) }]);
    const other = { ...network.chain, genesisHash: `0x${'44'.repeat(32)}` };
    await expect(loadRecoveries(folder, other)).rejects.toMatchObject({ code: 'GENESIS_MISMATCH' });
    await writeFile(join(folder, 'recoveries', '3.json'), await readFile(path));
    await expect(loadRecoveries(folder, network.chain)).rejects.toThrow(/3.json .*it is about epoch 0/);
    await rm(join(folder, 'recoveries', '3.json'));
    await writeFile(path, statementText(signedBy(whole, 1)));
    await expect(loadRecoveries(folder, network.chain)).rejects.toThrow(/operator 0x\w+ has not confirmed/);
  });
});

describe('docs/wire.md', () => {
  const page = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8');
  const shown = (name: string): string => {
    const fence = new RegExp('^```recovery ' + name + '\\n([^`]*)^```$', 'm').exec(page);
    return (fence?.[1] ?? '').replaceAll(/\s/g, '');
  };
  const genesisHash = keccakHash(utf8('genesis'));
  const key = (n: number) => concat(new Uint8Array(31), Uint8Array.of(n));
  const sample: RecoveryStatement = {
    version: 1,
    chainId: 4242,
    genesisHash,
    epoch: 0,
    base: { number: 0, hash: genesisHash },
    certificate: '0x',
    removed: [privateKeyAddress(key(9))],
    members: [
      {
        validator: privateKeyAddress(key(1)),
        nodeKey: toHex(publicKey(key(2))),
        operator: privateKeyAddress(key(3)),
        multiaddr: '/ip4/10.0.0.1/tcp/30300',
        incarnation: null,
        signature: null,
        confirmation: null,
      },
    ],
    reason: 'flood',
    forced: false,
  };
  const incarnation = toHex(keccak256(utf8('incarnation 0')).subarray(0, 16));

  test('shows what a member signs, and what operators sign', () => {
    const { validator, nodeKey, operator, multiaddr } = sample.members[0]!;
    const members = [[validator, nodeKey, operator, utf8(multiaddr)]];
    const head = [4242, genesisHash, 0, 0, genesisHash, '0x', sample.removed, members, utf8('flood'), 0];
    const member = rlpEncode([utf8('quorate/RECOVERY-MEMBER/1'), ...head, validator, incarnation]);
    const whole = rlpEncode([utf8('quorate/RECOVERY/1'), ...head, [incarnation]]);
    expect(shown('member')).toBe(toHex(member));
    expect(shown('whole')).toBe(toHex(whole));
    const signed = withSignature(sample, { validator, incarnation, privateKey: key(1) });
    expect(recoverAddress(keccak256(member), fromHex(signed.members[0]!.signature!)!)).toBe(validator);
    expect(statementDigest(signed)).toBe(keccakHash(whole));
    const confirmed = confirmRecovery(signed, key(3));
    expect(recoverAddress(keccak256(whole), fromHex(confirmed.members[0]!.confirmation!)!)).toBe(operator);
    expect(parse(confirmed).problems).toEqual([]);
  });
});
