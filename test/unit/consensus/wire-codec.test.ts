/**
 * docs/wire.md is part of the protocol: its vectors must be what this program writes, reads and signs. Each stands in a
 * fence whose info string names it, such as "hex message COMMIT". After a deliberate change, `vitest -u` on this file
 * writes the new ones into the page.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeCertificate, encodeCertificate } from '../../../consensus/certificate-codec.ts';
import { makeSchedule } from '../../../consensus/groups.ts';
import type { Certificate, Message, Row, Seal, SignedMessage, Vote } from '../../../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../../../consensus/message-codec.ts';
import { decodeRecord, encodeRecord } from '../../../consensus/record-codec.ts';
import { statementDigest, vcFinalDigest, viewCertificate } from '../../../consensus/statement.ts';
import { Verifier } from '../../../consensus/verify.ts';
import {
  CERTIFICATE_NUMBERS,
  MESSAGE_NUMBERS,
  NESTED_NUMBERS,
  RECORD_NUMBERS,
  WIRE_LIMITS,
} from '../../../consensus/wire-numbers.ts';
import { concat, fromHex, toHex, utf8 } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { keccakHash } from '../../../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../../../primitives/rlp.ts';
import { recoverAddress } from '../../../primitives/secp256k1.ts';
import { SAMPLE_CERTIFICATES, SAMPLE_CONFIG, SAMPLE_MESSAGES, SAMPLE_RECORDS } from './wire-samples.ts';

const PAGE = new URL('../../../docs/wire.md', import.meta.url);
const FENCE = /^```hex (.+)\n([^`]*)^```$/gm;
const BOUNDS = { validators: SAMPLE_CONFIG.validators.length };

const verifier = new Verifier(SAMPLE_CONFIG, makeSchedule(BOUNDS.validators), recoverAddress);
const page = readFileSync(PAGE, 'utf8');

/** The signed bytes as docs/wire.md words them, written a second time, from the page and not from statement.ts. */
function statementBytes(message: SignedMessage | Row): Bytes {
  const { chainId, genesisHash, membershipHash } = SAMPLE_CONFIG;
  const { kind, epoch, incarnation } = message;
  const view = kind === 'ROW' ? 0 : message.view;
  const opened = 'viewCertificate' in message ? message.viewCertificate || '0x' : '0x';
  const common = [utf8(`quorate/${kind}/1`), chainId, genesisHash, epoch, membershipHash, incarnation, view, opened];
  return rlpEncode([...common, utf8(kind), ...statementFields(message)]);
}

function statementFields(message: SignedMessage | Row): RlpInput[] {
  switch (message.kind) {
    case 'ROW':
      return [message.generation, message.members];
    case 'SUSPECT':
      return [message.target, message.accused, message.rows.map(signedRow)];
    case 'VIEW-CHANGE': {
      const { lastSigned: last, head, final } = message;
      const locked = last === undefined ? [] : [signedVote(last.prepare), last.commit ? signedVote(last.commit) : []];
      return [locked, certificate(head), certificate(final)];
    }
    case 'VC-FINAL':
      return [message.viewChanges.map((change) => [...statementFields(change), seal(change)])];
    case 'NEW-VIEW':
      return [certificate(message.head), message.digests, signedVote(message.prepare)];
    default:
      return [message.height, message.hash];
  }
}

function seal({ signer, incarnation, signature }: Seal): RlpInput {
  return [signer, incarnation, signature];
}

function signedVote(vote: Vote): RlpInput {
  const { kind, epoch, view, viewCertificate: opened, height, hash } = vote;
  return [utf8(`quorate/${kind}/1`), epoch, view, opened || '0x', height, hash, seal(vote)];
}

function signedRow(row: Row): RlpInput {
  return [utf8('quorate/ROW/1'), row.epoch, row.generation, row.members, seal(row)];
}

function certificate(about: Certificate | undefined): RlpInput {
  if (about === undefined) return [];
  const { kind, epoch, view, viewCertificate: opened, height, hash, seals } = about;
  return [kind === 'FP' ? 1 : 0, epoch, view, opened || '0x', height, hash, seals.map(seal)];
}

/** Every vector by the name its fence has. */
function vectors(): Map<string, Bytes> {
  const out = new Map<string, Bytes>();
  for (const message of Object.values(SAMPLE_MESSAGES)) out.set(`message ${message.kind}`, encodeMessage(message));
  for (const held of Object.values(SAMPLE_CERTIFICATES)) out.set(`certificate ${held.kind}`, encodeCertificate(held));
  for (const record of Object.values(SAMPLE_RECORDS)) out.set(`record ${record.kind}`, encodeRecord(record));
  for (const message of signedKinds()) {
    out.set(`digest ${message.kind}`, statementDigest(SAMPLE_CONFIG, message));
  }
  out.set('statement PREPARE', statementBytes(SAMPLE_MESSAGES.PREPARE));
  out.set('statement SUSPECT', statementBytes(SAMPLE_MESSAGES.SUSPECT));
  out.set('digest of a VC-FINAL', fromHex(vcFinalDigest(SAMPLE_CONFIG, SAMPLE_MESSAGES['VC-FINAL']))!);
  out.set('view certificate', fromHex(SAMPLE_MESSAGES.PREPARE.viewCertificate)!);
  return out;
}

function signedKinds(): (SignedMessage | Row)[] {
  const { PREPARE, COMMIT, COMMITTED, SUSPECT } = SAMPLE_MESSAGES;
  const { row } = SAMPLE_RECORDS.row;
  const { 'VIEW-CHANGE': viewChange, 'VC-FINAL': vcFinal, 'NEW-VIEW': newView } = SAMPLE_MESSAGES;
  return [PREPARE, COMMIT, COMMITTED, SUSPECT, viewChange, vcFinal, newView, row];
}

function wrap(hex: string): string {
  return hex.match(/.{1,120}/g)!.join('\n');
}

function documented(name: string): Bytes {
  for (const [, named, hex] of page.matchAll(FENCE)) {
    if (named === name) return fromHex(hex!.replaceAll(/\s/g, ''))!;
  }
  throw new Error(`docs/wire.md has no vector "${name}"`);
}

describe('docs/wire.md', () => {
  it('shows exactly the bytes that are written today', async () => {
    const current = vectors();
    const renewed = page.replaceAll(FENCE, (fence, name: string) => {
      const bytes = current.get(name);
      return bytes === undefined ? fence : `\`\`\`hex ${name}\n${wrap(toHex(bytes))}\n\`\`\``;
    });
    await expect(renewed).toMatchFileSnapshot(PAGE.pathname);
  });

  it('has one vector for each thing that has an encoding, and none for anything else', () => {
    const shown = [...page.matchAll(FENCE)].map(([, name]) => name);
    expect(shown.toSorted()).toEqual([...vectors().keys()].toSorted());
  });

  it.each([
    ...Object.entries(MESSAGE_NUMBERS),
    ...Object.entries(NESTED_NUMBERS),
    ...Object.entries(CERTIFICATE_NUMBERS),
    ...Object.entries(RECORD_NUMBERS),
  ])('heads the section on %s with its number %i', (kind, number) => {
    expect(page).toMatch(new RegExp(`^### ${kind} \\(${number}\\)$`, 'm'));
  });

  it.each(Object.entries(WIRE_LIMITS))('names the limit of %s', (name, limit) => {
    expect(page).toMatch(new RegExp(`^\\| \`${name}\` \\|.* ${limit.toLocaleString('en-US')} \\|`, 'm'));
  });

  it.each(Object.values(SAMPLE_MESSAGES))('message $kind: the vector is read as it was meant', (message: Message) => {
    expect(decodeMessage(documented(`message ${message.kind}`), BOUNDS)).toEqual({ ok: true, message });
  });

  it.each(Object.values(SAMPLE_RECORDS))('record $kind: the vector is read as it was meant', (record) => {
    expect(decodeRecord(documented(`record ${record.kind}`))).toEqual(record);
  });

  it.each(Object.values(SAMPLE_CERTIFICATES))('certificate $kind: all its seals hold', (held: Certificate) => {
    const bytes = documented(`certificate ${held.kind}`);
    expect(decodeCertificate(bytes, BOUNDS)).toEqual({ ok: true, certificate: held });
    expect(verifier.certificate(held)).toBeUndefined();
  });

  it('tells a story that a replica believes', () => {
    const { PREPARE, COMMIT, COMMITTED, SUSPECT } = SAMPLE_MESSAGES;
    for (const vote of [PREPARE, COMMIT, COMMITTED]) expect(verifier.vote(vote)).toBeUndefined();
    expect(verifier.suspect(SUSPECT)).toBeUndefined();
    expect(verifier.row(SAMPLE_RECORDS.row.row)).toBeUndefined();
    expect(verifier.viewChange(SAMPLE_MESSAGES['VIEW-CHANGE'])).toBeUndefined();
    expect(verifier.vcFinal(SAMPLE_MESSAGES['VC-FINAL'])).toBeUndefined();
    expect(verifier.newView(SAMPLE_MESSAGES['NEW-VIEW'])).toBeUndefined();
  });

  it.each(signedKinds())('$kind: the signed bytes are built as the page says and the signature holds', (message) => {
    const digest = documented(`digest ${message.kind}`);
    expect(toHex(digest)).toBe(keccakHash(statementBytes(message)));
    expect(recoverAddress(digest, message.signature)).toBe(SAMPLE_CONFIG.validators[message.signer]);
  });

  it('builds the name of a VC-FINAL and the view certificate as the page says', () => {
    const vcFinal = SAMPLE_MESSAGES['VC-FINAL'];
    const named = keccakHash(concat(documented('digest VC-FINAL'), utf8(String(vcFinal.signer))));
    expect(toHex(documented('digest of a VC-FINAL'))).toBe(named);
    const { view, digests, head } = SAMPLE_MESSAGES['NEW-VIEW'];
    const opened = keccakHash(rlpEncode([view, [head!.view + 1, head!.height, head!.hash], digests]));
    expect(toHex(documented('view certificate'))).toBe(opened);
    expect(viewCertificate({ view, digests, head: head! })).toBe(opened);
  });
});
