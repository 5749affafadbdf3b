import { encodeRlp, keccak256, toBeArray } from 'ethers';
import { describe, expect, it } from 'vitest';
import { fieldsHash } from '../../../genesis/hash.ts';
import { parseGenesis } from '../../../genesis/parse.ts';
import { rawGenesis } from './fixture.ts';

const A = `0x${'aa'.repeat(20)}`;
const B = `0x${'bb'.repeat(20)}`;

function hashWith(change: object): string {
  return fieldsHash(parseGenesis({ ...rawGenesis(3), ...change }));
}

describe('genesis: hash of the fields', () => {
  const plain = hashWith({});

  it('is fixed: another value means another chain for every network that exists', () => {
    expect(plain).toBe('0x430f811c5a07d91d084d150f35ef1e2acad24f4726cb3085d1829850693ead74');
  });

  it('is keccak256 of the RLP that ethers makes of the same fields', () => {
    const quantities = (...values: number[]) => values.map((value) => toBeArray(value));
    const raw = rawGenesis(3);
    const fields = [
      ...quantities(1, 1337, raw.timestamp),
      raw.validators.map((v) => [v.validator, v.nodeKey, v.operator]),
      [[A, toBeArray(7)]],
      ...quantities(100_000_000, 5),
      quantities(2 ** 20, 2000, 8, 2000, 250, 1000, 4000, 2000, 0),
      quantities(6667, 604_800, 1, 1, 1024, 60),
    ];
    const governance = { quorumBasisPoints: 6667, evidenceRemoves: true };
    expect(hashWith({ alloc: { [A]: '7' }, gasPriceFloor: 5, governance })).toBe(keccak256(encodeRlp(fields as never)));
  });

  it.each([
    ['the chain id', { chainId: 1338 }],
    ['the time', { timestamp: 1_750_000_001 }],
    ['a balance', { alloc: { [A]: '1' } }],
    ['the gas limit', { gasLimit: 99_000_000 }],
    ['the gas price floor', { gasPriceFloor: '1' }],
    ['the batch size', { consensus: { batchBytesMax: 2 ** 20 + 1 } }],
    ['the batch count', { consensus: { batchTransactionsMax: 1999 } }],
    ['the window', { consensus: { pipelineWindow: 9 } }],
    ['the request time-out', { consensus: { requestTimeoutMs: 2001 } }],
    ['delta', { consensus: { deltaMs: 251 } }],
    ['the suspicion time-out', { consensus: { suspicionTimeoutMs: 1001 } }],
    ['its cap', { consensus: { suspicionTimeoutMaxMs: 4001 } }],
    ['the drift', { consensus: { maxDriftMs: 2001 } }],
    ['the empty block period', { consensus: { emptyBlockPeriodMs: 5000 } }],
    ['the quorum', { governance: { quorumBasisPoints: 5001 } }],
    ['the expiry', { governance: { expirySeconds: 1 } }],
    ['what evidence does', { governance: { evidenceRemoves: true } }],
    ['the least size', { governance: { leastValidators: 2 } }],
    ['the lag of READY', { governance: { readyLag: 1 } }],
    ['the rejoin interval', { governance: { rejoinIntervalSeconds: 1 } }],
    ['the order of the validators', { validators: rawGenesis(3).validators.toReversed() }],
  ])('changes with %s', (_, change) => {
    expect(hashWith(change)).not.toBe(plain);
  });

  it('does not change with address hints, the order of balances, or defaults written out', () => {
    const [first, ...others] = rawGenesis(3).validators;
    const hinted = [{ ...first!, addresses: ['/ip4/10.0.0.7/tcp/30300'] }, ...others];
    expect(hashWith({ validators: hinted })).toBe(plain);
    expect(hashWith({ alloc: { [A]: '1', [B]: '0x2' } })).toBe(hashWith({ alloc: { [B]: '2', [A]: '0x1' } }));
    expect(
      hashWith({ gasLimit: 100_000_000, consensus: { deltaMs: 250 }, governance: { expirySeconds: 604_800 } }),
    ).toBe(plain);
  });
});
