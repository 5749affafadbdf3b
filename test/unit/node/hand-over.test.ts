/** Whose duty it is to tell the new validators, and for how long (consensus.md section 7, step 4). */
import { describe, expect, it } from 'vitest';
import { encodeCertificate } from '../../../consensus/certificate-codec.ts';
import type { Certificate } from '../../../consensus/message.ts';
import type { EpochInfo } from '../../../ledger/epoch-info.ts';
import type { Ledger } from '../../../ledger/ledger.ts';
import { HandOver } from '../../../node/hand-over.ts';

const EVERY_MS = 100;
const HASH = '0x' + 'ab'.repeat(32);
const CLOSING: Certificate = {
  kind: 'FP',
  epoch: 3,
  view: 0,
  viewCertificate: '',
  height: 7,
  hash: HASH,
  seals: [{ signer: 0, incarnation: '0x' + '11'.repeat(16), signature: new Uint8Array(65) }],
};

function epoch(number: number, nodeKeys: string): EpochInfo {
  const members = [...nodeKeys].map((nodeKey) => ({ validator: `v${nodeKey}`, nodeKey, operator: `o${nodeKey}` }));
  const root = { height: 10 * number - 33, hash: HASH };
  return { epoch: number, members, membershipHash: HASH, root, incarnations: new Map() };
}

function make(self: string, sets: { readonly old: string; readonly next: string }) {
  const old = epoch(3, sets.old);
  const next = epoch(4, sets.next);
  const head = { height: 7, hash: HASH };
  const ledger = {
    head,
    block: () => ({ bytes: Uint8Array.of(1) }),
    epochInfo: (number: number) => [old, next].find((info) => info.epoch === number),
    proof: () => encodeCertificate(CLOSING),
  } as unknown as Ledger;
  const told: string[] = [];
  const handOver = new HandOver({
    ledger,
    identity: { validator: `v${self}`, nodeKey: self },
    everyMs: EVERY_MS,
    send: (to, message) => {
      expect(message).toMatchObject({ kind: 'START-EPOCH', proof: { epoch: 3, height: 7 } });
      told.push([...to].sort().join(''));
    },
  });
  const end = (wasActive: boolean): void => handOver.onEnded({ old, next, closing: CLOSING, wasActive }, 0);
  return { handOver, told, end, next, head };
}

describe('the hand-over', () => {
  it('tells everybody at once who was an active, and again until t+1 of the new ones have started', () => {
    const { handOver, told, end } = make('a', { old: 'abc', next: 'defgh' });
    end(true);
    handOver.tick(EVERY_MS - 1);
    handOver.tick(EVERY_MS);
    expect(told).toEqual(['bcdefgh', 'bcdefgh']);
    for (const peer of 'bcdf') handOver.onStarted(peer);
    handOver.tick(2 * EVERY_MS);
    expect(told.at(-1)).toBe('bcegh');
    handOver.onStarted('g');
    handOver.tick(3 * EVERY_MS);
    expect(told).toHaveLength(3);
  });

  it('counts this node as one that has started, if it is one of them', () => {
    const { handOver, told, end } = make('a', { old: 'abc', next: 'abd' });
    end(false);
    handOver.onStarted('b');
    handOver.tick(10 * EVERY_MS);
    expect(told).toEqual([]);
  });

  it('waits a while where the actives will do, and is nothing for who only followed the old epoch', () => {
    const passive = make('c', { old: 'abc', next: 'def' });
    passive.end(false);
    expect(passive.told).toEqual([]);
    passive.handOver.tick(EVERY_MS);
    expect(passive.told).toEqual(['abdef']);
    const newcomer = make('d', { old: 'abc', next: 'def' });
    newcomer.end(true);
    newcomer.handOver.tick(10 * EVERY_MS);
    expect(newcomer.told).toEqual([]);
  });

  it('is taken up again after a restart, once the closing block is in the store', () => {
    const { handOver, told, next, head } = make('a', { old: 'abc', next: 'def' });
    head.height = 6;
    handOver.onRestart(next);
    handOver.tick(0);
    handOver.tick(5 * EVERY_MS);
    expect(told).toEqual([]);
    head.height = 7;
    handOver.tick(6 * EVERY_MS);
    handOver.tick(7 * EVERY_MS);
    expect(told).toEqual(['bcdef']);
  });
});
