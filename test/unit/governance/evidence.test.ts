/** reportEvidence: judged by state and chain alone, recorded once, and where the policy says so the culprit leaves. */
import { describe, expect, it } from 'vitest';
import { NO_TIMING } from '../../../consensus/config.ts';
import { encodeEvidence } from '../../../consensus/evidence-codec.ts';
import type { Vote } from '../../../consensus/message.ts';
import { statementDigest } from '../../../consensus/statement.ts';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { REPORT_BYTES_MAX } from '../../../ledger/governance/evidence.ts';
import { decodeState, encodeState } from '../../../ledger/governance/state-codec.ts';
import { toHex, utf8 } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { keccakHash } from '../../../primitives/keccak.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import { sign } from '../../../primitives/secp256k1.ts';
import { CHAIN_ID, member, memberKeys } from '../ledger/fixtures.ts';
import { Contract, GENESIS_HASH, incarnation, operator, POLICY, STRANGER, validator } from './fixtures.ts';

const REMOVES = { ...POLICY, evidenceRemoves: true };

/** Calldata that shows two COMMITTEDs of member `n` of an epoch of these members, at one position. */
function report(n: number, { epoch = 0, members = [0, 1, 2, 3], height = 5, chainId = CHAIN_ID } = {}): Bytes {
  const list = members.map(member);
  const config = {
    chainId,
    genesisHash: GENESIS_HASH,
    epoch,
    validators: list.map((one) => one.validator),
    membershipHash: membershipHash(list),
    root: { height: 0, hash: GENESIS_HASH },
    parameters: NO_TIMING,
  };
  const culprit = members.indexOf(n);
  const messages = ['one', 'another'].map((text): Vote => {
    const hash = keccakHash(utf8(text));
    const about = { kind: 'COMMITTED', epoch, view: 0, viewCertificate: '', height, hash } as const;
    const vote = { ...about, signer: culprit, incarnation: incarnation(n) };
    return { ...vote, signature: sign(statementDigest(config, vote), memberKeys(n).validator.secret) };
  });
  const evidence = encodeEvidence({ kind: 'double-commit', epoch, culprit, messages, headers: [], block: undefined });
  return encodeCall(FUNCTIONS.reportEvidence, { evidence: toHex(evidence) });
}

describe('reportEvidence', () => {
  it('records a fault once, and nobody leaves where the policy does not say so', () => {
    const contract = new Contract(4);
    contract.send(operator(0), report(2));
    expect(contract.events).toEqual(['EvidenceRecorded']);
    expect(contract.state).toMatchObject({ epoch: 0, reported: [{ epoch: 0, culprit: validator(2), kinds: 2 }] });
    expect(decodeState(encodeState(contract.state))).toEqual(contract.state);
    expect(contract.refusal(operator(1), report(2, { height: 9 }))).toContain('recorded already');
    contract.send(operator(1), report(3));
    expect(contract.state.reported).toHaveLength(2);
  });

  it('ends the epoch without the culprit where the policy says so', () => {
    const contract = new Contract(4, REMOVES);
    contract.propose(1, { removals: [validator(0)] });
    contract.pass();
    contract.send(operator(0), report(2));
    expect(contract.events).toEqual(['EvidenceRecorded', 'Lapsed', 'EpochClosed']);
    expect(contract.state.epoch).toBe(1);
    expect(contract.state.members.map((one) => one.validator)).toEqual([0, 1, 3].map(validator));
    expect(contract.state.previousRoot).toEqual({ height: 0, hash: contract.hashAt(0) });
    expect(decodeState(encodeState(contract.state))).toEqual(contract.state);
  });

  it('takes what is about the epoch before: a second culprit does not escape by the first one’s removal', () => {
    const contract = new Contract(5, REMOVES);
    const members = [0, 1, 2, 3, 4];
    contract.send(operator(0), report(2, { members }));
    expect(contract.refusal(operator(0), report(3, { members }))).toContain('closed by an earlier transaction');
    contract.pass();
    contract.send(operator(0), report(3, { members }));
    expect(contract.state.members.map((one) => one.validator)).toEqual([0, 1, 4].map(validator));
    // Nothing is left of epoch 0 that evidence about it could be judged by.
    contract.pass();
    expect(contract.refusal(operator(0), report(4, { members }))).toContain('only 2 and 1 count');
  });

  it('never leaves fewer than the policy asks for', () => {
    const contract = new Contract(4, { ...REMOVES, leastValidators: 4 });
    contract.send(operator(0), report(2));
    expect(contract.state).toMatchObject({ epoch: 0, reported: [{ culprit: validator(2) }] });
    const alone = new Contract(1, REMOVES);
    alone.send(operator(0), report(0, { members: [0] }));
    expect(alone.state.members).toHaveLength(1);
  });

  it('refuses strangers, other chains, other members, and what proves nothing', () => {
    const contract = new Contract(4, REMOVES);
    expect(contract.refusal(STRANGER, report(2))).toContain('no operator');
    expect(contract.refusal(operator(0), report(2, { chainId: 7 }))).toContain('bad-signature');
    expect(contract.refusal(operator(0), report(2, { members: [0, 2, 1, 3] }))).toContain('bad-signature');
    expect(contract.refusal(operator(0), report(2, { epoch: 3 }))).toContain('about epoch 3');
    const bytes = (length: number) => encodeCall(FUNCTIONS.reportEvidence, { evidence: '0x' + '00'.repeat(length) });
    expect(contract.refusal(operator(0), bytes(3))).toContain('proves nothing');
    expect(contract.refusal(operator(0), bytes(REPORT_BYTES_MAX + 1))).toContain('at most');
  });
});
