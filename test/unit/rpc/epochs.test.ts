import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EpochView } from '../../../node/epoch-view.ts';
import type { FinalityProofView } from '../../../node/rpc/backend.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import { GovernedChain, member } from '../governed-chain.ts';

let chain: GovernedChain;
beforeEach(async () => {
  chain = await GovernedChain.start();
});
afterEach(async () => {
  expect(chain.bugs).toEqual([]);
  await chain.stop();
});

/** Epoch 1, with a fourth validator. */
async function growToFour(): Promise<void> {
  const id = await chain.propose(member(0), { add: [member(3)] });
  await chain.vote(member(1), id);
}

describe('xft_getEpoch', () => {
  test('says who decides in epoch 0, without a hand-over', async () => {
    const epoch = await chain.call<EpochView>('xft_getEpoch');
    expect(epoch).toMatchObject({ epoch: 0, firstBlock: 0, t: 1, handover: null });
    expect(epoch.membershipHash).toBe(membershipHash([0, 1, 2].map(member)));
    const { validator, peerId, nodeKey, operator, multiaddr } = member(1);
    expect(epoch.validators[1]).toEqual({ address: validator, peerId, nodeKey, operator, multiaddr });
  });

  test('says what closed the epoch before, by number or hex, present by default', async () => {
    await growToFour();
    const present = await chain.call<EpochView>('xft_getEpoch');
    expect(await chain.call('xft_getEpoch', 1)).toEqual(present);
    expect(await chain.call('xft_getEpoch', '0x1')).toEqual(present);
    const handover = present.handover as FinalityProofView;
    expect(present).toMatchObject({ epoch: 1, firstBlock: 3, t: 1 });
    expect(present.validators.map(({ address }) => address)).toEqual([0, 1, 2, 3].map((n) => member(n).validator));
    expect(present.validators[3]!.multiaddr).toBe(member(3).multiaddr);
    expect(handover).toMatchObject({ epoch: 0, view: 0, ancestry: [], provenHeight: 2 });
    expect(handover.hash).toBe(chain.ledger.blockByHeight(2)!.hash);
    expect(handover.signatures).toHaveLength(2);
  });

  test('of an epoch that has not begun is null', async () => {
    expect(await chain.call('xft_getEpoch', 1)).toBeNull();
    expect((await chain.rpc('xft_getEpoch', 'latest')).error).toMatchObject({ code: -32602 });
    expect((await chain.rpc('xft_getEpoch', 0, 1)).error).toMatchObject({ code: -32602 });
  });
});

describe('xft_checkEpoch', () => {
  test('answers at once when the set has a final block', async () => {
    await chain.extend(2);
    expect(await chain.call('xft_checkEpoch')).toMatchObject({ epoch: 0, firstBlock: 0, final: 2 });
  });

  test('waits for the first block of the new set', async () => {
    await growToFour();
    const checked = chain.call('xft_checkEpoch', 1, 20_000);
    await chain.call('eth_blockNumber');
    await chain.extend(1);
    expect(await checked).toMatchObject({ epoch: 1, firstBlock: 3, final: 3 });
    expect(await chain.call('xft_checkEpoch', 0)).toMatchObject({ epoch: 0 });
  });

  test('gives up with what is missing', async () => {
    expect((await chain.rpc('xft_checkEpoch', 4, 1)).error).toEqual({
      code: -32000,
      message: 'timed out: epoch 4 has not begun after 1 ms: the chain is in epoch 0',
    });
    await growToFour();
    expect((await chain.rpc('xft_checkEpoch', '0x1', 1)).error).toEqual({
      code: -32000,
      message: 'timed out: epoch 1 has no final block after 1 ms; an idle chain makes none: send a transaction',
    });
  });
});

test('the validators of a block are those of its epoch, the closing block the old ones', async () => {
  await growToFour();
  await chain.extend(1);
  expect(await chain.call('xft_getValidators', '0x2')).toHaveLength(3);
  expect(await chain.call('xft_getValidators', 'latest')).toHaveLength(4);
});
