/**
 * A snapshot that is whole becomes the ledger's state: one synced batch of a few records, before the ledger is opened. A
 * kill before it leaves the old head, a kill after it the new one. The head never goes down (reliability.md, P45).
 */
import type { Bytes, Height } from '../primitives/ids.ts';
import { readBlockHeader } from './block.ts';
import { settled } from './open.ts';
import {
  blockKey,
  damaged,
  decodeHeadRecord,
  decodeStateRecord,
  encodeHeadRecord,
  encodeStateRecord,
  HEAD_KEY,
  STAGED_BLOCKS_KEY,
  STAGED_STATE_KEY,
  STATE_KEY,
  undoKey,
} from './records.ts';
import { stagedState } from './staged-state.ts';
import type { KeyValueStore } from './store.ts';

/** Returns the height of a snapshot that was taken over. Throws STORE_DAMAGED. */
export async function takeOverSnapshot(store: KeyValueStore): Promise<Height | undefined> {
  const staged = stagedState(store);
  const head = decodeHeadRecord(store.get(HEAD_KEY));
  const state = decodeStateRecord(store.get(STATE_KEY));
  if (staged?.complete !== true || head === undefined || state === undefined) return undefined;
  const { height, hash, root, slot } = staged;
  if (height <= head.height || slot === state.slot) {
    await settled((done) => store.write({ put: [], del: [STAGED_STATE_KEY] }, { sync: true }, done));
    return undefined;
  }
  const found = readBlockHeader(store.get(blockKey(height)) ?? new Uint8Array(0));
  if (found?.hash !== hash || found.header.stateRoot !== root) throw damaged(`the block of the snapshot at ${height}`);
  const put: (readonly [Bytes, Bytes])[] = [
    [STATE_KEY, encodeStateRecord({ height, root, slot })],
    // What accounts were below is not known: state by number begins here.
    [HEAD_KEY, encodeHeadRecord({ height, hash, oldestUndo: height + 1 })],
  ];
  const del = [STAGED_STATE_KEY, STAGED_BLOCKS_KEY];
  for (let h = head.oldestUndo; h <= head.height; h++) del.push(undoKey(h));
  await settled((done) => store.write({ put, del }, { sync: true }, done));
  await settled((done) => store.raiseFloor(height, done));
  return height;
}
