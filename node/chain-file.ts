/**
 * The file that carries final blocks from one machine to another. All numbers are unsigned, 64 bits, big-endian:
 *
 *   header   "QRTCHAIN", version 1, genesis hash (32 bytes), first height, last height
 *   record   length, RLP([block in wire form, its finality proof or the empty string])     one per height, ascending
 *   end      0, count of records, hash of the last block (32 bytes)
 *
 * After each of these comes the SHA-256 of all bytes of the file before it, so that damage on the way is found where it
 * is. It is no protection against an author who means harm: whoever imports checks hashes, proofs and execution.
 */
import { createHash } from 'node:crypto';
import { WIRE_LIMITS } from '../consensus/wire-numbers.ts';
import { readBlockId } from '../ledger/block.ts';
import { concat, equalBytes, hexBytes, readUint64, toHex, uint64, utf8 } from '../primitives/bytes.ts';
import { assert, QuorateError } from '../primitives/errors.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { RlpError, rlpBytes, rlpDecode, rlpEncode, rlpList } from '../primitives/rlp.ts';

export type ChainHeader = { readonly genesisHash: Hash; readonly first: Height; readonly last: Height };

export type ChainRecord = {
  readonly height: Height;
  readonly hash: Hash;
  readonly parentHash: Hash;
  readonly block: Bytes;
  /** Empty when only a descendant has one. */
  readonly proof: Bytes;
};

const MAGIC = utf8('QRTCHAIN');
const VERSION = 1;
const NUMBER_BYTES = 8;
const HASH_BYTES = 32;
/** Of the header without its checksum. */
export const HEADER_BYTES = MAGIC.length + NUMBER_BYTES + HASH_BYTES + 2 * NUMBER_BYTES;
const PROOF_BYTES_MAX = 64 * 1024;
const RECORD_BYTES_MAX = WIRE_LIMITS.blockBytes + PROOF_BYTES_MAX;

const COPY_AGAIN = 'copy or export it again';

export function invalidFile(message: string, data: Record<string, unknown> = {}): QuorateError {
  return new QuorateError('CHAIN_FILE_INVALID', message, { data });
}

/** The running checksum of a file's bytes; each one given out becomes part of the next. */
function runningChecksum(): { readonly update: (bytes: Bytes) => void; readonly take: () => Bytes } {
  const running = createHash('sha256');
  const take = (): Bytes => {
    const digest = running.copy().digest();
    running.update(digest);
    return digest;
  };
  return { update: (bytes) => void running.update(bytes), take };
}

// --- writing

/** Records, ascending and all there, to the parts of a file. */
export function encodeRecords(header: ChainHeader): (records: AsyncIterable<ChainRecord>) => AsyncGenerator<Bytes> {
  return async function* (records) {
    const checksum = runningChecksum();
    const sealed = (...parts: readonly Bytes[]): Bytes => {
      for (const part of parts) checksum.update(part);
      return concat(...parts, checksum.take());
    };
    yield sealed(encodeHeader(header));
    let count = 0;
    let newest = header.genesisHash;
    for await (const { height, hash, block, proof } of records) {
      assert(height === header.first + count, 'chain file: records are in height order');
      const payload = rlpEncode([block, proof]);
      assert(payload.length <= RECORD_BYTES_MAX, `chain file: block ${height} is larger than any that is sent`);
      yield sealed(uint64(payload.length), payload);
      count++;
      newest = hash;
    }
    assert(count === header.last - header.first + 1, 'chain file: every record is there');
    yield sealed(uint64(0), uint64(count), hexBytes(newest));
  };
}

function encodeHeader({ genesisHash, first, last }: ChainHeader): Bytes {
  return concat(MAGIC, uint64(VERSION), hexBytes(genesisHash), uint64(first), uint64(last));
}

// --- reading

/** The first bytes of a file. Throws CHAIN_FILE_INVALID. */
export function parseHeader(bytes: Bytes): ChainHeader {
  if (bytes.length < HEADER_BYTES || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) {
    throw invalidFile('this is not a chain file; name one that `quorate chain export` has written');
  }
  const [version, first, last] = [8, 48, 56].map((offset) => numberAt(bytes, offset));
  if (version !== VERSION) {
    const message = `the chain file has format ${version} and this program reads format ${VERSION}; use the version of quorate that wrote it`;
    throw invalidFile(message, { version });
  }
  if (first === undefined || last === undefined || first < 1 || last < first) {
    throw invalidFile(`the chain file is damaged in its header; ${COPY_AGAIN}`);
  }
  return { genesisHash: toHex(bytes.subarray(16, 48)), first, last };
}

/** Undefined past 2^53. */
function numberAt(bytes: Bytes, offset: number): number | undefined {
  try {
    return readUint64(bytes, offset);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The bytes of a file to its records, each released only when its checksum is right. Throws CHAIN_FILE_INVALID. */
export async function* decodeRecords(chunks: AsyncIterable<Bytes>): AsyncGenerator<ChainRecord> {
  const input = new CheckedInput(chunks);
  try {
    const header = parseHeader(await input.take(HEADER_BYTES, 'its header'));
    await input.check('its header');
    let newest = header.genesisHash;
    for (let height = header.first; height <= header.last; height++) {
      const at = `block ${height} of ${header.first} to ${header.last}`;
      const length = numberAt(await input.take(NUMBER_BYTES, at), 0);
      if (length === undefined || length === 0 || length > RECORD_BYTES_MAX) throw damagedAt(at);
      const payload = await input.take(length, at);
      await input.check(at);
      const record = parseRecord(payload, height);
      yield record;
      newest = record.hash;
    }
    const end = await input.take(2 * NUMBER_BYTES + HASH_BYTES, 'its end');
    await input.check('its end');
    const expected = concat(uint64(0), uint64(header.last - header.first + 1), hexBytes(newest));
    if (!equalBytes(end, expected) || !(await input.finished())) throw damagedAt('its end');
  } finally {
    await input.close();
  }
}

function parseRecord(payload: Bytes, height: Height): ChainRecord {
  try {
    const fields = rlpList(rlpDecode(payload), 'record', 2);
    const block = rlpBytes(fields[0], 'block');
    const proof = rlpBytes(fields[1], 'proof');
    const id = readBlockId(block);
    if (id?.height === height) return { ...id, block, proof };
  } catch (error) {
    if (!(error instanceof RlpError)) throw error;
  }
  throw invalidFile(`block ${height} of the chain file is not a block of that height; export it again`, { height });
}

function damagedAt(at: string): QuorateError {
  return invalidFile(`the chain file is damaged at ${at}; ${COPY_AGAIN}`);
}

/** Takes exact lengths off a stream of chunks and knows the checksum of all it gave. */
class CheckedInput {
  readonly #chunks: AsyncIterator<Bytes>;
  readonly #checksum = runningChecksum();
  #rest: Bytes = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Bytes>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next bytes, a copy, part of the checksum. */
  async take(length: number, at: string): Promise<Bytes> {
    const bytes = await this.#next(length, at);
    this.#checksum.update(bytes);
    return bytes;
  }

  /** Compares the checksum that comes next. */
  async check(at: string): Promise<void> {
    if (!equalBytes(await this.#next(HASH_BYTES, at), this.#checksum.take())) throw damagedAt(at);
  }

  async #next(length: number, at: string): Promise<Bytes> {
    const parts: Bytes[] = [];
    for (let missing = length; missing > 0; ) {
      if (this.#rest.length === 0 && !(await this.#fill())) {
        throw invalidFile(`the chain file ends within ${at}; ${COPY_AGAIN}`);
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    return concat(...parts);
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#rest = value;
    return true;
  }

  async finished(): Promise<boolean> {
    while (this.#rest.length === 0) if (!(await this.#fill())) return true;
    return false;
  }

  /** Lets the source go, wherever reading stopped. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
