/** A change of the validator set under load, from the proposal to the new epoch at work, and how long service paused. */
import type { FinalWatch } from './final-watch.ts';
import type { Change, Done, Governance } from './governance.ts';
import type { Member } from './members.ts';
import { report, seconds } from './report.ts';
import { untilMoreBlocks } from './under-load.ts';
import { until } from './until.ts';

export type Plan = {
  /** For the printed figures. */
  readonly what: string;
  /** The contract through a node that stays up meanwhile. */
  readonly governance: Governance;
  readonly watch: FinalWatch;
  /** Whose operators approve, just enough of them: the first proposes, the vote of the last one closes the epoch. */
  readonly approving: readonly Member[];
  readonly change: Change;
  /** The new set in its order. */
  readonly after: readonly Member[];
  /** Candidates whose READY is waited for before the last vote. */
  readonly warm?: readonly Member[];
  /** What happens when the last vote has been sent and is not final yet, as far as anybody can tell. */
  readonly during?: () => Promise<void>;
};

export type Changed = Done & { readonly id: number; readonly gapMs: number };

const BLOCKS_AFTER = 10;
/** For what takes a second on a quiet machine, and many on a busy one. */
const PATIENCE_MS = 180_000;

export async function makeChange(plan: Plan): Promise<Changed> {
  const { what, governance, watch, approving, change, after, warm = [], during } = plan;
  const [proposer, ...voters] = approving;
  const last = voters.pop();
  let startedAt = performance.now();
  const proposed = await governance.propose(proposer!.operator, change);
  const { id } = proposed;
  for (const { seat } of warm) {
    await until(`${seat.validator} is ready`, () => governance.isReady(seat.validator), {
      timeoutMs: PATIENCE_MS,
      everyMs: 100,
    });
  }
  for (const { operator } of voters) await governance.vote(operator, id);
  let done: Done = proposed;
  if (last !== undefined) {
    startedAt = performance.now();
    const { final } = await governance.sendVote(last.operator, id);
    await during?.();
    done = await final();
  }
  const { epoch } = done;
  if (epoch === undefined) throw new Error(`${what}: no epoch began, only ${done.events.join(', ')}`);
  await untilAtWork(after, epoch);
  await untilMoreBlocks(watch, BLOCKS_AFTER, PATIENCE_MS);
  const gapMs = watch.longestGapMs(startedAt);
  const first = watch.blocks.find(({ height }) => height > done.block)?.atMs ?? Number.NaN;
  const closed = watch.blocks.find(({ height }) => height === done.block)?.atMs ?? Number.NaN;
  report(
    `${what}: epoch ${epoch} after block ${done.block}, first block in it ${seconds(first - closed)} later, ` +
      `longest time without a final block ${seconds(gapMs)}`,
  );
  return { ...done, id, gapMs };
}

/** Waits until every member that is up takes part in the epoch. */
export async function untilAtWork(members: readonly Member[], epoch: number, timeoutMs = PATIENCE_MS): Promise<void> {
  for (const member of members) {
    if (!member.isUp) continue;
    await until(
      `${member.name} takes part in epoch ${epoch}`,
      async () => {
        const { epoch: own, role, phase, final } = await member.status();
        if (own === epoch && role !== 'observer' && phase === 'running') return true;
        throw new Error(`epoch ${own}, ${role}, ${phase}, block ${final}`);
      },
      { timeoutMs },
    );
  }
}

/** The member that leads as one of them sees it now. */
export async function primaryOf(members: readonly Member[], seenBy: Member): Promise<Member> {
  const { primary } = await seenBy.status();
  const found = members.find(({ seat }) => seat.validator === primary);
  if (found === undefined) throw new Error(`${primary} leads and is none of them`);
  return found;
}

/** Kills a node at the first sign that it has begun an epoch. */
export async function killOnceIn(member: Member, epoch: number): Promise<void> {
  await until(`${member.name} is in epoch ${epoch}`, async () => (await member.status()).epoch >= epoch, {
    timeoutMs: PATIENCE_MS,
    everyMs: 5,
  });
  await member.kill();
}

/** Starts a node again and waits until it has all that the others had. */
export async function restartAndFollow(member: Member, other: Member): Promise<void> {
  const { final: target } = await other.status();
  await member.start();
  await until(
    `${member.name} follows`,
    async () => {
      const { final } = await member.status();
      if (final >= target) return true;
      throw new Error(`block ${final} of ${target}`);
    },
    { timeoutMs: PATIENCE_MS, everyMs: 100 },
  );
}
