/** The governance contract against any calldata and any change of good calldata: a result or a revert, never a throw. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCall, FUNCTIONS } from '../../ledger/governance/abi.ts';
import { GOVERNANCE_GAS, governanceGas } from '../../ledger/governance/contract.ts';
import { decodeState, encodeState } from '../../ledger/governance/state-codec.ts';
import { hexBytes } from '../../primitives/bytes.ts';
import { RlpError } from '../../primitives/rlp.ts';
import { Contract, candidate, operator, proposeData, STRANGER, validator } from '../unit/governance/fixtures.ts';

/** A contract with something in it for every call to meet. */
function ready(): Contract {
  const contract = new Contract(3).pass({ blocks: 20 });
  contract.propose(0, { additions: [candidate(3, '/ip4/10.0.0.3/tcp/1')] });
  contract.ready(3);
  return contract;
}

const start = ready();
const good = [
  proposeData({ removals: [validator(1)], additions: [candidate(4)] }),
  proposeData({ replacements: [{ validator: validator(2), by: candidate(5, '/dns/a/tcp/1') }] }),
  encodeCall(FUNCTIONS.vote, { id: 1, approve: true }),
  encodeCall(FUNCTIONS.withdraw, { id: 1 }),
  start.readyData(1, { life: 9 }),
  encodeCall(FUNCTIONS.proposal, { id: 1 }),
  encodeCall(FUNCTIONS.proposals, {}),
  encodeCall(FUNCTIONS.readiness, { validator: validator(3) }),
];
const senders = fc.constantFrom(operator(0), operator(1), operator(2), STRANGER);
const selectors = fc.constantFrom(...Object.values(FUNCTIONS).map(({ selector }) => hexBytes(selector)));
const rubbish = fc
  .tuple(fc.option(selectors), fc.uint8Array({ maxLength: 600 }))
  .map(([selector, bytes]) => Buffer.concat([selector ?? Buffer.alloc(0), bytes]));
const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
const changed = fc.tuple(fc.constantFrom(...good), changes, fc.nat(40)).map(([call, edits, cut]) => {
  const bytes = Uint8Array.from(call.subarray(0, cut > 35 ? call.length - cut : call.length));
  for (const [at, value] of edits) bytes[at % bytes.length] = value;
  return bytes;
});

test('any calldata is a result or a sentence', async () => {
  let results = 0;
  await fc.assert(
    fc.property(senders, fc.oneof(rubbish, changed), fc.nat(3), (from, data, coins) => {
      const contract = ready();
      const result = contract.try(from, data, coins === 0 ? 1n : 0n);
      expect(governanceGas(data)).toBeGreaterThanOrEqual(GOVERNANCE_GAS.unknown);
      if (!result.ok) {
        expect(result.message).toMatch(/^[^\n]{10,400}$/);
        return;
      }
      results++;
      expect(coins).toBeGreaterThan(0);
      expect(decodeState(encodeState(result.state))).toEqual(result.state);
      expect(result.state.epoch - contract.state.epoch).toBeLessThanOrEqual(1);
      expect(result.state.members.length).toBeGreaterThan(0);
    }),
    { numRuns: 1500 },
  );
  expect(results).toBeGreaterThan(100);
});

test('any bytes are a state or an RlpError', async () => {
  const bytes = encodeState(start.state);
  const cut = fc.nat(bytes.length).map((length) => bytes.subarray(0, length));
  await fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), cut), (input) => {
      try {
        expect(encodeState(decodeState(input))).toEqual(Buffer.from(input));
      } catch (error) {
        if (!(error instanceof RlpError)) throw error;
      }
    }),
  );
});
