/**
 * What is written before the first signature in a new epoch (consensus.md section 7). A key that forgot what it signed may
 * sign again once a closing block, of this epoch or one before, carries its present incarnation: what an earlier life
 * signed is then worthless, and the log knows all of this life. Not so under a log that is an old copy: another may be
 * in use, so it is worth nothing until a new one is begun.
 */
import { type Durable, type DurableRecord, emptyDurable, foldRecord } from '../consensus/durable.ts';
import type { Certificate } from '../consensus/message.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Life } from '../ledger/governance/state.ts';
import { type Identity, indexIn } from './epoch-peers.ts';

export type EpochStart = {
  readonly info: EpochInfo;
  readonly identity: Identity;
  readonly incarnation: string;
  /** The newest incarnation that a closing block carried, by validator. */
  readonly lives: readonly Life[];
  /** What the log says of the epoch it is in. */
  readonly before: Durable;
  /** The list of that epoch, when it is the one right before this. */
  readonly earlier: EpochInfo | undefined;
  /** Finality proof of the closing block. */
  readonly closing: Certificate | undefined;
};

/** What a log says at a start. Records of an epoch begun under it say for themselves whether the key may sign in it. */
export function restoreLog(
  records: readonly DurableRecord[],
  log: { readonly first: EpochInfo; readonly identity: Identity; readonly afterLoss: boolean },
): Durable {
  const durable = emptyDurable(0, indexIn(log.first, log.identity));
  durable.forgot = log.afterLoss;
  for (const record of records) foldRecord(durable, record);
  return durable;
}

export function beginEpoch(start: EpochStart): { readonly durable: Durable; readonly records: DurableRecord[] } {
  const { info, identity, incarnation, lives, before, closing } = start;
  const self = indexIn(info, identity);
  const life = lives.find(({ validator }) => validator === identity.validator)?.incarnation;
  const { rolledBack } = before;
  const forgot = rolledBack || (life === undefined ? before.forgot : life !== incarnation);
  const records: DurableRecord[] = [{ kind: 'epoch', epoch: info.epoch, self, forgot, rolledBack }];
  if (closing?.hash === info.root.hash) records.unshift({ kind: 'certificate', certificate: closing });
  for (const [signer, pin] of pins(start)) records.push({ kind: 'pin', signer, incarnation: pin });
  const durable = emptyDurable(info.epoch, self);
  for (const record of records) foldRecord(durable, record);
  return { durable, records };
}

/** Incarnations known from the start: those that closing blocks carried, and those of members who stay. */
function pins({ info, lives, before, earlier }: EpochStart): [signer: number, incarnation: string][] {
  const known: [number, string][] = [];
  for (const [index, { validator }] of info.members.entries()) {
    const place = earlier?.members.findIndex((member) => member.validator === validator) ?? -1;
    const life = lives.find((other) => other.validator === validator)?.incarnation;
    const pin = life ?? before.pins.get(place);
    if (pin !== undefined) known.push([index, pin]);
  }
  return known;
}
