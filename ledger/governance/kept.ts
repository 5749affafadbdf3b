/**
 * Governance states in the store, each under its storage root and checked against it when read. A state is kept as long as
 * some height that is still served, or the stored state of the accounts, refers to it; every state of a chain is another
 * (`revision`), so what a block superseded is never needed again above it.
 */
import type { Bytes, Hash, Height } from '../../primitives/ids.ts';
import {
  damaged,
  decodeRecord,
  decodeSuperseded,
  encodeSuperseded,
  governanceKey,
  SUPERSEDED_KEY,
  type Superseded,
} from '../records.ts';
import { decodeState } from './state-codec.ts';
import { type Governance, storageRootOf } from './storage.ts';

type Read = (key: Bytes) => Bytes | undefined;

/** Throws STORE_DAMAGED. */
export function loadGovernance(read: Read, storageRoot: Hash): Governance {
  const bytes = read(governanceKey(storageRoot));
  if (bytes === undefined) throw damaged('a state of the governance contract is missing');
  if (storageRootOf(bytes) !== storageRoot) throw damaged('a state of the governance contract does not match its hash');
  return { state: decodeRecord('governance', () => decodeState(bytes)), bytes, storageRoot };
}

/** States read from the store, the ones asked for lately kept. */
const READ_MAX = 8;

export class GovernanceReads {
  readonly #read: Read;
  /** By storage root, least recently used first. */
  readonly #known = new Map<Hash, Governance>();

  constructor(read: Read) {
    this.#read = read;
  }

  /** Throws STORE_DAMAGED. */
  at(storageRoot: Hash): Governance {
    const found = this.#known.get(storageRoot) ?? loadGovernance(this.#read, storageRoot);
    this.#known.delete(storageRoot);
    this.#known.set(storageRoot, found);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= READ_MAX) break;
      this.#known.delete(oldest);
    }
    return found;
  }
}

/** What the writer adds to its batches so that the store holds the states that are needed and no others. */
export class KeptGovernance {
  /** Ascending. */
  #superseded: Superseded[];

  constructor(read: Read) {
    this.#superseded = decodeSuperseded(read(SUPERSEDED_KEY));
  }

  /** A block changed the state. */
  changed(height: Height, before: Governance, after: Governance): (readonly [Bytes, Bytes])[] {
    this.#superseded.push({ height, storageRoot: before.storageRoot });
    return [
      [governanceKey(after.storageRoot), after.bytes],
      [SUPERSEDED_KEY, encodeSuperseded(this.#superseded)],
    ];
  }

  /** Keys of states that no height from `oldest` on refers to. The list is written with the next change. */
  dropped(oldest: Height): Bytes[] {
    const gone = this.#superseded.filter(({ height }) => height <= oldest);
    if (gone.length > 0) this.#superseded = this.#superseded.filter(({ height }) => height > oldest);
    return gone.map(({ storageRoot }) => governanceKey(storageRoot));
  }
}
