/** The node's state as `xft_status` shows it: who does what, who is in touch, how many more faults are tolerable. */
import { faultThreshold } from '../consensus/config.ts';
import type { ReplicaStatus } from '../consensus/replica.ts';
import { peerIdOfNodeKey } from '../p2p/peers.ts';
import type { Validator } from '../primitives/membership.ts';
import type { NodeStatus, ValidatorStatus } from './rpc/backend.ts';

export type StatusInput = {
  /** The present validators. */
  readonly members: readonly Validator[];
  readonly self: number;
  readonly replica: ReplicaStatus;
  /** Peers with a link. A silent one has none for long, and one that was never heard is not in touch. */
  readonly connected: readonly string[];
};

type Role = ValidatorStatus['role'];

function roleOf(group: readonly number[], index: number): Role {
  const place = group.indexOf(index);
  return place === 0 ? 'primary' : place > 0 ? 'follower' : 'passive';
}

export function nodeStatus({ members, self, replica, connected }: StatusInput): NodeStatus {
  const { group, view, epoch, final, head, phase, installed } = replica;
  const validators = members.map(({ validator, nodeKey }, index): ValidatorStatus => {
    const peer = replica.peers.get(index);
    const peerId = peerIdOfNodeKey(nodeKey) ?? nodeKey;
    const heard = peer !== undefined && peer.sinceHeardMs <= replica.suspicionMs;
    // An observer hears of validators that it has no link to.
    const reachable = index === self || (heard && (self < 0 || connected.includes(peerId)));
    return {
      address: validator,
      peerId,
      role: roleOf(group, index),
      reachable,
      suspectedBy: (replica.suspectedBy.get(index) ?? []).map((by) => members[by]!.validator),
      provenFaulty: replica.proven.has(index),
      final: index === self ? final.height : (peer?.final ?? null),
    };
  });
  const t = faultThreshold(members.length);
  const learns = self < 0 || phase === 'learner';
  return {
    role: learns ? 'observer' : roleOf(group, self),
    epoch,
    view,
    primary: members[group[0]!]!.validator,
    group: group.map((index) => members[index]!.validator),
    final: final.height,
    head: head.height,
    t,
    validators,
    margin: t - validators.filter(({ reachable, provenFaulty }) => !reachable || provenFaulty).length,
    phase,
    installed,
  };
}
