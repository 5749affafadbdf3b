/**
 * `quorate recover`: the way back when more than t validators are gone for good and no majority can ever form again. The
 * operators break the epoch off at its newest block that may be final, name the new list, and go on with it.
 *
 * Why the base is the greatest certified block, and not the greatest final one: a client may have been shown a block as
 * final by a validator that is gone now. All actives of a view had the certificate of that block in their logs before
 * (consensus.md section 2), so one surviving active is enough to know of it. Every new member therefore checks that it
 * holds no certificate greater than the base's, as a view change does, before it signs; and with its signature it gives up
 * the right to sign in the broken epoch, so that nothing can become final there by its help afterwards.
 */
import { encodeCertificate } from '../consensus/certificate-codec.ts';
import { makeSchedule } from '../consensus/groups.ts';
import type { Certificate } from '../consensus/message.ts';
import { candidateProblems, setProblems } from '../ledger/governance/change.ts';
import type { Candidate } from '../ledger/governance/state.ts';
import { toHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes, Hash, Height } from '../primitives/ids.ts';
import { faultsTolerated, type Validator } from '../primitives/membership.ts';
import { Problems } from '../primitives/parse.ts';
import { privateKeyAddress } from '../primitives/secp256k1.ts';
import { checkFits, checkUnapplied, refused } from './recovery-checks.ts';
import { requireChain, storeRecovery } from './recovery-files.ts';
import { type FolderOptions, type StoppedNode, withStoppedNode } from './recovery-folder.ts';
import { reachable } from './recovery-reach.ts';
import {
  listText,
  missingSignatures,
  parseStatement,
  type RecoveryStatement,
  statementDigest,
  withConfirmation,
  withSignature,
} from './recovery-statement.ts';

/** The folder's validator key; asked for only when everything else is fine. */
export type ValidatorSecret = () => Promise<Bytes>;

export type ProposeOptions = FolderOptions & {
  readonly removed: readonly Address[];
  readonly added: readonly Candidate[];
  readonly reason: string;
  /** Overrules signs that the old validators could still be alive, or that a certified block is lost. */
  readonly force: boolean;
  readonly secret: ValidatorSecret;
};

export type Proposed = {
  readonly statement: RecoveryStatement;
  /** This folder's validator is a new member, and has signed. */
  readonly isSigned: boolean;
  /** What was overruled. */
  readonly overruled: readonly string[];
};

// --- propose

/** Makes a statement from what a stopped node's folder holds. Throws RECOVERY_REFUSED, and all that opening it throws. */
export async function proposeRecovery(options: ProposeOptions): Promise<Proposed> {
  return await withStoppedNode(options, async (node) => {
    const { removed, added, reason, force } = options;
    const { epoch, chain, dataDir, genesis, ledger } = node;
    checkUnapplied(node, epoch.epoch);
    const gone = goneOf(epoch.members, removed);
    const stay = epoch.members.filter((member) => !gone.includes(member));
    const problems = [...added.flatMap(candidateProblems), ...setProblems([...stay, ...added], 1)];
    if (problems.length > 0) throw refused(problems.join('; '));
    const overruled: string[] = [];
    const overrule = (problem: string, remedy: string): void => {
      if (!force) throw refused(`${problem}; ${remedy}, or overrule this with --force, which the statement records`);
      overruled.push(problem);
    };
    const group = node.view === undefined ? [] : makeSchedule(epoch.members.length).groupOf(node.view);
    if (group.length > 0 && group.every((index) => stay.includes(epoch.members[index]!)))
      overrule(
        `the ${group.length} validators whose word makes blocks final in view ${node.view} all stay, so the chain can go on without the others`,
        'start their nodes and remove the others by vote (quorate validator propose)',
      );
    const { certificate, ...base } = baseOf(node, overrule);
    const governance = ledger.governanceAfter(ledger.head.hash);
    const alive = await reachable(gone, { dataDir, genesis, governance });
    if (alive.length > 0)
      overrule(`${alive.join(' and ')} can be reached, so it is not gone for good`, 'switch it off for good');
    const draft: RecoveryStatement = {
      version: 1,
      chainId: chain.chainId,
      genesisHash: chain.genesisHash,
      epoch: epoch.epoch,
      base,
      certificate: certificate === undefined ? '0x' : toHex(encodeCertificate(certificate)),
      removed,
      members: [...stay.map((member) => ({ ...member, multiaddr: '' })), ...added].map((member) => ({
        ...member,
        incarnation: null,
        signature: null,
        confirmation: null,
      })),
      reason,
      forced: overruled.length > 0,
    };
    const wrong = new Problems();
    parseStatement(draft, wrong);
    if (wrong.list.length > 0) throw refused(`such a statement cannot be made: ${wrong.list.join('; ')}`);
    const isSigned = draft.members.some(({ validator }) => validator === node.validator);
    return { statement: isSigned ? await signed(node, draft, options.secret) : draft, isSigned, overruled };
  });
}

/** The members that are to go, in the order of the list. */
function goneOf(members: readonly Validator[], removed: readonly Address[]): Validator[] {
  for (const [i, address] of removed.entries()) {
    if (removed.indexOf(address) < i) throw refused(`${address} is removed twice; name it once`);
    if (!members.some(({ validator }) => validator === address))
      throw refused(`${address} is no validator of the newest epoch here; the list is ${listText(members)}`);
  }
  const t = faultsTolerated(members.length);
  if (removed.length <= t) {
    throw refused(
      `${removed.length} of ${members.length} validators are to go and the chain tolerates ${t}: it goes on by itself with the others; start their nodes and use quorate validator propose`,
    );
  }
  return members.filter(({ validator }) => removed.includes(validator));
}

type Base = { readonly number: Height; readonly hash: Hash; readonly certificate: Certificate | undefined };

/** The greatest certified block of which everything is here. */
function baseOf(
  { certified, ledger, dataDir }: StoppedNode,
  overrule: (problem: string, remedy: string) => void,
): Base {
  const [newest] = certified;
  const { height, hash } = ledger.head;
  if (newest === undefined && height === 0) return { number: 0, hash, certificate: undefined };
  const whole = certified.find(({ isWhole }) => isWhole)?.certificate;
  if (newest !== undefined && !newest.isWhole) {
    const { certificate } = newest;
    overrule(
      `block ${certificate.height} may have been shown to clients as final, and ${dataDir} does not hold it`,
      'make the statement on a node that does',
    );
  }
  if (whole === undefined)
    throw refused(
      `block ${height}, the newest in ${dataDir}, has no proof of its own there; start the node until it has caught up, or make the statement on another`,
    );
  return { number: whole.height, hash: whole.hash, certificate: whole };
}

// --- sign

/** The statement with the signature of this folder's validator. Throws RECOVERY_REFUSED, and all that opening it throws. */
export async function signRecovery(
  options: FolderOptions & { readonly statement: RecoveryStatement; readonly secret: ValidatorSecret },
): Promise<RecoveryStatement> {
  return await withStoppedNode(options, async (node) => {
    const { statement, secret } = options;
    const { validator, dataDir, genesis, epoch, ledger } = node;
    requireChain(statement, node.chain, 'the statement');
    if (validator === undefined || !statement.members.some((member) => member.validator === validator))
      throw refused(
        `the validator of ${dataDir} is none of the new list, so it has nothing to sign; apply the statement there when it is complete`,
      );
    checkUnapplied(node, statement.epoch);
    checkFits(node, statement);
    if (!statement.forced) {
      const gone = epoch.members.filter((member) => statement.removed.includes(member.validator));
      const governance = ledger.governanceAfter(ledger.head.hash);
      const alive = await reachable(gone, { dataDir, genesis, governance });
      if (alive.length > 0)
        throw refused(
          `${alive.join(' and ')} can be reached from here, so it is not gone for good; switch it off for good, or have the statement made with --force`,
        );
    }
    return await signed(node, statement, secret);
  });
}

async function signed(
  node: StoppedNode,
  statement: RecoveryStatement,
  secret: ValidatorSecret,
): Promise<RecoveryStatement> {
  const { dataDir, epoch, incarnation } = node;
  const validator = node.validator!;
  const isOld = epoch.members.some((member) => member.validator === validator);
  if (isOld && !(node.isInEpoch && epoch.epoch === statement.epoch))
    throw refused(
      `the log in ${dataDir} has not reached epoch ${statement.epoch}, in which this validator must give up signing first; start the node until it has caught up, and stop it again`,
    );
  if (node.isOldCopy)
    throw refused(
      `the log in ${dataDir} is an old copy, with which this validator never signs again; move its guard folder away, start the node, and stop it again`,
    );
  const privateKey = await secret();
  if (privateKeyAddress(privateKey) !== validator)
    throw new QuorateError('KEY_MISMATCH', `the key file in ${dataDir} does not hold the key it names; restore it`);
  // Before the signature can leave: what it says of this log must stay true.
  if (isOld) await node.promise();
  return withSignature(statement, { validator, incarnation, privateKey });
}

// --- confirm

/** The statement confirmed by an operator account. Throws RECOVERY_REFUSED. */
export function confirmRecovery(statement: RecoveryStatement, privateKey: Bytes): RecoveryStatement {
  const operator = privateKeyAddress(privateKey);
  if (!statement.members.some((member) => member.operator === operator))
    throw refused(`${operator} is the operator of no validator in the new list; confirm with the key of one that is`);
  const unsigned = missingSignatures(statement);
  if (statementDigest(statement) === undefined)
    throw refused(`it is too early to confirm: ${unsigned.join('; ')}; all validators sign first`);
  return withConfirmation(statement, { operator, privateKey });
}

// --- apply

export type Applied = {
  readonly digest: Hash;
  readonly path: string;
  /** Newest final block in the folder. */
  readonly head: Height;
};

/** Puts a complete statement in force in a folder, durably. Throws RECOVERY_REFUSED, RECOVERY_CONFLICT and others. */
export async function applyRecovery(
  options: FolderOptions & { readonly statement: RecoveryStatement },
): Promise<Applied> {
  return await withStoppedNode(options, async (node) => {
    const { statement } = options;
    requireChain(statement, node.chain, 'the statement');
    const missing = missingSignatures(statement);
    if (missing.length > 0) throw refused(`the statement is not complete: ${missing.join('; ')}`);
    const digest = statementDigest(statement)!;
    checkUnapplied(node, statement.epoch, digest);
    if (!node.applied.some((known) => known.recovery.digest === digest)) checkFits(node, statement);
    const path = await storeRecovery(node.dataDir, statement);
    return { digest, path, head: node.ledger.head.height };
  });
}
