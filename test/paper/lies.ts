/** What a liar sends: anything at all, signed with its own key and, for what only anarchy could make, with everybody's. */

import { makeSchedule } from '../../consensus/groups.ts';
import type {
  Certificate,
  NewView,
  Row,
  Suspect,
  VcFinal,
  ViewCertificate,
  ViewChange,
  Vote,
  VoteType,
} from '../../consensus/message.ts';

import { sealType, vcFinalDigest, viewCertificate, votesOf } from '../../consensus/statement.ts';
import { generationOf } from '../../consensus/suspicion-graph.ts';

import type { Bytes, Hash } from '../../primitives/ids.ts';
import type { Cluster } from '../unit/consensus/cluster.ts';
import { readBlock } from '../unit/consensus/test-block.ts';

const epoch = 0;

type At = {
  readonly view?: number;
  readonly height: number;
  readonly hash: Hash;
  readonly viewCertificate?: ViewCertificate;
};

export function vote(cluster: Cluster, signer: number, kind: VoteType, at: At): Vote {
  const { view = 0, height, hash, viewCertificate: opened = '' } = at;
  return cluster.seal<Vote>(signer, { kind, epoch, view, viewCertificate: opened, height, hash });
}

export function proposal(cluster: Cluster, signer: number, block: Bytes, at: Partial<At> = {}) {
  const { hash, height } = readBlock(block)!;
  return { kind: 'PROPOSAL' as const, prepare: vote(cluster, signer, 'PREPARE', { hash, height, ...at }), block };
}

export function row(cluster: Cluster, signer: number, members: readonly number[], generation = 0): Row {
  return cluster.seal<Row>(signer, { kind: 'ROW', epoch, generation, members });
}

/** With a row of its own that holds the accused and nobody else, unless told otherwise. */
export function suspect(cluster: Cluster, signer: number, view: number, about: Partial<Suspect> = {}): Suspect {
  const group = makeSchedule(cluster.nodes.length).groupOf(view);
  const accused = [group.find((member) => member !== signer)!];
  const fields = { epoch, view, target: view + 1, accused, ...about };
  const own = row(
    cluster,
    signer,
    [...new Set(fields.accused)].sort((a, b) => a - b),
    generationOf(view),
  );
  return cluster.seal<Suspect>(signer, { kind: 'SUSPECT', rows: [own], ...fields });
}

/** A certificate that only the whole group together can make. */
export function certificate(cluster: Cluster, kind: Certificate['kind'], at: At): Certificate {
  const { view = 0, height, hash, viewCertificate: opened = '' } = at;
  const group = makeSchedule(cluster.nodes.length).groupOf(view);
  const seals = group.map((signer, place) => {
    const { incarnation, signature } = vote(cluster, signer, sealType(kind, place, group.length), at);
    return { signer, incarnation, signature };
  });
  return { kind, epoch, view, viewCertificate: opened, height, hash, seals };
}

/** With the votes that a certificate, the head's if no other is given, shows it to have signed. */
export function viewChange(
  cluster: Cluster,
  signer: number,
  view: number,
  head?: Certificate,
  signed: Certificate | undefined = head,
): ViewChange {
  const votes = signed === undefined ? [] : votesOf(signed);
  const own = votes.find((message) => message.signer === signer);
  const commit = own?.kind === 'COMMIT' ? own : undefined;
  return cluster.seal<ViewChange>(signer, {
    kind: 'VIEW-CHANGE',
    epoch,
    view,
    lastSigned: own && { prepare: votes[0]!, commit },
    head,
    final: undefined,
  });
}

export function vcFinal(cluster: Cluster, signer: number, view: number, viewChanges: readonly ViewChange[]): VcFinal {
  return cluster.seal<VcFinal>(signer, { kind: 'VC-FINAL', epoch, view, viewChanges });
}

/** A NEW-VIEW on a head, naming these VC-FINALs, in group order. */
export function newView(
  cluster: Cluster,
  view: number,
  head: Certificate | undefined,
  finals: readonly VcFinal[],
): NewView {
  const primary = makeSchedule(cluster.nodes.length).groupOf(view)[0]!;
  const digests = finals.map((message) => vcFinalDigest(cluster.config, message));
  const { height, hash } = head ?? cluster.config.root;
  const opened = viewCertificate({ view, head: head ?? { view: -1, height, hash }, digests });
  const prepare = vote(cluster, primary, 'PREPARE', { view, height, hash, viewCertificate: opened });
  return cluster.seal<NewView>(primary, { kind: 'NEW-VIEW', epoch, view, head, digests, prepare });
}
