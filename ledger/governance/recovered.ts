/**
 * What a recovery makes of the governance state: the next epoch with the statement's members, and the break, which stays in
 * chain state for ever. It takes effect with the first block above the base, at the beginning of its execution.
 */
import { assert } from '../../primitives/errors.ts';
import type { Recovery } from '../recovery.ts';
import { endProposals } from './closing.ts';
import type { GovernanceState } from './state.ts';

/** `timestamp`: Unix seconds of the base. Open proposals lapse, having been checked against the old list. */
export function recoveredState(state: GovernanceState, recovery: Recovery, timestamp: number): GovernanceState {
  const { epoch, base, members, digest } = recovery;
  assert(state.epoch === epoch, `recovery of epoch ${epoch} on a state of epoch ${state.epoch}`);
  const ended = endProposals(state, state.open, 'lapsed', { number: base.height, timestamp });
  const incarnations = members.map(({ validator, incarnation }) => ({ validator, incarnation }));
  return {
    ...ended,
    revision: state.revision + 1,
    epoch: epoch + 1,
    rootHeight: base.height,
    members: members.map(({ validator, nodeKey, operator }) => ({ validator, nodeKey, operator })),
    previousMembers: state.members,
    previousRoot: undefined,
    reported: [],
    incarnations,
    lives: incarnations.map((life) => ({ ...life, rejoinedAt: 0 })),
    multiaddrs: members.flatMap(({ validator, multiaddr }) => {
      const known = state.multiaddrs.find((hint) => hint.validator === validator);
      if (multiaddr !== '') return [{ validator, multiaddr }];
      return known === undefined ? [] : [known];
    }),
    breaks: [...state.breaks, { epoch, height: base.height, digest }],
  };
}
