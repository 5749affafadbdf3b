/**
 * The kept address records as one JSON text, so that a node that starts anew finds peers that have moved. They are hints:
 * whatever is not a record (any more) is left out with a warning, and a failed save costs nothing but the hint.
 */
import { fromHex, toHex } from '../primitives/bytes.ts';
import { errorMessage } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { type AddressRecord, encodeAddressRecord } from './address-record.ts';
import { SAVE_MS, SAVED_CHARS_MAX } from './limits.ts';
import type { AddressStorage } from './transport.ts';

/** `{"records": [{nodeKey, sequence, addresses, signature}, …]}`, keys and signatures as 0x hex. */
export function formatRecords(records: readonly AddressRecord[]): string {
  const entries = records.map(({ nodeKey, sequence, addresses, signature }) => ({
    nodeKey,
    sequence,
    addresses,
    signature: toHex(signature),
  }));
  return JSON.stringify({ records: entries }, undefined, 2) + '\n';
}

/** Encoded records out of a saved text, unverified, and what in it is not one. */
export function parseRecords(text: string): {
  readonly records: readonly Bytes[];
  readonly problems: readonly string[];
} {
  if (text.length > SAVED_CHARS_MAX) return { records: [], problems: [`${text.length} characters`] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { records: [], problems: [errorMessage(error)] };
  }
  const list = isObject(value) ? value['records'] : undefined;
  if (!Array.isArray(list)) return { records: [], problems: ['no list of records'] };
  const records: Bytes[] = [];
  const problems: string[] = [];
  for (const [index, entry] of list.entries()) {
    const record = encodeEntry(entry);
    if (record === undefined) problems.push(`records[${index}] is no address record`);
    else records.push(record);
  }
  return { records, problems };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Only far enough that it can be encoded: whether it is a record is for the parser of records to say. */
function encodeEntry(entry: unknown): Bytes | undefined {
  if (!isObject(entry)) return undefined;
  const { nodeKey, sequence, addresses, signature } = entry;
  const bytes = typeof signature === 'string' ? fromHex(signature) : undefined;
  if (typeof nodeKey !== 'string' || fromHex(nodeKey) === undefined || bytes === undefined) return undefined;
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) return undefined;
  if (!Array.isArray(addresses) || !addresses.every((item) => typeof item === 'string')) return undefined;
  return encodeAddressRecord({ nodeKey, sequence: sequence as number, addresses, signature: bytes });
}

export type AddressStoreOptions = {
  readonly storage: AddressStorage | undefined;
  /** All there is to save, at the moment of saving. */
  readonly records: () => readonly AddressRecord[];
  readonly onProblem: (message: string) => void;
};

export class AddressStore {
  readonly #options: AddressStoreOptions;
  #timer: NodeJS.Timeout | undefined;
  /** One save at a time. */
  #saving: Promise<void> = Promise.resolve();

  constructor(options: AddressStoreOptions) {
    this.#options = options;
  }

  /** What was saved last. Never rejects. */
  async load(): Promise<readonly Bytes[]> {
    const { storage, onProblem } = this.#options;
    try {
      const text = await storage?.load();
      if (text === undefined) return [];
      const { records, problems } = parseRecords(text);
      if (problems.length > 0) {
        onProblem(`saved addresses of peers: ${problems.length} ignored, the first: ${problems[0]}`);
      }
      return records;
    } catch (error) {
      onProblem(`the saved addresses of peers cannot be read: ${errorMessage(error)}`);
      return [];
    }
  }

  /** Something changed: saved with what else changes in the next seconds. */
  changed(): void {
    if (this.#options.storage !== undefined) this.#timer ??= setTimeout(() => void this.save(), SAVE_MS);
  }

  /** What is to be saved is saved now. */
  async flush(): Promise<void> {
    if (this.#timer === undefined) await this.#saving;
    else await this.save();
  }

  /** Saves now, after a save that is under way. Never rejects. */
  async save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#saving = this.#saving.then(() => this.#save());
    await this.#saving;
  }

  async #save(): Promise<void> {
    const { storage, records, onProblem } = this.#options;
    try {
      await storage?.save(formatRecords(records()));
    } catch (error) {
      onProblem(`the addresses of peers cannot be saved: ${errorMessage(error)}`);
    }
  }
}
