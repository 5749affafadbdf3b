import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeHeader } from '../../../ledger/block.ts';
import { anchorFromNode } from '../../../node/epoch-anchor.ts';
import type { EpochView } from '../../../node/epoch-view.ts';
import { anchorOf, EpochWalk } from '../../../node/epoch-walk.ts';
import type { FinalityProofView } from '../../../node/rpc/backend.ts';
import { toHex } from '../../../primitives/bytes.ts';
import { GovernedChain, member } from '../governed-chain.ts';

type Editable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? Editable<U>[] : T[K] };

let chain: GovernedChain;
/** Answers of xft_getEpoch by epoch, as a client gets them. */
let epochs: Editable<EpochView>[];
const names = (...numbers: number[]) => numbers.map((n) => member(n).validator);

async function answer<T>(method: string, param: unknown): Promise<Editable<T>> {
  return chain.call<Editable<T>>(method, param);
}

const proofOf = (height: number) => answer<FinalityProofView>('xft_getFinalityProof', `0x${height.toString(16)}`);

/** Epochs 0 (three), 1 (a fourth), 2 (the same four), 3 (the first replaced, the second removed), and a block in each. */
beforeEach(async () => {
  chain = await GovernedChain.start();
  await chain.vote(member(1), await chain.propose(member(0), { add: [member(3)] }));
  await chain.extend(1);
  await chain.ready(member(2), '0x' + '0b'.repeat(16));
  await chain.extend(1);
  const id = await chain.propose(member(0), { remove: [member(1)], replace: [[member(0), member(4)]] });
  await chain.vote(member(1), id);
  await chain.vote(member(2), id);
  await chain.extend(2);
  epochs = [];
  for (let epoch = 0; epoch < 4; epoch++) epochs.push(await answer<EpochView>('xft_getEpoch', epoch));
});
afterEach(async () => {
  expect(chain.bugs).toEqual([]);
  await chain.stop();
});

function walkTo(epoch: number): EpochWalk {
  const walk = new EpochWalk(anchorOf(chain.genesis));
  for (let next = 1; next <= epoch; next++) walk.enter(epochs[next]);
  return walk;
}

describe('a walk from the genesis', () => {
  test('proves who decides in each epoch, same-set epochs too', () => {
    const walk = new EpochWalk(anchorOf(chain.genesis));
    expect(walk.present).toMatchObject({ epoch: 0, firstBlock: 0, validators: names(0, 1, 2), closing: undefined });
    expect(walk.enter(epochs[1])).toMatchObject({
      epoch: 1,
      firstBlock: 3,
      validators: names(0, 1, 2, 3),
      t: 1,
      closing: { number: 2, epoch: 0, view: 0 },
    });
    expect(walk.enter(epochs[2])).toMatchObject({ epoch: 2, firstBlock: 5, validators: names(0, 1, 2, 3) });
    expect(walk.enter(epochs[3])).toMatchObject({ epoch: 3, validators: names(4, 2, 3) });
  });

  test('proves a block of each epoch by the validators it has found', async () => {
    for (const height of [1, 3, 5, chain.head]) {
      const proof = await proofOf(height);
      const proven = walkTo(proof.epoch).block(proof, height);
      expect(proven).toMatchObject({
        number: height,
        epoch: proof.epoch,
        hash: chain.ledger.blockByHeight(height)!.hash,
      });
      expect(proven.signedBy).toHaveLength(2);
    }
  });

  test('proves a block without a proof of its own by the headers up to one that has it', async () => {
    const proof = await proofOf(chain.head);
    const below = chain.ledger.headerByHeight(chain.head - 1)!.header;
    const header = toHex(encodeHeader(below));
    const long = { ...proof, header, ancestry: [proof.header, header] };
    expect(walkTo(3).block(long, chain.head - 1)).toMatchObject({ number: chain.head - 1 });
    expect(() => walkTo(3).block({ ...long, ancestry: [header, proof.header] }, chain.head - 1)).toThrow(/not below/);
  });
});

describe('a node that lies', () => {
  const refused = (epoch: number, change: (answer: Editable<EpochView>) => void) => {
    const walk = walkTo(epoch - 1);
    const answer = structuredClone(epochs[epoch]!);
    change(answer);
    return expect(() => walk.enter(answer));
  };

  test('about the new validators is found out', () => {
    refused(1, ({ validators }) => validators.pop()).toThrow(/list of validators is not the one/);
    refused(1, ({ validators }) => {
      validators[3]!.operator = member(5).operator;
    }).toThrow(/list of validators is not the one/);
    refused(1, ({ validators }) => {
      validators[3]!.nodeKey = '0x12';
    }).toThrow(/validators\[3\].nodeKey: expected 33 bytes/);
  });

  test('about the signatures is found out', () => {
    refused(2, ({ handover }) => {
      const { signatures } = handover as unknown as { signatures: { signature: string }[] };
      signatures[0]!.signature = signatures[1]!.signature;
    }).toThrow(/signatures are not those/);
    refused(2, ({ handover }) => {
      (handover as unknown as { signatures: { validator: string }[] }).signatures[0]!.validator = member(7).validator;
    }).toThrow(/somebody signed who is no validator of epoch 1/);
    refused(2, ({ handover }) => (handover as unknown as { signatures: unknown[] }).signatures.pop()).toThrow(
      /signatures are not those/,
    );
  });

  test('that leaves an epoch out is found out', () => {
    const walk = walkTo(1);
    expect(() => walk.enter(epochs[3])).toThrow(/the hand-over to epoch 2 is not proven: it is from epoch 2, not 1/);
  });

  test('that passes off another block of the epoch as the closing one is found out', async () => {
    // The list stays the same, so the header of any block of epoch 1 names it.
    const handover = await proofOf(3);
    expect(() => walkTo(1).enter({ ...epochs[2], handover })).toThrow(/block 3 closes no epoch/);
  });

  test('that answers nothing, or something else, is told from one that proves', () => {
    for (const wrong of [null, 7, {}, { validators: [], handover: null }]) {
      expect(() => walkTo(0).enter(wrong)).toThrow(expect.objectContaining({ code: 'VERIFY_FAILED' }));
    }
  });

  test('that answers for another block is found out', async () => {
    const proof = await proofOf(chain.head);
    expect(() => walkTo(3).block(proof, 2)).toThrow(`the proof is about block ${chain.head}`);
    expect(() => walkTo(2).block(proof, chain.head)).toThrow(/it is from epoch 3, not 2/);
  });

  test('on another chain is found out', () => {
    const other = { ...anchorOf(chain.genesis), genesisHash: '0x' + '77'.repeat(32) };
    expect(() => new EpochWalk(other).enter(epochs[1])).toThrow(/signatures are not those/);
  });
});

describe('without a genesis file', () => {
  const answers = async () => ({
    chainId: 1337,
    block: await chain.call<Record<string, unknown>>('eth_getBlockByNumber', '0x0', false),
    validators: epochs[0]!.validators,
  });

  test('the walk begins at block 0 as its hash has it', async () => {
    const anchor = anchorFromNode(await answers());
    expect(anchor.genesisHash).toBe(chain.ledger.genesisHash);
    expect(new EpochWalk(anchor).enter(epochs[1])).toEqual(new EpochWalk(anchorOf(chain.genesis)).enter(epochs[1]));
  });

  test('block 0 must name the founders it is shown with', async () => {
    const found = await answers();
    expect(() => anchorFromNode({ ...found, validators: found.validators.slice(1) })).toThrow(/does not fit together/);
    expect(() => anchorFromNode({ ...found, block: { ...found.block, mixHash: '0x' } })).toThrow(/does not fit/);
    expect(() => anchorFromNode({ ...found, block: null })).toThrow(/does not fit together/);
  });
});
