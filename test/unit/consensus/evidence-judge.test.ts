/** The judge: each kind of fault is convicted on what shows it, and on nothing that a correct validator could sign. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEvidence, encodeEvidence } from '../../../consensus/evidence-codec.ts';
import { type JudgeContext, judgeEvidence, type Verdict } from '../../../consensus/evidence-judge.ts';
import { makeSchedule } from '../../../consensus/groups.ts';
import type { Certificate, Evidence, EvidenceKind, SignedMessage } from '../../../consensus/message.ts';
import { votesOf } from '../../../consensus/statement.ts';
import { utf8 } from '../../../primitives/bytes.ts';
import { keccakHash } from '../../../primitives/keccak.ts';
import { certificate, newView, vcFinal, viewChange, vote } from '../../paper/lies.ts';
import { Cluster, ROOT } from './cluster.ts';
import { BLOCK_PORTS, makeBlock, readBlock } from './test-block.ts';

const A = makeBlock(ROOT, 1, 'a');
const B = makeBlock(ROOT, 1, 'b');
const [a, b] = [readBlock(A)!, readBlock(B)!];
const A2 = makeBlock(a.hash, 2, 'on a');
const a2 = readBlock(A2)!;
const OPENED = keccakHash(utf8('some opening'));

/** Of three: view 0 is 0 and 1, view 1 is 2 and 0. */
const three = Cluster.started(3);
/** Of five: view 0 is 0, 1 and 2, view 1 is 1, 0 and 3. */
const five = Cluster.started(5);

function contextOf(cluster: Cluster, more: Partial<JudgeContext> = {}): JudgeContext {
  const { config, keys } = cluster;
  return { config, schedule: makeSchedule(cluster.nodes.length), recover: keys.recover, ...BLOCK_PORTS, ...more };
}

type Found = Partial<Pick<Evidence, 'headers' | 'block' | 'culprit'>>;

function piece(kind: EvidenceKind, messages: readonly SignedMessage[], found: Found = {}): Evidence {
  return { kind, epoch: 0, culprit: messages[0]!.signer, messages, headers: [], block: undefined, ...found };
}

/** As it comes from a stranger: through its bytes. */
function judge(cluster: Cluster, evidence: Evidence, more: Partial<JudgeContext> = {}): Verdict {
  const bytes = encodeEvidence(evidence);
  const decoded = decodeEvidence(bytes, { validators: cluster.nodes.length });
  if (!decoded.ok) return { ok: false, reason: decoded.reason };
  expect(Buffer.from(encodeEvidence(decoded.evidence)).equals(bytes)).toBe(true);
  return judgeEvidence(decoded.evidence, contextOf(cluster, more));
}

function convicted(kind: EvidenceKind, culprit: number) {
  return { ok: true, kind, culprit, epoch: 0 };
}

const qc = (cluster: Cluster, at: { height: number; hash: string }, view = 0): Certificate =>
  certificate(cluster, 'QC', { ...at, view, viewCertificate: view === 0 ? '' : OPENED });

describe('equivocation and double-commit', () => {
  const prepares = [vote(three, 0, 'PREPARE', a), vote(three, 0, 'PREPARE', b)] as const;

  it('two votes at one position for two blocks', () => {
    expect(judge(three, piece('equivocation', prepares))).toMatchObject(convicted('equivocation', 0));
    for (const kind of ['COMMIT', 'COMMITTED'] as const) {
      const votes = [vote(five, 1, kind, a), vote(five, 1, 'COMMITTED', b)];
      expect(judge(five, piece('double-commit', votes))).toMatchObject(convicted('double-commit', 1));
    }
  });

  it('not the same vote twice, nor one block in two views, nor two heights', () => {
    const same = [prepares[0], vote(three, 0, 'PREPARE', a)];
    const later = [prepares[0], vote(three, 0, 'PREPARE', { ...b, view: 3, viewCertificate: OPENED })];
    const higher = [prepares[0], vote(three, 0, 'PREPARE', a2)];
    for (const messages of [same, later, higher]) {
      expect(judge(three, piece('equivocation', messages)).ok).toBe(false);
    }
  });

  it('not by another name, another epoch, or with somebody else’s vote', () => {
    expect(judge(three, piece('double-commit', prepares)).ok).toBe(false);
    expect(judge(three, piece('equivocation', prepares, { culprit: 1 })).ok).toBe(false);
    expect(judge(three, { ...piece('equivocation', prepares), epoch: 1 }).ok).toBe(false);
    expect(judge(three, piece('equivocation', [prepares[0], { ...prepares[1], signer: 1 }])).ok).toBe(false);
    const config = { ...three.config, membershipHash: ROOT };
    expect(judge(three, piece('equivocation', prepares), { config }).ok).toBe(false);
  });
});

describe('fork', () => {
  const [low, high] = [vote(five, 0, 'PREPARE', b), vote(five, 0, 'PREPARE', a2)];

  it('a vote for a block that is not on top of the one voted for below it', () => {
    expect(judge(five, piece('fork', [low, high], { headers: [A2] }))).toMatchObject(convicted('fork', 0));
    const mixed = [vote(five, 1, 'COMMITTED', b), vote(five, 1, 'COMMIT', a2)];
    expect(judge(five, piece('fork', mixed, { headers: [A2] }))).toMatchObject(convicted('fork', 1));
  });

  it('not on one chain, nor without the header, nor with another block’s', () => {
    const child = vote(five, 0, 'PREPARE', a2);
    expect(judge(five, piece('fork', [vote(five, 0, 'PREPARE', a), child], { headers: [A2] })).ok).toBe(false);
    expect(judge(five, piece('fork', [low, high])).ok).toBe(false);
    expect(judge(five, piece('fork', [low, high], { headers: [A] })).ok).toBe(false);
    expect(judge(five, piece('fork', [low, high], { headers: [A2, A] })).ok).toBe(false);
  });
});

describe('log loss', () => {
  it('a vote, and a later VIEW-CHANGE without it', () => {
    const empty = viewChange(three, 1, 1);
    expect(judge(three, piece('prepare-log-loss', [vote(three, 1, 'COMMIT', a), empty]))).toMatchObject(
      convicted('prepare-log-loss', 1),
    );
    const other = viewChange(three, 1, 1, undefined, qc(three, b));
    expect(judge(three, piece('prepare-log-loss', [vote(three, 1, 'COMMIT', a), other])).ok).toBe(true);
  });

  it('not when the VIEW-CHANGE shows the vote or a later one, or came before it', () => {
    const commit = vote(three, 1, 'COMMIT', a);
    const shown = viewChange(three, 1, 1, undefined, qc(three, a));
    const later = viewChange(three, 1, 1, undefined, qc(three, a2));
    const before = vote(three, 2, 'PREPARE', { ...a, view: 1, viewCertificate: OPENED });
    expect(judge(three, piece('prepare-log-loss', [commit, shown])).ok).toBe(false);
    expect(judge(three, piece('prepare-log-loss', [commit, later])).ok).toBe(false);
    expect(judge(three, piece('prepare-log-loss', [before, viewChange(three, 2, 1)])).ok).toBe(false);
    expect(judge(three, piece('prepare-log-loss', [commit, viewChange(three, 0, 1)])).ok).toBe(false);
  });

  it('a word that a certificate is in the log, and a later VIEW-CHANGE without it', () => {
    const signed = viewChange(three, 1, 1, undefined, qc(three, a));
    const follower = piece('commit-log-loss', [vote(three, 1, 'COMMIT', a), signed]);
    expect(judge(three, follower)).toMatchObject(convicted('commit-log-loss', 1));
    const primary = viewChange(three, 0, 1, undefined, qc(three, a));
    expect(judge(three, piece('commit-log-loss', [vote(three, 0, 'COMMITTED', a), primary])).ok).toBe(true);
  });

  it('not for a COMMIT where it is no such word, nor when the head covers it', () => {
    const commit = vote(five, 1, 'COMMIT', a);
    const without = viewChange(five, 1, 1, undefined, qc(five, a));
    expect(judge(five, piece('commit-log-loss', [commit, without])).ok).toBe(false);
    const word = vote(five, 1, 'COMMITTED', a);
    expect(judge(five, piece('commit-log-loss', [word, without])).ok).toBe(true);
    expect(judge(five, piece('commit-log-loss', [word, viewChange(five, 1, 1, qc(five, a))])).ok).toBe(false);
    const proven = viewChange(five, 1, 1, certificate(five, 'FP', a2), qc(five, a2));
    expect(judge(five, piece('commit-log-loss', [word, proven])).ok).toBe(false);
  });
});

describe('bad-new-view and two-faced', () => {
  const head = qc(five, a);
  const changes = [0, 1, 2].map((signer) => viewChange(five, signer, 1, head));
  const finals = [1, 0, 3].map((signer) => vcFinal(five, signer, 1, changes));
  const low = newView(five, 1, undefined, finals);
  const good = newView(five, 1, head, finals);
  const in1 = (signer: number, opened: string, kind: 'COMMIT' | 'COMMITTED' = 'COMMIT') =>
    vote(five, signer, kind, { ...a, view: 1, viewCertificate: opened });

  it('a primary, and a follower that went along, below what its own VC-FINAL shows', () => {
    expect(judge(five, piece('bad-new-view', [finals[0]!, low]))).toMatchObject(convicted('bad-new-view', 1));
    const along = [finals[1]!, low, in1(0, low.prepare.viewCertificate)];
    expect(judge(five, piece('bad-new-view', along))).toMatchObject(convicted('bad-new-view', 0));
  });

  it('not at the greatest, nor whoever signed nothing in the view so opened', () => {
    expect(judge(five, piece('bad-new-view', [finals[0]!, good])).ok).toBe(false);
    expect(judge(five, piece('bad-new-view', [finals[1]!, low])).ok).toBe(false);
    expect(judge(five, piece('bad-new-view', [finals[1]!, low, in1(0, good.prepare.viewCertificate)])).ok).toBe(false);
    // One that saw less had no reason to refuse.
    const blind = vcFinal(
      five,
      0,
      1,
      [0, 1, 2].map((signer) => viewChange(five, signer, 1)),
    );
    expect(judge(five, piece('bad-new-view', [blind, low, in1(0, low.prepare.viewCertificate)])).ok).toBe(false);
  });

  it('two different messages for one view, not one twice', () => {
    const pairs: [SignedMessage, SignedMessage][] = [
      [changes[0]!, viewChange(five, 0, 1)],
      [finals[0]!, vcFinal(five, 1, 1, changes.slice(1))],
      [low, good],
    ];
    for (const [one, other] of pairs) {
      expect(judge(five, piece('two-faced', [one, other])).ok).toBe(true);
      expect(judge(five, piece('two-faced', [one, structuredClone(one)])).ok).toBe(false);
    }
    expect(judge(five, piece('two-faced', [changes[0]!, viewChange(five, 0, 2)])).ok).toBe(false);
  });

  it('two incarnations in one epoch', () => {
    const again = Cluster.started(5);
    again.nodes[1]!.lives++;
    const lives = [vote(five, 1, 'COMMIT', a), vote(again, 1, 'COMMIT', a2)];
    expect(judge(five, piece('two-faced', lives))).toMatchObject(convicted('two-faced', 1));
  });

  it('an opening of the view that does not fit', () => {
    const named = in1(0, good.prepare.viewCertificate);
    expect(judge(five, piece('two-faced', [named, in1(0, OPENED, 'COMMITTED')])).ok).toBe(true);
    expect(judge(five, piece('two-faced', [named, in1(0, named.viewCertificate, 'COMMITTED')])).ok).toBe(false);
    expect(judge(five, piece('two-faced', [in1(0, '')])).ok).toBe(true);
    expect(judge(five, piece('two-faced', [vote(five, 0, 'PREPARE', { ...a, viewCertificate: OPENED })])).ok).toBe(
      true,
    );
    expect(judge(five, piece('two-faced', [named])).ok).toBe(false);
    const forged = vote(five, 1, 'PREPARE', { ...a, view: 1, viewCertificate: OPENED });
    expect(judge(five, piece('two-faced', [good, forged])).ok).toBe(true);
    expect(judge(five, piece('two-faced', [good, good.prepare])).ok).toBe(false);
    const another = vcFinal(five, 0, 1, [...changes, viewChange(five, 3, 1)]);
    expect(judge(five, piece('two-faced', [another, good, named]))).toMatchObject(convicted('two-faced', 0));
    expect(judge(five, piece('two-faced', [finals[1]!, good, named])).ok).toBe(false);
  });
});

describe('bad-message', () => {
  const changes = [0, 1, 2].map((signer) => viewChange(five, signer, 1));

  it('a VIEW-CHANGE or VC-FINAL that is not valid', () => {
    const later = viewChange(five, 1, 1, qc(five, a, 2));
    expect(judge(five, piece('bad-message', [later]))).toMatchObject(convicted('bad-message', 1));
    const forged = { ...qc(five, a), hash: b.hash };
    expect(judge(five, piece('bad-message', [viewChange(five, 1, 1, forged, undefined)])).ok).toBe(true);
    expect(judge(five, piece('bad-message', [vcFinal(five, 1, 1, changes.slice(1))])).ok).toBe(true);
    expect(judge(five, piece('bad-message', [changes[1]!])).ok).toBe(false);
    expect(judge(five, piece('bad-message', [vcFinal(five, 1, 1, changes)])).ok).toBe(false);
  });

  it('not what somebody altered on the way, where the signature does not cover it', () => {
    const final = vcFinal(five, 1, 1, changes);
    for (const alter of [{ view: 2 }, { epoch: 7 }]) {
      const viewChanges = final.viewChanges.map((change) => ({ ...change, ...alter }));
      expect(judge(five, piece('bad-message', [{ ...final, viewChanges }])).ok).toBe(false);
    }
  });

  it('a vote above the closing block, where it is known to be one', () => {
    const above = piece('bad-message', [vote(five, 0, 'PREPARE', a2)], { headers: [A2, A] });
    expect(judge(five, above, { isClosing: (hash) => hash === a.hash })).toMatchObject(convicted('bad-message', 0));
    expect(judge(five, above).ok).toBe(false);
    expect(judge(five, above, { isClosing: (hash) => hash === b.hash }).ok).toBe(false);
    const listed = (header: Uint8Array) => {
      const id = BLOCK_PORTS.readHeader(header);
      return id && { ...id, members: id.hash === a.hash ? ROOT : five.config.membershipHash };
    };
    expect(judge(five, above, { readHeader: listed }).ok).toBe(true);
  });
});

describe('bad-block', () => {
  const evidence = piece('bad-block', [vote(five, 1, 'COMMIT', a)], { block: A });

  it('by the word of execution alone', () => {
    expect(judge(five, evidence, { blockFault: () => 'another state root' }).ok).toBe(true);
    expect(judge(five, evidence, { blockFault: () => undefined }).ok).toBe(false);
    expect(judge(five, evidence, { blockFault: () => 'unknown' }).ok).toBe(false);
    expect(judge(five, evidence).ok).toBe(false);
    expect(judge(five, { ...evidence, block: B }, { blockFault: () => 'another state root' }).ok).toBe(false);
  });
});

describe('whatever is put together from what correct validators signed', () => {
  /** Two view changes, several blocks, a crash and a restart: everything anybody sent. */
  function honest(n: number): readonly SignedMessage[] {
    const cluster = Cluster.started(n);
    cluster.wantAll(3);
    cluster.run(200);
    cluster.crash(0);
    cluster.run(3000);
    cluster.wantAll(2);
    cluster.run(500);
    cluster.restart(0);
    cluster.run(3000);
    cluster.crash(1);
    cluster.run(4000);
    const signed = new Map<string, SignedMessage>();
    const add = (message: SignedMessage) =>
      signed.set(JSON.stringify([message.signer, [...message.signature]]), message);
    for (const { message } of cluster.sent) {
      if (message.kind === 'PROPOSAL') add(message.prepare);
      else if ('signature' in message) add(message);
      else if (message.kind === 'FINAL' || message.kind === 'FINALITY') votesOf(message.proof).forEach(add);
    }
    return [...signed.values()];
  }

  const KINDS: readonly EvidenceKind[] = [
    'equivocation',
    'double-commit',
    'fork',
    'prepare-log-loss',
    'commit-log-loss',
    'bad-new-view',
    'two-faced',
    'bad-message',
  ];

  it.each([3, 4, 5])('convicts nobody [n=%i]', (n) => {
    const messages = honest(n);
    expect(new Set(messages.map(({ kind }) => kind)).size).toBeGreaterThan(5);
    const context = contextOf(Cluster.started(n), { isClosing: () => false });
    // Every pair of one signer, under every name; and with a third message in between.
    for (const first of messages) {
      const own = messages.filter(({ signer }) => signer === first.signer);
      const newViews = messages.filter(({ kind, view }) => kind === 'NEW-VIEW' && view === first.view);
      for (const kind of KINDS) {
        const sets = [[first], ...own.map((second) => [first, second])];
        if (first.kind === 'VC-FINAL')
          for (const opened of newViews) sets.push([first, opened], ...own.map((last) => [first, opened, last]));
        for (const set of sets) {
          const verdict = judgeEvidence(piece(kind, set), context);
          if (verdict.ok) expect.fail(`${kind} of validator ${verdict.culprit}: ${verdict.what}`);
        }
      }
    }
  });
});

describe('altered evidence', () => {
  const pieces: Evidence[] = [
    piece('equivocation', [vote(three, 0, 'PREPARE', a), vote(three, 0, 'PREPARE', b)]),
    piece('prepare-log-loss', [vote(three, 1, 'COMMIT', a), viewChange(three, 1, 1)]),
    piece('fork', [vote(three, 0, 'PREPARE', b), vote(three, 0, 'PREPARE', a2)], { headers: [A2] }),
    piece('bad-message', [viewChange(three, 1, 1, qc(three, a, 1))]),
  ];

  it('is never read as proof against another, nor as another fault', () => {
    fc.assert(
      fc.property(fc.constantFrom(...pieces), fc.nat(), fc.integer({ min: 1, max: 255 }), (evidence, at, change) => {
        const bytes = Uint8Array.from(encodeEvidence(evidence));
        bytes[at % bytes.length]! ^= change;
        const decoded = decodeEvidence(bytes, { validators: 3 });
        if (!decoded.ok) return;
        const verdict = judgeEvidence(decoded.evidence, contextOf(three));
        if (verdict.ok) expect(verdict).toMatchObject({ culprit: evidence.culprit, kind: evidence.kind });
      }),
      { numRuns: 2000 },
    );
  });
});
