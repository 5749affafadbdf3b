/** Broken rules of epochs. */
import type { Overrides } from '../simulation/options.ts';
import type { Mutant } from './mutation.ts';

const EPOCHS: Overrides = { validators: 3, safetyMs: 15_000, realCrypto: false, honest: true, epochs: true };

export const EPOCH_RULES: readonly Mutant[] = [
  {
    id: 'Z14',
    name: 'the first epoch’s t is used in all',
    edits: [
      {
        file: 'consensus/restore.ts',
        from: 'const schedule = makeSchedule(config.validators.length);',
        to: 'const { first = config.validators.length } = makeSchedule as { first?: number };\n  Object.assign(makeSchedule, { first });\n  const schedule = makeSchedule(Math.min(first, config.validators.length));',
      },
    ],
    killer: { seed: 1, overrides: EPOCHS, caughtBy: ['membership', 'proof', 'crash', 'accuracy', 'liveness'] },
  },
  {
    id: 'Z18',
    name: 'blocks are proposed above the one that closes the epoch',
    edits: [
      {
        file: 'consensus/common-case.ts',
        from: 'return core.executed.get(core.signedTip.hash)?.closes === true;',
        to: 'return false;',
      },
    ],
    killer: { seed: 6, overrides: EPOCHS, caughtBy: ['epoch', 'crash'] },
  },
  {
    id: 'Z20',
    name: 'who leaves tells the next validators once, and is gone',
    edits: [
      {
        file: 'node/hand-over.ts',
        from: '    if (duty.started.size >= duty.needed) this.#duty = undefined;\n    else if (nowMs >= duty.dueAt) {',
        to: '    if (nowMs >= duty.dueAt) {\n      this.#duty = undefined;',
      },
    ],
    killer: { test: 'test/unit/node/hand-over.test.ts', title: 'again until t+1 of the new ones have started' },
  },
  {
    id: 'Z31',
    name: 'a log begun anew after a loss passes for the first one',
    edits: [{ file: 'node/epoch-start.ts', from: '  durable.forgot = log.afterLoss;\n', to: '' }],
    killer: { seed: 5, overrides: EPOCHS, caughtBy: ['membership', 'double-sign', 'accuracy', 'crash'] },
  },
  {
    id: 'M9',
    name: 'that an epoch has begun is not written down',
    edits: [
      {
        file: 'node/host.ts',
        from: '    if (this.#ahead === undefined) this.#append(records);\n',
        to: '',
      },
    ],
    killer: {
      seed: 4,
      overrides: EPOCHS,
      caughtBy: ['double-sign', 'view-promise', 'membership', 'epoch', 'accuracy', 'crash'],
    },
  },
  {
    id: 'M10',
    name: 'a key that forgot signs again once any epoch has begun',
    edits: [
      {
        file: 'node/epoch-start.ts',
        from: 'const forgot = rolledBack || (life === undefined ? before.forgot : life !== incarnation);',
        to: 'const forgot = rolledBack && life === incarnation;',
      },
    ],
    killer: { seed: 5, overrides: EPOCHS, caughtBy: ['membership', 'double-sign', 'accuracy', 'crash'] },
  },
  {
    id: 'M11',
    name: 'what validators of another epoch certified is believed',
    edits: [
      {
        file: 'consensus/verify.ts',
        from: "    if (certificate.epoch !== this.#config.epoch) return 'other-epoch';\n",
        to: '    if (certificate.epoch !== this.#config.epoch) return undefined;\n',
      },
    ],
    killer: {
      seed: 22,
      overrides: { ...EPOCHS, honest: undefined, habits: ['hides', 'accuses'] },
      caughtBy: ['agreement', 'accuracy', 'crash', 'epoch', 'proof', 'liveness', 'convergence'],
    },
  },
  {
    id: 'Z29',
    name: 'the wall clock decides what governance does',
    edits: [
      {
        file: 'ledger/executor.ts',
        from: 'const context = this.#context(parent, header.miner, headerTimeMs(header), hashAt);',
        to: 'const context = this.#context(parent, header.miner, Date.now(), hashAt);',
      },
    ],
    killer: {
      test: 'test/unit/governance/epochs.test.ts',
      title: 'belongs to its own epoch, and the next block to the next',
    },
  },
];
