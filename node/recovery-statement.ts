/**
 * The statement of a recovery (docs/operating.md, "When more than t are gone for good"): the last block of an epoch whose
 * validators can never be a majority again, and the new list. Every new member's validator key signs it with the life of
 * its log under which it will go on, having checked that it knows of nothing newer; then every operator confirms the whole.
 *
 * Here: its form as a JSON file, what is signed, and what is wrong with one by itself. What a chain says of it is in
 * recovery-checks.ts.
 */
import { decodeCertificate } from '../consensus/certificate-codec.ts';
import type { Certificate } from '../consensus/message.ts';
import { parseAddress } from '../genesis/address.ts';
import { parseMultiaddr, parseNodeKey } from '../genesis/peer-address.ts';
import { candidateProblems } from '../ledger/governance/change.ts';
import type { Recovery } from '../ledger/recovery.ts';
import { fromHex, hexBytes, isHash, toHex, utf8 } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Address, Bytes, Epoch, Hash, Height } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { faultsTolerated, VALIDATORS_MAX, type Validator } from '../primitives/membership.ts';
import { type Problems, parseBoolean, parseInteger, parseObject } from '../primitives/parse.ts';
import { type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import { recoverAddress, sign } from '../primitives/secp256k1.ts';

export type StatementMember = Validator & {
  /** Empty for those who stay: found where they were. */
  readonly multiaddr: string;
  /** 16 bytes, 0x hex: the life of its log that goes on. Null, with the signature, until it has signed. */
  readonly incarnation: string | null;
  /** Of the validator key, 65 bytes, 0x hex. */
  readonly signature: string | null;
  /** Of the operator account, made when all validators have signed. */
  readonly confirmation: string | null;
};

export type RecoveryStatement = {
  readonly version: 1;
  readonly chainId: number;
  readonly genesisHash: Hash;
  /** The epoch that is broken off. */
  readonly epoch: Epoch;
  /** Its last block. */
  readonly base: { readonly number: Height; readonly hash: Hash };
  /** What the old validators signed of it (docs/wire.md, certificate), 0x hex; 0x for block 0. */
  readonly certificate: string;
  /** Old members that are gone. */
  readonly removed: readonly Address[];
  /** The new list: old members that stay, in their order, then those added. */
  readonly members: readonly StatementMember[];
  readonly reason: string;
  /** A sign that the old validators could still be alive was overruled. */
  readonly forced: boolean;
};

/** A statement file is far smaller: 100 members with three signatures each. */
export const STATEMENT_BYTES_MAX = 256 * 1024;
const REASON_CHARS_MAX = 500;
const CERTIFICATE_BYTES_MAX = 16 * 1024;
const INCARNATION_BYTES = 16;
const SIGNATURE_BYTES = 65;

const MEMBER_TAG = utf8('quorate/RECOVERY-MEMBER/1');
const WHOLE_TAG = utf8('quorate/RECOVERY/1');

// --- what is signed

function fieldsOf(statement: RecoveryStatement): RlpInput[] {
  const { chainId, genesisHash, epoch, base, certificate, removed, members, reason, forced } = statement;
  return [
    chainId,
    genesisHash,
    epoch,
    base.number,
    base.hash,
    certificate,
    removed,
    members.map((m) => [m.validator, m.nodeKey, m.operator, utf8(m.multiaddr)]),
    utf8(reason),
    forced ? 1 : 0,
  ];
}

/** keccak256(RLP([tag, …fields, validator, incarnation])): a member's validator key signs for its own life only. */
function memberDigest(statement: RecoveryStatement, validator: Address, incarnation: string): Bytes {
  return keccak256(rlpEncode([MEMBER_TAG, ...fieldsOf(statement), validator, incarnation]));
}

/** keccak256(RLP([tag, …fields, incarnations])): what operators sign and chain state names. Undefined until all have signed. */
export function statementDigest(statement: RecoveryStatement): Hash | undefined {
  const incarnations = statement.members.flatMap(({ incarnation }) => incarnation ?? []);
  if (incarnations.length < statement.members.length) return undefined;
  return toHex(keccak256(rlpEncode([WHOLE_TAG, ...fieldsOf(statement), incarnations])));
}

/** The statement with a member's signature. Confirmations were of another whole, so they go. */
export function withSignature(
  statement: RecoveryStatement,
  { validator, incarnation, privateKey }: { validator: Address; incarnation: string; privateKey: Bytes },
): RecoveryStatement {
  const signature = toHex(sign(memberDigest(statement, validator, incarnation), privateKey));
  const members = statement.members.map((member) => ({
    ...member,
    ...(member.validator === validator && { incarnation, signature }),
    confirmation: null,
  }));
  return { ...statement, members };
}

/** The statement confirmed by an operator, for all of its members. All validators have signed. */
export function withConfirmation(
  statement: RecoveryStatement,
  { operator, privateKey }: { operator: Address; privateKey: Bytes },
): RecoveryStatement {
  const digest = statementDigest(statement);
  assert(digest !== undefined, 'recovery: confirmed before all validators have signed');
  const confirmation = toHex(sign(hexBytes(digest), privateKey));
  const members = statement.members.map((member) =>
    member.operator === operator ? { ...member, confirmation } : member,
  );
  return { ...statement, members };
}

/** Who has to do what before the statement counts, one sentence each; empty: it is complete. */
export function missingSignatures({ members }: RecoveryStatement): string[] {
  const unsigned = members.filter(({ signature }) => signature === null);
  if (unsigned.length > 0)
    return unsigned.map(({ validator }) => `validator ${validator} has not signed: quorate recover sign`);
  const unconfirmed = members.filter(({ confirmation }) => confirmation === null).map(({ operator }) => operator);
  return [...new Set(unconfirmed)].map((operator) => `operator ${operator} has not confirmed: quorate recover confirm`);
}

/** What the old validators signed of the base; undefined for block 0. */
export function certificateOf({ certificate }: RecoveryStatement): Certificate | undefined {
  return decode(hexBytes(certificate));
}

function decode(bytes: Bytes): Certificate | undefined {
  if (bytes.length === 0) return undefined;
  const decoded = decodeCertificate(bytes, { validators: VALIDATORS_MAX });
  return decoded.ok ? decoded.certificate : undefined;
}

/** A complete statement as the ledger takes it. */
export function recoveryOf(statement: RecoveryStatement): Recovery {
  const { epoch, base, certificate } = statement;
  const digest = statementDigest(statement);
  assert(digest !== undefined && missingSignatures(statement).length === 0, 'recovery: the statement is not complete');
  return {
    epoch,
    base: { height: base.number, hash: base.hash },
    members: statement.members.map(({ validator, nodeKey, operator, multiaddr, incarnation }) => {
      assert(incarnation !== null, 'recovery: a member without an incarnation');
      return { validator, nodeKey, operator, multiaddr, incarnation };
    }),
    digest,
    certificate: hexBytes(certificate),
  };
}

// --- against the list it changes

/** Validators by their addresses. */
export function listText(members: readonly Validator[]): string {
  return members.map(({ validator }) => validator).join(', ');
}

/** What is wrong with what the statement makes of the list of the epoch that is broken off. */
export function listProblems({ removed, members, epoch }: RecoveryStatement, old: readonly Validator[]): string[] {
  const strangers = removed.filter((address) => !old.some(({ validator }) => validator === address));
  if (strangers.length > 0) return [`${strangers.join(', ')} was no validator of epoch ${epoch}`];
  const t = faultsTolerated(old.length);
  if (removed.length <= t) return [`${removed.length} of ${old.length} validators do not stop a chain`];
  const stay = old.filter(({ validator }) => !removed.includes(validator));
  const isSame = stay.every((member, i) => {
    const named = members[i];
    return (
      named?.validator === member.validator &&
      named.nodeKey === member.nodeKey &&
      named.operator === member.operator &&
      named.multiaddr === ''
    );
  });
  if (!isSame) return [`the members that stay must come first, as epoch ${epoch} had them: ${listText(stay)}`];
  return members.slice(stay.length).flatMap(candidateProblems);
}

// --- the file

export function statementText(statement: RecoveryStatement): string {
  return JSON.stringify(statement, undefined, 2) + '\n';
}

const FIELDS = [
  'version',
  'chainId',
  'genesisHash',
  'epoch',
  'base',
  'certificate',
  'removed',
  'members',
  'reason',
  'forced',
] as const satisfies readonly (keyof RecoveryStatement)[];
const MEMBER_FIELDS = ['validator', 'nodeKey', 'operator', 'multiaddr', 'incarnation', 'signature', 'confirmation'];
const SAFE = { min: 0, max: Number.MAX_SAFE_INTEGER };
/** No line breaks and nothing else that a terminal acts upon. */
const REASON = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

function parseHashField(value: unknown, path: string, problems: Problems): Hash | undefined {
  return isHash(value) ? value : problems.expected(path, 'a hash (0x and 64 lower-case hex digits)', value);
}

function parseSized(value: unknown, path: string, bytes: number, problems: Problems): string | null | undefined {
  if (value === null) return null;
  const fits = typeof value === 'string' && value === value.toLowerCase() && fromHex(value)?.length === bytes;
  return fits ? value : problems.expected(path, `null or ${bytes} bytes as lower-case 0x hex`, value);
}

function parseList(value: unknown, path: string, problems: Problems): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0 && value.length <= VALIDATORS_MAX) return value;
  problems.expected(path, `an array of 1 to ${VALIDATORS_MAX}`, value);
  return [];
}

function parseMember(value: unknown, path: string, problems: Problems): StatementMember | undefined {
  const fields = parseObject(value, path, MEMBER_FIELDS, problems);
  if (fields === undefined) return undefined;
  const validator = parseAddress(fields['validator'], `${path}.validator`, problems);
  const nodeKey = parseNodeKey(fields['nodeKey'], `${path}.nodeKey`, problems);
  const operator = parseAddress(fields['operator'], `${path}.operator`, problems);
  const given = fields['multiaddr'];
  const multiaddr = given === '' ? '' : parseMultiaddr(given, `${path}.multiaddr`, nodeKey, problems);
  const incarnation = parseSized(fields['incarnation'], `${path}.incarnation`, INCARNATION_BYTES, problems);
  const signature = parseSized(fields['signature'], `${path}.signature`, SIGNATURE_BYTES, problems);
  const confirmation = parseSized(fields['confirmation'], `${path}.confirmation`, SIGNATURE_BYTES, problems);
  if (validator === undefined || nodeKey === undefined || operator === undefined || multiaddr === undefined)
    return undefined;
  if (incarnation === undefined || signature === undefined || confirmation === undefined) return undefined;
  return { validator, nodeKey, operator, multiaddr, incarnation, signature, confirmation };
}

/** A statement from parsed JSON, its signatures verified as far as they are there; undefined with problems by path. */
export function parseStatement(value: unknown, problems: Problems): RecoveryStatement | undefined {
  const before = problems.list.length;
  const fields = parseObject(value, '', FIELDS, problems) ?? {};
  if (fields['version'] !== 1) problems.expected('version', '1', fields['version']);
  const base = parseObject(fields['base'], 'base', ['number', 'hash'], problems) ?? {};
  const { certificate, reason } = fields;
  const statement = {
    version: 1,
    chainId: parseInteger(fields['chainId'], 'chainId', SAFE, problems),
    genesisHash: parseHashField(fields['genesisHash'], 'genesisHash', problems),
    epoch: parseInteger(fields['epoch'], 'epoch', SAFE, problems),
    base: {
      number: parseInteger(base['number'], 'base.number', SAFE, problems),
      hash: parseHashField(base['hash'], 'base.hash', problems),
    },
    certificate: typeof certificate === 'string' ? certificate : '',
    removed: parseList(fields['removed'], 'removed', problems).flatMap(
      (item, i) => parseAddress(item, `removed[${i}]`, problems) ?? [],
    ),
    members: parseList(fields['members'], 'members', problems).flatMap(
      (item, i) => parseMember(item, `members[${i}]`, problems) ?? [],
    ),
    reason: typeof reason === 'string' ? reason : '',
    forced: parseBoolean(fields['forced'], 'forced', problems),
  };
  if (statement.reason.length > REASON_CHARS_MAX || !REASON.test(statement.reason))
    problems.expected('reason', `one line of text of 1 to ${REASON_CHARS_MAX} characters`, reason);
  const bytes = fromHex(statement.certificate);
  if (bytes === undefined || bytes.length > CERTIFICATE_BYTES_MAX || statement.certificate !== toHex(bytes))
    problems.expected('certificate', 'a certificate as lower-case 0x hex', certificate);
  if (problems.list.length > before) return undefined;
  const parsed = statement as RecoveryStatement;
  checkCertificate(parsed, problems);
  checkKeys(parsed, problems);
  checkSignatures(parsed, problems);
  return problems.list.length > before ? undefined : parsed;
}

function checkCertificate({ certificate, base, epoch }: RecoveryStatement, problems: Problems): void {
  if (base.number === 0) {
    if (certificate !== '0x') problems.expected('certificate', '0x, since nobody signs block 0', certificate);
    return;
  }
  const decoded = decode(hexBytes(certificate));
  if (decoded === undefined) problems.add('certificate', 'cannot be decoded');
  else if (decoded.hash !== base.hash || decoded.height !== base.number)
    problems.add('certificate', `is about block ${decoded.height} ${decoded.hash}, not the base`);
  else if (decoded.epoch > epoch) problems.add('certificate', `is of epoch ${decoded.epoch}, which came later`);
}

/** Every key is named once, and nobody both goes and stays. */
function checkKeys({ members, removed }: RecoveryStatement, problems: Problems): void {
  const named = new Set<string>();
  for (const [i, address] of removed.entries()) {
    if (named.has(address)) problems.add(`removed[${i}]`, `${address} is named twice`);
    named.add(address);
  }
  for (const [i, { validator, nodeKey }] of members.entries()) {
    if (named.has(validator)) problems.add(`members[${i}].validator`, `${validator} is named twice`);
    if (named.has(nodeKey)) problems.add(`members[${i}].nodeKey`, `${nodeKey} is named twice`);
    named.add(validator).add(nodeKey);
  }
}

function checkSignatures(statement: RecoveryStatement, problems: Problems): void {
  const digest = statementDigest(statement);
  for (const [i, { validator, operator, incarnation, signature, confirmation }] of statement.members.entries()) {
    if ((incarnation === null) !== (signature === null)) {
      problems.add(`members[${i}].signature`, 'comes together with incarnation, or both are null');
    } else if (incarnation !== null && signature !== null) {
      const signer = recoverAddress(memberDigest(statement, validator, incarnation), hexBytes(signature));
      if (signer !== validator)
        problems.add(`members[${i}].signature`, `is not that of ${validator} on this statement`);
    }
    if (confirmation === null) continue;
    const signer = digest && recoverAddress(hexBytes(digest), hexBytes(confirmation));
    if (signer !== operator) problems.add(`members[${i}].confirmation`, `is not that of ${operator} on this statement`);
  }
}
