/** A replica that follows an epoch which the operators broke off at a block that is certified, and perhaps no more. */
import { describe, expect, it } from 'vitest';
import { emptyDurable } from '../../../consensus/durable.ts';
import type { Effect } from '../../../consensus/effect.ts';
import type { Event } from '../../../consensus/event.ts';
import type { Certificate, Message } from '../../../consensus/message.ts';
import { Replica } from '../../../consensus/replica.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { certificate } from '../../paper/lies.ts';
import { Cluster, ROOT } from './cluster.ts';
import { BLOCK_PORTS, makeBlock, readBlock } from './test-block.ts';

const LAST = 3;

/** Blocks 1 to 4 on the root; the fourth is beyond the last. */
function chain(): Bytes[] {
  const blocks: Bytes[] = [];
  for (let height = 1; height <= LAST + 1; height++) {
    const below = blocks.at(-1);
    blocks.push(makeBlock(below === undefined ? ROOT : readBlock(below)!.hash, height, ''));
  }
  return blocks;
}

class Follower {
  readonly cluster = new Cluster(3);
  readonly blocks = chain();
  readonly sent: { readonly to: readonly number[]; readonly message: Message }[] = [];
  readonly delivered: { readonly height: number; readonly proof: Certificate | undefined }[] = [];
  ended: (Effect & { kind: 'ended' }) | undefined;
  halted = false;
  now = 0;
  readonly replica: Replica;

  constructor(kind: Certificate['kind']) {
    this.replica = new Replica({
      config: this.cluster.config,
      ports: { sign: () => new Uint8Array(65), recover: this.cluster.keys.recover, ...BLOCK_PORTS },
      self: -1,
      incarnation: '0x' + '00'.repeat(16),
      durable: emptyDurable(0, -1),
      delivered: { height: 0, hash: ROOT },
      logClean: true,
      nonce: 1,
      last: this.certify(LAST, kind),
    });
    this.#run(this.replica.start());
  }

  certify(height: number, kind: Certificate['kind']): Certificate {
    return certificate(this.cluster, kind, readBlock(this.blocks[height - 1]!)!);
  }

  step(event: Event): void {
    this.#run(this.replica.step(event));
  }

  #run(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.sent.push(effect);
      if (effect.kind === 'deliver') this.delivered.push({ height: effect.height, proof: effect.proof });
      if (effect.kind === 'ended') this.ended = effect;
      if (effect.kind === 'trace' && effect.trace.name === 'halted') this.halted = true;
      if (effect.kind === 'execute')
        this.step({ kind: 'executed', hash: effect.hash, ok: true, closes: effect.height === LAST });
    }
  }

  run(ms: number, answer: (to: number, message: Message) => void): void {
    for (const end = this.now + ms; this.now < end; this.now += 10) {
      this.step({ kind: 'tick', now: this.now });
      for (const { to, message } of this.sent.splice(0)) for (const peer of to) answer(peer, message);
    }
  }

  /** Peer 1 has gone on in the next epoch, and serves what it has as a node does; the others are gone. */
  serve = (to: number, message: Message): void => {
    if (to !== 1) return;
    const give = (blocks: readonly Bytes[], nonce: number, proof?: Certificate) => {
      const items = blocks.map((block, i) => ({ block, proof: i === blocks.length - 1 ? proof : undefined }));
      this.step({ kind: 'message', from: 1, message: { kind: 'BLOCKS', nonce, blocks: items } });
    };
    // Block 2 has no proof of its own, and of the last block there is none to be had.
    if (message.kind === 'FETCH-FINAL')
      give(message.from === 1 ? this.blocks.slice(0, 1) : [], message.nonce, this.certify(1, 'FP'));
    if (message.kind === 'FETCH-BODIES') give(this.blocks.slice(message.floor - 1, message.height), message.nonce);
  };
}

describe('an epoch that was broken off', () => {
  for (const kind of ['QC', 'FP'] as const) {
    it(`is followed to its last block, of which there is a ${kind}, and ends there`, () => {
      const follower = new Follower(kind);
      follower.step({ kind: 'ahead', from: 1, final: 9 });
      follower.run(5000, follower.serve);
      expect(follower.delivered.map(({ height, proof }) => [height, proof?.kind])).toEqual([
        [1, 'FP'],
        [2, undefined],
        [3, kind],
      ]);
      expect(follower.ended).toMatchObject({ closing: { kind, height: LAST }, live: false });
      expect(follower.halted).toBe(false);
    });
  }

  it('has nothing above its last block, whoever proves it', () => {
    const follower = new Follower('QC');
    const proof = follower.certify(LAST + 1, 'FP');
    follower.step({ kind: 'message', from: 0, message: { kind: 'FINAL', block: follower.blocks[LAST]!, proof } });
    follower.step({ kind: 'message', from: 0, message: { kind: 'FINALITY', proof } });
    follower.step({ kind: 'ahead', from: 1, final: 9 });
    follower.run(5000, follower.serve);
    expect(follower.delivered.map(({ height }) => height)).toEqual([1, 2, 3]);
    expect(follower.ended).toMatchObject({ closing: { kind: 'QC', height: LAST } });
    expect(follower.halted).toBe(false);
  });
});
