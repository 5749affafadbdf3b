/**
 * What a stopped node's folder says of a statement: whether the chain it holds is the one that the statement breaks off,
 * and whether it knows of anything that the statement would lose.
 */
import { makeSchedule } from '../consensus/groups.ts';
import { Verifier } from '../consensus/verify.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Epoch, Hash } from '../primitives/ids.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { epochConfig } from './epoch-peers.ts';
import { compareCertificates, type StoppedNode } from './recovery-folder.ts';
import { certificateOf, listProblems, type RecoveryStatement } from './recovery-statement.ts';

export function refused(message: string): QuorateError {
  return new QuorateError('RECOVERY_REFUSED', message);
}

export function conflict(message: string): QuorateError {
  return new QuorateError('RECOVERY_CONFLICT', message);
}

/** A folder goes on in one way only: no second statement about an epoch is made, signed or applied there. */
export function checkUnapplied({ applied, dataDir }: StoppedNode, epoch: Epoch, digest?: Hash): void {
  const other = applied.find(({ statement }) => statement.epoch === epoch)?.recovery.digest;
  if (other === undefined || other === digest) return;
  throw conflict(
    `another recovery of epoch ${epoch}, ${other}, is applied to ${dataDir} already, and a chain can go on in one way only; start the node`,
  );
}

/**
 * The statement contradicts nothing in the folder. One that is behind, a new member's for example, cannot judge the list;
 * it takes the validators' and operators' word for it.
 */
export function checkFits(node: StoppedNode, statement: RecoveryStatement): void {
  const { epoch, ledger, dataDir, certified } = node;
  const { base } = statement;
  const { height, hash } = ledger.head;
  if (height > base.number || epoch.epoch > statement.epoch || (height === base.number && hash !== base.hash))
    throw conflict(
      `block ${height} is final in ${dataDir}, in epoch ${epoch.epoch}, and the statement breaks epoch ${statement.epoch} off at block ${base.number}: if nobody relies on what this folder has above that, move store and guard aside and apply it again; else make a statement here`,
    );
  if (epoch.epoch < statement.epoch) return;
  const problems = listProblems(statement, epoch.members);
  if (problems.length > 0) throw refused(`the statement does not fit the chain: ${problems.join('; ')}`);
  checkCertificate(node, statement);
  const isMember = statement.members.some(({ validator }) => validator === node.validator);
  const [newest] = statement.forced ? certified.filter(({ isWhole }) => isWhole) : certified;
  const own = certificateOf(statement);
  const isNewer =
    newest !== undefined &&
    newest.certificate.hash !== base.hash &&
    (own === undefined || compareCertificates(newest.certificate, own) > 0);
  if (isMember && isNewer)
    throw refused(
      `${dataDir} knows of block ${newest.certificate.height}, certified after block ${base.number} of the statement, and a client may have seen it as final; make the statement here: quorate recover propose`,
    );
}

/** The old validators did certify the base. */
function checkCertificate({ chain, epoch }: StoppedNode, statement: RecoveryStatement): void {
  const certificate = certificateOf(statement);
  // The block that opened the epoch is final here by its own proof.
  if (statement.base.number === epoch.root.height && statement.base.hash === epoch.root.hash) return;
  const verifier = new Verifier(epochConfig(chain, epoch), makeSchedule(epoch.members.length), recoverAddress);
  const isAbove = statement.base.number > epoch.root.height;
  if (isAbove && certificate !== undefined && verifier.certificate(certificate) === undefined) return;
  throw refused('the statement does not fit the chain: the old validators have not certified its base');
}
