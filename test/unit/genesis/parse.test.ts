import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { consensusForDelta, createGenesis, genesisText } from '../../../genesis/create.ts';
import { DEFAULT_CONSENSUS } from '../../../genesis/genesis.ts';
import { parseGenesis, parseGenesisText } from '../../../genesis/parse.ts';
import { peerIdOf } from '../../../genesis/peer-address.ts';
import { QuorateError } from '../../../primitives/errors.ts';
import { faultsTolerated } from '../../../primitives/membership.ts';
import { DEFAULT_RULES } from '../../../primitives/policy.ts';
import { rawGenesis } from './fixture.ts';

function problemsOf(value: unknown): readonly string[] {
  try {
    parseGenesis(value);
  } catch (error) {
    if (error instanceof QuorateError && error.code === 'GENESIS_INVALID') return error.data['problems'] as string[];
    throw error;
  }
  return [];
}

describe('genesis: parsing', () => {
  it('completes omitted settings with their defaults', () => {
    const genesis = parseGenesis(rawGenesis(3));
    expect(genesis.consensus).toEqual(DEFAULT_CONSENSUS);
    expect(genesis.governance).toEqual(DEFAULT_RULES);
    expect(genesis.gasLimit).toBe(100_000_000);
    expect(genesis.gasPriceFloor).toBe(0n);
    expect(genesis.validators).toHaveLength(3);
  });

  it('lower-cases addresses and keys, whatever their spelling', () => {
    const raw = rawGenesis(1);
    const validator = { ...raw.validators[0]!, nodeKey: raw.validators[0]!.nodeKey.toUpperCase().replace('0X', '0x') };
    const alloc = { '0x70997970C51812dc3A010C7d01b50e0d17dc79C8': '0x10' };
    const genesis = parseGenesis({ ...raw, validators: [validator], alloc });
    expect(genesis.validators[0]!.nodeKey).toBe(raw.validators[0]!.nodeKey);
    expect(genesis.alloc.get('0x70997970c51812dc3a010c7d01b50e0d17dc79c8')).toBe(16n);
  });

  it.each([
    ['a mistyped checksum', { alloc: { '0x70997970C51812dc3A010C7d01b50e0d17dc79c8': '1' } }, 'alloc.0x7099'],
    ['one account twice', { alloc: { [`0x${'AB'.repeat(20)}`]: '1', [`0x${'ab'.repeat(20)}`]: '1' } }, 'listed twice'],
    ['an amount of 2^256', { alloc: { [`0x${'ab'.repeat(20)}`]: (2n ** 256n).toString() } }, 'below 2^256'],
    ['a negative amount', { alloc: { [`0x${'ab'.repeat(20)}`]: '-1' } }, 'an amount of wei'],
    ['another version', { version: 2 }, 'version: expected'],
    ['no chain id', { chainId: undefined }, 'chainId: expected an integer'],
    ['a chain id wallets cannot compute with', { chainId: 2 ** 53 - 1 }, 'chainId'],
    ['an unknown field', { gaslimit: 1 }, 'gaslimit: unknown field'],
    ['an unknown setting', { consensus: { delta: 1 } }, 'consensus.delta: unknown field'],
    ['no validators', { validators: [] }, 'validators: expected an array of 1 to 100'],
    [
      'too small a suspicion time-out',
      { consensus: { deltaMs: 501 } },
      'consensus.suspicionTimeoutMs: expected at least 1002',
    ],
    ['a cap below its base', { consensus: { suspicionTimeoutMaxMs: 999 } }, 'consensus.suspicionTimeoutMaxMs'],
    [
      'a batch that cannot hold the largest transaction',
      { consensus: { batchBytesMax: 1000 } },
      'consensus.batchBytesMax',
    ],
    ['an empty block period below delta', { consensus: { emptyBlockPeriodMs: 100 } }, 'consensus.emptyBlockPeriodMs'],
    ['a quorum below a half', { governance: { quorumBasisPoints: 4999 } }, 'governance.quorumBasisPoints: expected an'],
    [
      'a quorum nobody reaches',
      { governance: { quorumBasisPoints: 10_000 } },
      'governance.quorumBasisPoints: expected',
    ],
    ['a switch that is none', { governance: { evidenceRemoves: 1 } }, 'governance.evidenceRemoves: expected true or'],
    ['an unknown policy', { governance: { quorum: 1 } }, 'governance.quorum: unknown field'],
    [
      'a least size above the size',
      { governance: { leastValidators: 4 } },
      'governance.leastValidators: expected at most 3',
    ],
    ['a policy that is none', { governance: [] }, 'governance: expected an object'],
    ['coins of the contract', { alloc: { [`0x${'100'.padStart(40, '0')}`]: '1' } }, 'the governance contract'],
    ['a fraction', { timestamp: 1.5 }, 'timestamp: expected an integer'],
  ])('names %s', (_, change, expected) => {
    expect(problemsOf({ ...rawGenesis(3), ...change }).join('\n')).toContain(expected);
  });

  it('names every problem at once, each by its path', () => {
    const raw = rawGenesis(2);
    const validators = [
      { ...raw.validators[0], operator: '0x12' },
      { ...raw.validators[1], nodeKey: `0x02${'ff'.repeat(32)}` },
    ];
    const problems = problemsOf({ ...raw, chainId: 0, validators });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'chainId',
      'validators[0].operator',
      'validators[1].nodeKey',
    ]);
  });

  it('refuses a key used twice, also in two roles', () => {
    const raw = rawGenesis(2);
    const validators = [raw.validators[0]!, { ...raw.validators[1]!, operator: raw.validators[0]!.validator }];
    expect(problemsOf({ ...raw, validators })).toEqual([
      'validators[1].operator: the same key as validators[0].validator; every key must be used once',
    ]);
  });

  it('refuses an address hint that names another peer', () => {
    const raw = rawGenesis(2);
    const other = peerIdOf(raw.validators[1]!.nodeKey);
    const validators = [{ ...raw.validators[0]!, addresses: [`/ip4/10.0.0.1/tcp/1/p2p/${other}`] }, raw.validators[1]!];
    expect(problemsOf({ ...raw, validators })[0]).toMatch(/^validators\[0\]\.addresses\[0\]: names the peer/);
  });

  it('refuses 101 validators', () => {
    const raw = rawGenesis(1);
    expect(problemsOf({ ...raw, validators: Array(101).fill(raw.validators[0]) })[0]).toContain(
      'found an array of 101',
    );
  });

  it('says so when the text is not JSON', () => {
    expect(() => parseGenesisText('{', 'x.json')).toThrow(/^x\.json is not valid: not JSON/);
  });

  it('never throws anything but GENESIS_INVALID, whatever it is given', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(rawGenesis(1))), (value, field) => {
        problemsOf(value);
        problemsOf({ ...rawGenesis(1), [field]: value });
      }),
    );
  });

  it('reads back what it wrote', () => {
    const amounts = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
    fc.assert(
      fc.property(amounts, amounts, fc.integer({ min: 10, max: 30_000 }), (balance, gasPriceFloor, deltaMs) => {
        const genesis = createGenesis({
          ...rawGenesis(2),
          alloc: new Map([[`0x${'ab'.repeat(20)}`, balance]]),
          gasPriceFloor,
          consensus: consensusForDelta(deltaMs),
          governance: { expirySeconds: deltaMs, evidenceRemoves: deltaMs % 2 === 0 },
        });
        expect(parseGenesisText(genesisText(genesis))).toEqual(genesis);
      }),
    );
  });
});

describe('genesis: faults tolerated', () => {
  it.each([
    [1, 0],
    [2, 0],
    [3, 1],
    [4, 1],
    [5, 2],
    [100, 49],
  ])('%i validators tolerate %i', (validators, faults) => {
    expect(faultsTolerated(validators)).toBe(faults);
  });
});
