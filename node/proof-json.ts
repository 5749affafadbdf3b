/** Finality proofs and validator lists as JSON-RPC shows them, read back from a node or a file that is not trusted. */
import type { Certificate, Seal } from '../consensus/message.ts';
import { decodeHeader, type Header } from '../ledger/block.ts';
import { fromHex } from '../primitives/bytes.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { VALIDATORS_MAX, type Validator } from '../primitives/membership.ts';
import { type Problems, parseInteger } from '../primitives/parse.ts';

/** A header whose hash was computed here. */
export type ProvenHeader = { readonly header: Header; readonly hash: Hash };

export type ParsedProof = {
  /** From the block that was signed down to the block the proof was asked for; at least one. */
  readonly headers: readonly ProvenHeader[];
  readonly epoch: number;
  readonly view: number;
  readonly viewCertificate: string;
  readonly signatures: readonly {
    readonly validator: Address;
    readonly incarnation: string;
    readonly signature: Bytes;
  }[];
};

type Fields = Readonly<Record<string, unknown>>;
const SAFE = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** Unknown fields are none of our business: a node may say more. */
function fieldsOf(value: unknown, path: string, problems: Problems): Fields | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  return problems.expected(path, 'an object', value);
}

function listOf(value: unknown, path: string, max: number, problems: Problems): readonly unknown[] {
  if (Array.isArray(value) && value.length <= max) return value;
  problems.expected(path, `an array of at most ${max}`, value);
  return [];
}

/** Lower-case 0x hex of so many bytes. */
function parseHex(value: unknown, path: string, bytes: number, problems: Problems): string | undefined {
  const found = typeof value === 'string' ? fromHex(value.toLowerCase()) : undefined;
  if (found?.length === bytes) return (value as string).toLowerCase();
  return problems.expected(path, `${bytes} bytes as 0x hex`, value);
}

function parseHeader(value: unknown, path: string, problems: Problems): ProvenHeader | undefined {
  const bytes = typeof value === 'string' ? fromHex(value) : undefined;
  const header = bytes && decodeHeader(bytes);
  if (header === undefined) return problems.expected(path, 'the RLP of a header as 0x hex', value);
  return { header, hash: keccakHash(bytes!) };
}

/** Headers of one proof; a node follows a block up to its proof for half as many. */
const HEADERS_MAX = 1024;

export function parseProof(value: unknown, path: string, problems: Problems): ParsedProof | undefined {
  const fields = fieldsOf(value, path, problems);
  if (fields === undefined) return undefined;
  const before = problems.list.length;
  const ancestry = listOf(fields['ancestry'], `${path}.ancestry`, HEADERS_MAX, problems);
  const given = ancestry.length > 0 ? ancestry : [fields['header']];
  const headers = given.flatMap((item, i) => parseHeader(item, `${path}.header ${i}`, problems) ?? []);
  const epoch = parseInteger(fields['epoch'], `${path}.epoch`, SAFE, problems);
  const view = parseInteger(fields['view'], `${path}.view`, SAFE, problems);
  const opened = fields['viewCertificate'];
  const viewCertificate = opened === '' ? '' : parseHex(opened, `${path}.viewCertificate`, 32, problems);
  const signatures = listOf(fields['signatures'], `${path}.signatures`, VALIDATORS_MAX, problems).flatMap((item, i) => {
    const at = `${path}.signatures[${i}]`;
    const seal = fieldsOf(item, at, problems) ?? {};
    const validator = parseHex(seal['validator'], `${at}.validator`, 20, problems);
    const incarnation = parseHex(seal['incarnation'], `${at}.incarnation`, 16, problems);
    const signature = parseHex(seal['signature'], `${at}.signature`, 65, problems);
    if (validator === undefined || incarnation === undefined || signature === undefined) return [];
    return [{ validator, incarnation, signature: fromHex(signature)! }];
  });
  if (problems.list.length > before) return undefined;
  return { headers, epoch: epoch!, view: view!, viewCertificate: viewCertificate!, signatures };
}

/** `validators` of xft_getEpoch. */
export function parseMembers(value: unknown, path: string, problems: Problems): Validator[] {
  return listOf(value, path, VALIDATORS_MAX, problems).flatMap((item, i) => {
    const at = `${path}[${i}]`;
    const fields = fieldsOf(item, at, problems) ?? {};
    const validator = parseHex(fields['address'], `${at}.address`, 20, problems);
    const nodeKey = parseHex(fields['nodeKey'], `${at}.nodeKey`, 33, problems);
    const operator = parseHex(fields['operator'], `${at}.operator`, 20, problems);
    if (validator === undefined || nodeKey === undefined || operator === undefined) return [];
    return [{ validator, nodeKey, operator }];
  });
}

/** The certificate a proof shows, by the indices of an epoch's validators; undefined when a signer is none of them. */
export function certificateOf(proof: ParsedProof, members: readonly Validator[]): Certificate | undefined {
  const { epoch, view, viewCertificate } = proof;
  const seals: Seal[] = [];
  for (const { validator, incarnation, signature } of proof.signatures) {
    const signer = members.findIndex((member) => member.validator === validator);
    if (signer < 0) return undefined;
    seals.push({ signer, incarnation, signature });
  }
  const { header, hash } = proof.headers[0]!;
  return { kind: 'FP', epoch, view, viewCertificate, height: header.number, hash, seals };
}
