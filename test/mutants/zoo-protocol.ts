/** Broken rules of the common case, of view changes and of what is remembered. */
import type { Overrides } from '../simulation/options.ts';
import type { Mutant } from './mutation.ts';

const SHORT: Overrides = { validators: 3, safetyMs: 15_000, realCrypto: false };
const CRASHES: Overrides = { ...SHORT, honest: true, without: ['epochs'] };
const LIARS: Overrides = { ...SHORT, lying: true, without: ['epochs'] };

export const PROTOCOL: readonly Mutant[] = [
  {
    id: 'Z1',
    name: 'a proof learnt cuts off what is certified above it',
    edits: [
      {
        file: 'consensus/finality.ts',
        from: 'core.head = greaterCertificate(core.head, proof);',
        to: 'core.head = proof;',
      },
      {
        file: 'consensus/durable.ts',
        from: 'durable.head = greaterCertificate(durable.head, certificate);',
        to: "durable.head = certificate.kind === 'FP' ? certificate : greaterCertificate(durable.head, certificate);",
      },
    ],
    killer: { test: 'test/paper/restart.test.ts', title: 'the store lost everything, too' },
  },
  {
    id: 'Z2',
    name: 'a follower signs in the new view before it holds the blocks below the head',
    edits: [
      {
        file: 'consensus/view-change.ts',
        from: '  if (!headChainReady(core)) return;\n  core.viewCertificate = newView.prepare.viewCertificate;',
        to: '  core.viewCertificate = newView.prepare.viewCertificate;',
      },
    ],
    killer: {
      test: 'test/paper/view-change.test.ts',
      title: 'signs it only once its bodies are fetched and executed',
    },
  },
  {
    id: 'Z3',
    name: 'a late NEW-VIEW of a view that was left is taken for the present one',
    edits: [
      {
        file: 'consensus/replica.ts',
        from: '      observe(core, message);\n      return false;\n    }\n    if (message.view > core.view) {',
        to: '      observe(core, message);\n    }\n    if (message.view > core.view) {',
      },
    ],
    killer: { seed: 6, overrides: CRASHES, caughtBy: ['crash', 'double-sign', 'view-promise', 'liveness', 'accuracy'] },
  },
  {
    id: 'Z4',
    name: 'a proof of an older block takes the place of a newer one',
    edits: [
      {
        file: 'consensus/finality.ts',
        from: '  core.final = laterProof(before, proof);\n  if (core.final !== proof) return;\n',
        to: '  core.final = proof;\n',
      },
    ],
    killer: { test: 'test/scenarios', title: 'everybody is killed right after the closing block' },
  },
  {
    id: 'Z5',
    name: 'the view entered is not written down',
    edits: [
      {
        file: 'consensus/view-change.ts',
        from: "  persist(core, [{ kind: 'view', view, suspects, viewChange }], { of: 'view', view });",
        to: "  persist(core, [], { of: 'view', view });",
      },
    ],
    killer: {
      seed: 3,
      overrides: CRASHES,
      caughtBy: ['double-sign', 'view-promise', 'crash', 'accuracy', 'durability'],
    },
  },
  {
    id: 'Z6',
    name: 'messages leave before the log is synced',
    edits: [{ file: 'node/host.ts', from: '      this.#outbox.raise(sequence);\n', to: '' }],
    killer: { seed: 1, overrides: CRASHES, caughtBy: ['durability'] },
  },
  {
    id: 'Z11',
    name: 'two VIEW-CHANGEs of one sender count as two',
    edits: [
      {
        file: 'consensus/verify.ts',
        from: 'senders.size !== message.viewChanges.length || senders.size < n - t',
        to: 'message.viewChanges.length < n - t && senders.size > 0',
      },
    ],
    killer: { test: 'test/paper/view-change.test.ts', title: 'VC-FINAL' },
  },
  {
    id: 'Z12',
    name: 'anybody’s signature counts in a certificate',
    edits: [
      {
        file: 'consensus/verify.ts',
        from: "      if (seal.signer !== group[place]) return 'bad-certificate';\n",
        to: '',
      },
    ],
    killer: { test: 'test/unit/consensus/learning.test.ts', title: 'a passive has signed in the place of an active' },
  },
  {
    id: 'Z13',
    name: 't signatures make a certificate',
    edits: [
      {
        file: 'consensus/common-case.ts',
        from: 'for (const follower of core.group.slice(1)) {',
        to: 'for (const follower of core.group.slice(1, -1)) {',
      },
    ],
    killer: { seed: 4, overrides: CRASHES, caughtBy: ['crash', 'agreement', 'proof', 'liveness', 'accuracy'] },
  },
  {
    id: 'Z15',
    name: 'VC-FINAL goes out with n-t VIEW-CHANGEs, without waiting 2Δ',
    edits: [
      {
        file: 'consensus/view-change.ts',
        from: 'const waited = vc.waitFrom !== undefined && core.now - vc.waitFrom >= 2 * core.timeouts.delta;',
        to: 'const waited = true;',
      },
    ],
    killer: {
      test: 'test/paper/view-change.test.ts',
      title: 'with n-t of them an active waits 2Δ from pushing the chain',
    },
  },
  {
    id: 'Z16',
    name: 'the greater height beats the higher view',
    edits: [
      {
        file: 'consensus/message.ts',
        from: 'return a.view !== b.view ? a.view - b.view : a.height - b.height;',
        to: 'return a.height !== b.height ? a.height - b.height : a.view - b.view;',
      },
    ],
    killer: { test: 'test/paper/crash-sets.test.ts', title: 'makes progress in the first view whose group is alive' },
  },
  {
    id: 'Z17',
    name: 'VIEW-CHANGE brings what is final, and leaves out what is only certified',
    edits: [
      {
        file: 'consensus/view-change.ts',
        from: "{ kind: 'VIEW-CHANGE', epoch: config.epoch, view, lastSigned, head, final }",
        to: "{ kind: 'VIEW-CHANGE', epoch: config.epoch, view, lastSigned, head: final, final }",
      },
    ],
    killer: { test: 'test/paper/view-change.test.ts', title: 'a certified block that was final nowhere is adopted' },
  },
  {
    id: 'Z24',
    name: 'a peer that claims blocks it does not show is asked again and again',
    edits: [
      {
        file: 'consensus/learning.ts',
        from: '    learning.avoid.set(learning.asked.peer, core.now + 20 * core.timeouts.delta);\n',
        to: '',
      },
      {
        file: 'consensus/learning.ts',
        from: '  if (!useful) learning.avoid.set(from, core.now + 10 * core.timeouts.delta);\n',
        to: '',
      },
    ],
    killer: {
      test: 'test/unit/consensus/learning.test.ts',
      title: 'a peer that answers at once with nothing is left alone',
    },
  },
  {
    id: 'Z25',
    name: 'any message counts as progress',
    edits: [
      {
        file: 'consensus/replica.ts',
        from: '    peer.isHeard = true;\n    switch (message.kind) {',
        to: '    peer.isHeard = true;\n    core.progressAt = core.now;\n    switch (message.kind) {',
      },
    ],
    killer: { test: 'test/paper/suspicion.test.ts', title: 'keeps back' },
  },
  {
    id: 'Z26',
    name: 'anybody may suspect a view',
    edits: [
      {
        file: 'consensus/verify.ts',
        from: "    if (!group.includes(suspect.signer)) return 'not-in-group';\n",
        to: '',
      },
    ],
    killer: { test: 'test/paper/suspicion.test.ts', title: 'from a passive of the view moves nobody' },
  },
  {
    id: 'Z27',
    name: 'votes for heights however far ahead are kept',
    edits: [
      {
        file: 'consensus/common-case.ts',
        from: 'const late = vote.height < core.delivered.height && !core.entries.has(vote.height);\n  if (late || vote.height > windowTop(core)) {',
        to: 'const late = vote.height < core.delivered.height && !core.entries.has(vote.height);\n  if (late) {',
      },
    ],
    killer: { test: 'test/unit/consensus/learning.test.ts', title: 'nor for heights far ahead' },
  },
  {
    id: 'Z34',
    name: 'canary: one in five blocks is stored with a flipped byte in its proof',
    edits: [
      {
        file: 'node/host.ts',
        from: '    foldStored(this.#here.durable, effect);\n',
        to: '    if (effect.height % 5 === 0 && proof.length > 0) proof[proof.length - 60]! ^= 1;\n    foldStored(this.#here.durable, effect);\n',
      },
    ],
    killer: { seed: 1, overrides: CRASHES, caughtBy: ['proof'] },
  },
  {
    id: 'M1',
    name: 'a follower accepts a NEW-VIEW below the greatest certificate it knows of',
    edits: [
      {
        file: 'consensus/view-change.ts',
        from: 'if (compareOrder(link, linkOf(core, greatestHead(core))) < 0) {',
        to: 'if (compareOrder(link, linkOf(core, greatestHead(core))) < -1e9) {',
      },
      // What its certificates prove of the primary would make the follower refuse, too.
      {
        file: 'consensus/fault-detection.ts',
        from: '  accuse(core, liars, `proven faulty: ',
        to: '  if (core.now < 0) accuse(core, liars, `proven faulty: ',
      },
    ],
    killer: {
      test: 'test/paper/view-change.test.ts',
      title: 'a follower refuses a head below the greatest in its own union',
    },
  },
  {
    id: 'M2',
    name: 'a certificate is taken for a proof of finality',
    edits: [
      {
        file: 'consensus/finality.ts',
        from: '  const proof = core.final;\n  if (proof === undefined || isOver(core)) return;',
        to: '  const proof = core.head;\n  if (proof === undefined || isOver(core)) return;',
      },
    ],
    killer: { seed: 1, overrides: CRASHES, caughtBy: ['proof', 'agreement', 'order', 'crash'] },
  },
  {
    id: 'M3',
    name: 'a SUSPECT jumps as far as it likes, whatever its rows show',
    edits: [
      {
        file: 'consensus/verify.ts',
        from: "    return suspect.target > jumpFrom(this.#schedule, suspect.view, suspect.rows).target ? 'bad-target' : undefined;",
        to: '    return undefined;',
      },
    ],
    killer: { test: 'test/paper/jumps.test.ts', title: 'a target that its rows do not reach' },
  },
  {
    id: 'M4',
    name: 'the sign guard forgets its marks in a restart',
    edits: [
      { file: 'consensus/restore.ts', from: 'marks: new Map(durable.marks),', to: 'marks: new Map(),' },
      { file: 'consensus/durable.ts', from: '  if (vote.view === durable.view) foldEntry(durable, vote);\n', to: '' },
    ],
    killer: { seed: 2, overrides: CRASHES, caughtBy: ['double-sign', 'view-promise', 'accuracy', 'crash'] },
  },
  {
    id: 'M5',
    name: 'every block is delivered twice',
    edits: [
      {
        file: 'consensus/finality.ts',
        from: "    core.out.push({ kind: 'deliver', height: link.height, hash: link.hash, proof: own });\n",
        to: "    core.out.push({ kind: 'deliver', height: link.height, hash: link.hash, proof: own });\n    core.out.push({ kind: 'deliver', height: link.height, hash: link.hash, proof: own });\n",
      },
    ],
    killer: { seed: 1, overrides: CRASHES, caughtBy: ['order', 'crash'] },
  },
  {
    id: 'M6',
    name: 'any certificate is believed',
    edits: [
      {
        file: 'consensus/verify.ts',
        from: "      if (!this.#sealed(sealDigest(this.#config, certificate, type, seal), seal)) return 'bad-certificate';\n",
        to: '      void type;\n',
      },
    ],
    killer: {
      seed: 1,
      overrides: { ...LIARS, habits: ['forges', 'accuses'] },
      caughtBy: ['view-promise', 'proof', 'agreement', 'double-sign', 'accuracy', 'liveness', 'convergence', 'crash'],
    },
  },
  {
    id: 'M7',
    name: 'followers keep their COMMITs to themselves',
    edits: [
      {
        file: 'node/host.ts',
        from: '  #send(to: readonly number[], message: Message): void {\n',
        to: "  #send(to: readonly number[], message: Message): void {\n    if (message.kind === 'COMMIT') return;\n",
      },
    ],
    killer: { seed: 1, overrides: CRASHES, caughtBy: ['liveness', 'convergence'] },
  },
  {
    id: 'M8',
    name: 'the wall clock leaks into the protocol',
    edits: [
      {
        file: 'node/host.ts',
        from: 'now: Math.floor(this.#options.clock.monotonicMs()) }',
        to: 'now: Math.floor(this.#options.clock.monotonicMs() + (process.hrtime()[1] % 3)) }',
      },
    ],
    killer: { seed: 1, overrides: CRASHES, caughtBy: ['determinism'] },
  },
  {
    id: 'M12',
    name: 'a disk loses in a crash what it said was synced',
    edits: [
      {
        file: 'test/simulation/disk.ts',
        from: "if (this.#defect === 'forgets-last') this.#durable.splice",
        to: 'this.#durable.splice',
      },
    ],
    killer: {
      seed: 3,
      overrides: CRASHES,
      caughtBy: ['double-sign', 'view-promise', 'accuracy', 'agreement', 'crash'],
    },
  },
];
