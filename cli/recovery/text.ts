/** A recovery's statement in words: what an operator must have read before confirming it. */
import {
  certificateOf,
  missingSignatures,
  type RecoveryStatement,
  statementDigest,
} from '../../node/recovery-statement.ts';
import { faultsTolerated } from '../../primitives/membership.ts';

/** What scripts get. */
export function statementReport(statement: RecoveryStatement) {
  const { epoch, base, removed, members, reason, forced } = statement;
  return {
    digest: statementDigest(statement) ?? null,
    epoch,
    base,
    removed,
    members: members.map(({ validator }) => validator),
    reason,
    forced,
    missing: missingSignatures(statement),
  };
}

function list(items: readonly string[]): string[] {
  return items.map((item) => `  ${item}`);
}

/** Whole: what is broken off, by whom it goes on, and what is still missing. */
export function statementText(statement: RecoveryStatement): string {
  const { chainId, genesisHash, epoch, base, removed, members, reason, forced } = statement;
  const n = members.length;
  const certificate = certificateOf(statement);
  const missing = missingSignatures(statement);
  const digest = statementDigest(statement);
  return [
    `Chain ${chainId} (block 0 ${genesisHash}) is broken off at block ${base.number} (${base.hash}), the last of epoch ${epoch}.`,
    ...(certificate?.kind === 'QC'
      ? [`Block ${base.number} is certified, and clients may have seen it as final; the statement makes it final.`]
      : []),
    `What validators that are gone had final above block ${base.number}, if anything, is given up.`,
    'Gone for good:',
    ...list(removed),
    `From block ${base.number + 1} on, in epoch ${epoch + 1}, these decide; ${n - faultsTolerated(n)} of ${n} must be up:`,
    ...list(
      members.map(({ validator, operator, multiaddr, signature, confirmation }) => {
        const role = multiaddr === '' ? 'stays' : `new, at ${multiaddr}`;
        const said = `${signature === null ? 'has not signed' : 'has signed'}, operator ${operator} ${confirmation === null ? 'has not confirmed' : 'has confirmed'}`;
        return `${validator}  ${role}; ${said}`;
      }),
    ),
    `Reason: ${reason}`,
    ...(forced ? ['FORCED: a sign that the old validators could still be alive, or a lost block, was overruled.'] : []),
    `Digest: ${digest ?? 'known when all validators have signed'}`,
    missing.length === 0 ? 'Complete: quorate recover apply on every node.' : `Next: ${missing[0]}`,
  ].join('\n');
}
