/**
 * A light client (consensus.md section 7, step 2): from the genesis to any block on hand-over proofs alone. Who answers is
 * not trusted: every header is hashed here, every signature checked against the validators proven before. The walk learns
 * who decides and what they made final; that execution was right is their word (`quorate chain verify` needs nobody's).
 */
import { type EpochConfig, NO_TIMING } from '../consensus/config.ts';
import { makeSchedule } from '../consensus/groups.ts';
import { Verifier } from '../consensus/verify.ts';
import type { Genesis } from '../genesis/genesis.ts';
import { headerEpoch } from '../ledger/block.ts';
import { EVENTS } from '../ledger/governance/abi.ts';
import { genesisBlock } from '../ledger/open.ts';
import { bloomOf } from '../ledger/receipt.ts';
import { EMPTY, toHex, uint64 } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import { type Address, type Bytes, type Epoch, GOVERNANCE_ADDRESS, type Hash, type Height } from '../primitives/ids.ts';
import { faultsTolerated, membershipHash, type Validator } from '../primitives/membership.ts';
import { Problems } from '../primitives/parse.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { chainRules, genesisInput } from './chain.ts';
import { certificateOf, type ParsedProof, type ProvenHeader, parseMembers, parseProof } from './proof-json.ts';
import {
  listProblems,
  missingSignatures,
  parseStatement,
  type RecoveryStatement,
  certificateOf as statementCertificate,
  statementDigest,
} from './recovery-statement.ts';

/** What is trusted from the start: the chain, and who founded it. */
export type Anchor = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly validators: readonly Validator[];
};

export function anchorOf(genesis: Genesis): Anchor {
  const { hash } = genesisBlock(chainRules(genesis), genesisInput(genesis)).block;
  return { chainId: genesis.chainId, genesisHash: hash, validators: genesis.validators };
}

export type WalkedEpoch = {
  readonly epoch: Epoch;
  readonly firstBlock: Height;
  readonly validators: readonly Address[];
  readonly t: number;
  /** The block that closed the epoch before, and who signed for it; undefined in epoch 0. */
  readonly closing: ProvenBlock | undefined;
  /** Set instead when the validators before did not close their epoch: their operators broke it off. */
  readonly broken?: BrokenOff;
};

export type BrokenOff = {
  /** The last block of the epoch before. */
  readonly number: Height;
  readonly hash: Hash;
  /** Digest of the statement. */
  readonly statement: Hash;
  readonly reason: string;
  readonly forced: boolean;
  /** The new validators; those of the epoch before among them; and the accounts that confirmed. */
  readonly signedBy: readonly Address[];
  readonly stayed: readonly Address[];
  readonly confirmedBy: readonly Address[];
};

export type ProvenBlock = {
  readonly number: Height;
  readonly hash: Hash;
  readonly epoch: Epoch;
  readonly view: number;
  readonly signedBy: readonly Address[];
};

export class EpochWalk {
  readonly #anchor: Anchor;
  readonly #acceptedBreaks: ReadonlySet<Hash>;
  #epoch: Epoch = 0;
  #members: readonly Validator[];
  #root: { readonly height: Height; readonly hash: Hash };

  /** `acceptedBreaks`: digests of recoveries that whoever asks knows to be in order; no proof can show that. */
  constructor(anchor: Anchor, acceptedBreaks: ReadonlySet<Hash> = new Set()) {
    this.#anchor = anchor;
    this.#acceptedBreaks = acceptedBreaks;
    this.#members = anchor.validators;
    this.#root = { height: 0, hash: anchor.genesisHash };
  }

  get present(): WalkedEpoch {
    return this.#walked(undefined);
  }

  #walked(closing: ProvenBlock | undefined): WalkedEpoch {
    const validators = this.#members.map(({ validator }) => validator);
    const firstBlock = this.#epoch === 0 ? 0 : this.#root.height + 1;
    return { epoch: this.#epoch, firstBlock, validators, t: faultsTolerated(validators.length), closing };
  }

  /** On to the next epoch, by what `xft_getEpoch` answers for it. Throws VERIFY_FAILED. */
  enter(answer: unknown): WalkedEpoch {
    const next = this.#epoch + 1;
    const fail = (problem: string): never => failed(`the hand-over to epoch ${next}`, problem);
    const problems = new Problems();
    const { validators, handover } = (answer ?? {}) as { readonly validators?: unknown; readonly handover?: unknown };
    const members = parseMembers(validators, 'validators', problems);
    if (typeof handover === 'object' && handover !== null && 'recovery' in handover && problems.list.length === 0)
      return this.#enterBroken(handover.recovery, members);
    const proof = parseProof(handover, 'handover', problems);
    if (problems.list.length > 0 || proof === undefined) return fail(problems.list.slice(0, 3).join('; '));
    const problem = this.#proofProblem(proof);
    if (problem !== undefined) return fail(problem);
    const [{ header, hash }] = proof.headers as [ProvenHeader];
    if (proof.headers.length > 1) return fail('the closing block has no proof of its own');
    if (header.mixHash !== membershipHash(members))
      return fail('the list of validators is not the one the closing block names');
    if (!mayHoldClosing(header.logsBloom, next)) return fail(`block ${header.number} closes no epoch`);
    const closing = this.#proven(proof);
    this.#epoch = next;
    this.#members = members;
    this.#root = { height: header.number, hash };
    return this.#walked(closing);
  }

  /** On to an epoch that a recovery began: its statement is whole, fits, and is one that was accepted beforehand. */
  #enterBroken(value: unknown, members: readonly Validator[]): WalkedEpoch {
    const next = this.#epoch + 1;
    const fail = (problem: string): never => failed(`the recovery that began epoch ${next}`, problem);
    const problems = new Problems();
    const statement = parseStatement(value, problems);
    if (statement === undefined) return fail(problems.list.slice(0, 3).join('; '));
    const { chainId, genesisHash, epoch, base } = statement;
    if (chainId !== this.#anchor.chainId || genesisHash !== this.#anchor.genesisHash)
      return fail('it is of another chain');
    if (epoch !== this.#epoch) return fail(`it breaks epoch ${epoch} off, not ${this.#epoch}`);
    const unfit = [...missingSignatures(statement), ...listProblems(statement, this.#members)];
    if (unfit.length > 0) return fail(unfit[0]!);
    if (membershipHash(members) !== membershipHash(statement.members)) return fail('the list of validators is not its');
    const isRoot = base.number === this.#root.height && base.hash === this.#root.hash;
    if (!isRoot && !this.#isCertified(statement)) return fail(`its block ${base.number} was not certified before`);
    const broken = brokenOff(statement, this.#members);
    if (!this.#acceptedBreaks.has(broken.statement)) throw notAccepted(broken, epoch);
    this.#epoch = next;
    this.#members = members;
    this.#root = { height: base.number, hash: base.hash };
    return { ...this.#walked(undefined), broken };
  }

  #isCertified(statement: RecoveryStatement): boolean {
    const certificate = statementCertificate(statement);
    if (certificate === undefined || certificate.height <= this.#root.height) return false;
    const verifier = new Verifier(this.config, makeSchedule(this.#members.length), recoverAddress);
    return verifier.certificate(certificate) === undefined;
  }

  /** A block of the present epoch, by what `xft_getFinalityProof` answers for it. Throws VERIFY_FAILED. */
  block(answer: unknown, number: Height): ProvenBlock {
    const fail = (problem: string): never => failed(`block ${number}`, problem);
    const problems = new Problems();
    const proof = parseProof(answer, 'proof', problems);
    if (proof === undefined) return fail(problems.list.slice(0, 3).join('; '));
    const problem = this.#proofProblem(proof);
    if (problem !== undefined) return fail(problem);
    const proven = this.#proven(proof);
    return proven.number === number ? proven : fail(`the proof is about block ${proven.number}`);
  }

  #proven(proof: ParsedProof): ProvenBlock {
    const { header, hash } = proof.headers.at(-1)!;
    const signedBy = proof.signatures.map(({ validator }) => validator);
    return { number: header.number, hash, epoch: proof.epoch, view: proof.view, signedBy };
  }

  /** What is wrong with a proof by the validators of the present epoch. */
  #proofProblem(proof: ParsedProof): string | undefined {
    if (proof.epoch !== this.#epoch) return `it is from epoch ${proof.epoch}, not ${this.#epoch}`;
    let child: ProvenHeader | undefined;
    for (const link of proof.headers) {
      const { header, hash } = link;
      if (child !== undefined && child.header.parentHash !== hash)
        return `block ${header.number} is not below the block that was signed`;
      if (header.extraData.length !== 16 || headerEpoch(header) !== this.#epoch)
        return `block ${header.number} is of another epoch`;
      if (header.number <= this.#root.height)
        return `block ${header.number} is not above block ${this.#root.height}, which opened the epoch`;
      child = link;
    }
    const certificate = certificateOf(proof, this.#members);
    if (certificate === undefined) return `somebody signed who is no validator of epoch ${this.#epoch}`;
    const verifier = new Verifier(this.config, makeSchedule(this.#members.length), recoverAddress);
    if (verifier.certificate(certificate) === undefined) return undefined;
    return verifier.certificate({ ...certificate, kind: 'QC' }) === undefined
      ? 'it is certified, and no more: only the recovery after it makes it final'
      : 'the signatures are not those of a group of its view';
  }

  /** What signatures of the present epoch bind. */
  get config(): EpochConfig {
    const { chainId, genesisHash } = this.#anchor;
    const validators = this.#members.map(({ validator }) => validator);
    return {
      chainId,
      genesisHash,
      epoch: this.#epoch,
      validators,
      membershipHash: membershipHash(this.#members),
      root: this.#root,
      parameters: NO_TIMING,
    };
  }
}

/**
 * A same-set epoch leaves the list as it is, so mixHash alone does not tell its closing block from any other of the epoch.
 * The event does, and the bloom in the header holds it.
 */
function mayHoldClosing(bloom: Bytes, epoch: Epoch): boolean {
  const topic = '0x' + toHex(uint64(epoch)).slice(2).padStart(64, '0');
  const wanted = bloomOf([{ address: GOVERNANCE_ADDRESS, topics: [EVENTS.EpochClosed.topic, topic], data: EMPTY }]);
  return wanted.every((bits, i) => (bloom[i]! & bits) === bits);
}

function brokenOff(statement: RecoveryStatement, before: readonly Validator[]): BrokenOff {
  const { base, reason, forced, members } = statement;
  const signedBy = members.map(({ validator }) => validator);
  return {
    number: base.number,
    hash: base.hash,
    statement: statementDigest(statement)!,
    reason,
    forced,
    signedBy,
    stayed: signedBy.filter((address) => before.some(({ validator }) => validator === address)),
    confirmedBy: [...new Set(members.map(({ operator }) => operator))],
  };
}

function notAccepted({ number, statement, reason, forced, signedBy, stayed, confirmedBy }: BrokenOff, epoch: Epoch) {
  const message =
    `the chain was broken at block ${number}: the validators of epoch ${epoch} did not hand over. ` +
    `Epoch ${epoch + 1} rests on a statement signed by ${signedBy.join(', ')}, of whom ${stayed.length} were validators before, ` +
    `and confirmed by the operators ${confirmedBy.join(', ')}` +
    `${forced ? '; they overruled a sign that the old validators could still be alive' : ''}. Their reason: "${reason}". ` +
    `If you know this to be in order, give --accept-break ${statement}`;
  return new QuorateError('VERIFY_FAILED', message, { data: { statement, block: number } });
}

function failed(what: string, problem: string): never {
  throw new QuorateError(
    'VERIFY_FAILED',
    `${what} is not proven: ${problem}; do not rely on who answered, ask another node`,
  );
}
