/**
 * What must hold of the correct validators, outside anarchy. Of one by itself: it signs nothing that contradicts what it
 * signed, nothing above a closing block, convicts nobody correct, and never stops. Of all together: one chain is final;
 * a head of a later view contains whatever was final before; an epoch ends with one block. Final is what a correct
 * validator delivered, and what a liar could prove with what correct ones said.
 */
import type { Trace } from '../../consensus/effect.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type { Message, SignedMessage, Vote } from '../../consensus/message.ts';
import type { Hash } from '../../primitives/ids.ts';
import { nameOf } from './canonical.ts';
import type { Setting } from './setting.ts';
import type { Local } from './validator.ts';

type Point = { readonly epoch: number; readonly view: number; readonly height: number; readonly hash: Hash };

export type Facts = {
  readonly machine: number;
  readonly final: readonly Point[];
  readonly head: Point | undefined;
  /** Certificates it said are in its log. */
  readonly said: readonly Point[];
};

/** What a message signs, whatever it is wrapped in. */
function signedIn(message: Message): SignedMessage[] {
  switch (message.kind) {
    case 'PROPOSAL':
      return [message.prepare];
    case 'NEW-VIEW':
      return [message, message.prepare];
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
    case 'SUSPECT':
    case 'VIEW-CHANGE':
    case 'VC-FINAL':
      return [message];
    case 'CHAIN':
      return [...message.suspects];
    default:
      return [];
  }
}

function isVote(message: SignedMessage): message is Vote {
  return message.kind === 'PREPARE' || message.kind === 'COMMIT' || message.kind === 'COMMITTED';
}

function ownOf(setting: Setting, machine: number, messages: readonly Message[]): SignedMessage[] {
  return messages.flatMap(signedIn).filter(({ epoch, signer }) => setting.orders[epoch]![signer] === machine);
}

/** A COMMITTED, or the COMMIT that counts as one. */
function isSaid(vote: Vote): boolean {
  return vote.kind === 'COMMITTED';
}

export function factsOf(setting: Setting, machine: number, local: Local, sent: readonly Message[]): Facts {
  const { core, finals, epoch } = local;
  const schedule = makeSchedule(setting.bounds.validators);
  const counts = (vote: Vote): boolean =>
    isSaid(vote) || (vote.kind === 'COMMIT' && schedule.groupOf(vote.view).length === 2);
  const pointOf = ({ epoch: of, view, height, hash }: Point): Point => ({ epoch: of, view, height, hash });
  return {
    machine,
    final: finals.map(pointOf),
    head: core.head === undefined ? undefined : { ...pointOf(core.head), epoch },
    said: setting.isTimed ? ownOf(setting, machine, sent).filter(isVote).filter(counts).map(pointOf) : [],
  };
}

type Step = {
  readonly before: readonly Message[];
  readonly fresh: readonly Message[];
  readonly local: Local;
  readonly traces: readonly Trace[];
};

/** How a correct validator broke a rule in a step, if it did. */
export function misbehaviour(setting: Setting, machine: number, step: Step): string | undefined {
  const { before, fresh, local, traces } = step;
  for (const trace of traces) {
    if (trace.name === 'halted') return `halted: ${trace.reason}`;
    if (
      trace.name === 'view-entered' &&
      !makeSchedule(setting.bounds.validators).groupOf(trace.left).includes(trace.by)
    ) {
      return `leaves view ${trace.left} because of ${trace.by}, who is none of its actives`;
    }
    const speaks = trace.name === 'conflict' || trace.name === 'proven';
    const accused = speaks ? setting.orders[local.epoch]![trace.signer]! : undefined;
    if (speaks && setting.correct.includes(accused!)) return `convicts ${accused}: ${trace.what}`;
  }
  const signed = ownOf(setting, machine, before);
  for (const message of ownOf(setting, machine, fresh)) {
    const { closesAt } = setting.bounds;
    if (isVote(message) && message.epoch === 0 && closesAt !== undefined && message.height > closesAt) {
      return `signs ${message.kind} ${message.height} above the closing block`;
    }
    for (const other of signed) {
      const against = contradicts(message, other);
      if (against !== undefined) return against;
    }
    signed.push(message);
  }
  return undefined;
}

function contradicts(message: SignedMessage, earlier: SignedMessage): string | undefined {
  if (message.epoch !== earlier.epoch) return undefined;
  const { view } = message;
  if (isVote(message)) {
    if (
      isVote(earlier) &&
      view === earlier.view &&
      message.height === earlier.height &&
      message.hash !== earlier.hash
    ) {
      return `signs two blocks at ${view}/${message.height}`;
    }
    const left = earlier.kind === 'VIEW-CHANGE' && view < earlier.view;
    return left ? `signs ${message.kind} in view ${view} after its VIEW-CHANGE for ${earlier.view}` : undefined;
  }
  if (message.kind !== earlier.kind || view !== earlier.view || nameOf(message) === nameOf(earlier)) return undefined;
  return `signs two ${message.kind}s for view ${view}`;
}

/** Points of which a liar holds, or can make, a finality proof: every correct member of the group said so. */
function provable(setting: Setting, facts: readonly Facts[]): Point[] {
  if (!setting.isTimed) return [];
  const schedule = makeSchedule(setting.bounds.validators);
  const known = new Map(facts.map((fact) => [fact.machine, fact]));
  return facts.flatMap(({ said }) =>
    said.filter(({ epoch, view, height, hash }) =>
      schedule.groupOf(view).every((index) => {
        const machine = setting.orders[epoch]![index]!;
        const same = (point: Point): boolean => point.view === view && point.height === height && point.hash === hash;
        return setting.liars.has(machine) || known.get(machine)?.said.some(same) === true;
      }),
    ),
  );
}

/** How what some validators know contradicts itself, if it does. */
export function contradiction(setting: Setting, facts: readonly Facts[]): string | undefined {
  const finals = [...facts.flatMap(({ final }) => final), ...provable(setting, facts)];
  for (const a of finals) {
    for (const b of finals) {
      if (b.height >= a.height && !setting.isAncestor(a.hash, b.hash)) {
        return `two chains are final: ${place(a)} and ${place(b)}`;
      }
    }
    for (const { head, machine } of facts) {
      if (head === undefined || head.epoch !== a.epoch || head.view < a.view) continue;
      const [low, high] = head.view === a.view && head.height < a.height ? [head, a] : [a, head];
      if (!setting.isAncestor(low.hash, high.hash))
        return `the head ${place(head)} of ${machine} lacks final ${place(a)}`;
    }
  }
  return undefined;
}

function place({ epoch, view, height, hash }: Point): string {
  return `${epoch}/${view}/${height} ${hash.slice(0, 8)}`;
}
