/**
 * Learning final blocks from others (consensus.md sections 3 step 4, 7 and 8): passives and observers get them pushed;
 * whoever finds itself behind asks the peer that is furthest ahead. A block counts only below a verified finality proof
 * it is linked to by hash, so a lying source costs time and nothing else. Blocks are executed in order and delivered by
 * finality.ts.
 */
import type { Hash, Height } from '../primitives/ids.ts';
import { type Core, execute, halt, isOver, type Learnt, type Link, type Pending, reject, send, trace } from './core.ts';
import { detectCertificate, observeProof } from './fault-detection.ts';
import { acceptProof, onDelivered } from './finality.ts';
import type { Blocks, Certificate, Final, StartEpoch } from './message.ts';

/** Blocks kept ahead of execution. */
const PENDING_MAX = 128;
/** Up to this far below a proof single bodies are asked for by hash. */
const BY_HASH_MAX = 1024;
/** Ask for more when fewer than this are left to execute. */
const PENDING_LOW = 32;

/**
 * Keeps a block for execution. What is proven replaces what is not, never the reverse: anybody can push a block that
 * nobody signed, and of those only so many are kept as can be in flight.
 */
function learn(core: Core, block: Pending): void {
  const { pending } = core.learning;
  const window = block.proven ? PENDING_MAX : 2 * core.config.parameters.pipelineWindow;
  if (block.height <= core.delivered.height || block.height > core.delivered.height + window) return;
  const known = pending.get(block.height);
  const proofForKnown = known?.hash === block.hash && known.proof === undefined && block.proof !== undefined;
  if (known === undefined || (block.proven && !known.proven) || proofForKnown) pending.set(block.height, block);
}

/** Highest block up to which everything from the final head on hangs together by parent hashes below some proof. */
function provenTop(core: Core): Height {
  const { pending } = core.learning;
  let { hash, height } = core.delivered;
  let top = height;
  for (let next = pending.get(height + 1); next?.parent === hash; next = pending.get(height + 1)) {
    ({ hash, height } = next);
    if (next.proven || core.final?.hash === hash) top = height;
  }
  return top;
}

/** What is missing on the way from the newest proof down to the final head, or else what is to be executed first. */
function wayBelowProof(core: Core): { readonly missing?: Link; readonly lowest?: Pending } {
  const { final, delivered } = core;
  if (final === undefined || final.height > delivered.height + BY_HASH_MAX) return {};
  let { hash } = final;
  let lowest: Pending | undefined;
  for (let { height } = final; height > delivered.height; height--) {
    const executed = core.executed.get(hash);
    const held = core.learning.pending.get(height);
    const body = held?.hash === hash ? held : undefined;
    if (executed === undefined && body === undefined) return { missing: { hash, height } };
    if (executed === undefined) lowest = body;
    hash = (executed ?? body)!.parent;
  }
  return lowest === undefined ? {} : { lowest };
}

/** Executes the next learnt block; once executed, delivers it. */
export function learnNext(core: Core): void {
  const next = core.learning.pending.get(core.delivered.height + 1);
  if (isOver(core)) return;
  if (next === undefined) {
    // The next ones may be executed already, as blocks voted for: then those above them go on.
    const { lowest } = core.learning.pending.size === 0 ? {} : wayBelowProof(core);
    if (lowest !== undefined) execute(core, lowest, lowest.block, 'learnt');
    return;
  }
  if (next.proven && next.parent !== core.delivered.hash) {
    halt(core, `proven block ${next.height} ${next.hash} does not follow final block ${core.delivered.height}`);
    return;
  }
  if (provenTop(core) <= core.delivered.height) return;
  if (!core.executed.has(next.hash)) {
    execute(core, next, next.block, 'learnt');
    return;
  }
  // Without a proof of its own it is proven by a descendant that is in hand. One from the log may be news here.
  const { height, hash, proof } = next;
  if (proof !== undefined) acceptProof(core, proof);
  core.out.push({
    kind: 'deliver',
    height,
    hash,
    proof: proof ?? (core.final?.hash === hash ? core.final : undefined),
  });
  onDelivered(core, { height, hash });
}

/** t+1 validators vouch for a block that does not execute here: either they are in anarchy or this node is broken. */
export function onLearntRefused(core: Core, hash: string, reason: string): void {
  halt(core, `certified block ${hash} cannot be executed here: ${reason}`);
}

/** Blocks pushed (nonce 0) or asked for. */
export function onBlocks(core: Core, from: number, message: Blocks): void {
  const learning = core.learning;
  const asked = learning.asked;
  if (message.nonce !== 0) {
    if (asked === undefined || asked.peer !== from || asked.nonce !== message.nonce) return;
    learning.asked = undefined;
    if (asked.hash !== undefined) {
      learnByHash(core, { from, hash: asked.hash }, message);
      return;
    }
  }
  const blocks: Learnt[] = [];
  for (const { block, proof } of message.blocks) {
    const id = core.ports.readBlock(block);
    const fits = proof === undefined || (proof.kind === 'FP' && proof.hash === id?.hash && proof.height === id?.height);
    if (id === undefined || !fits || (proof !== undefined && core.verifier.certificate(proof) !== undefined)) {
      reject(core, from, 'BLOCKS', id === undefined ? 'bad-block' : 'bad-certificate');
      learning.avoid.set(from, core.now + 40 * core.timeouts.delta);
      return;
    }
    if (proof !== undefined) detectCertificate(core, proof);
    blocks.push({ ...id, block, proof });
  }
  const newest = learnAll(core, blocks);
  if (newest !== undefined && newest.height > core.delivered.height) acceptProof(core, newest);
  if (asked === undefined || message.nonce === 0) return;
  const useful = blocks[0]?.height === asked.from && blocks.at(-1)!.proof !== undefined;
  if (!useful) learning.avoid.set(from, core.now + 10 * core.timeouts.delta);
}

/** Bodies on the way down from a proof: their hashes prove them. */
function learnByHash(core: Core, asked: { readonly from: number; readonly hash: Hash }, message: Blocks): void {
  let wanted = asked.hash;
  for (const { block } of [...message.blocks].reverse()) {
    const id = core.ports.readBlock(block);
    if (id === undefined || id.hash !== wanted) {
      reject(core, asked.from, 'BLOCKS', 'bad-block');
      return;
    }
    if (id.height > core.delivered.height) {
      core.learning.pending.set(id.height, { ...id, block, proof: undefined, proven: true });
    }
    wanted = id.parent;
  }
}

/** Takes blocks in ascending order; a proof speaks for what it is linked to below it. Returns the newest proof. */
function learnAll(core: Core, blocks: readonly Learnt[]): Certificate | undefined {
  let newest: Certificate | undefined;
  let vouched: Hash | undefined;
  for (const block of [...blocks].reverse()) {
    const proven = block.proof !== undefined || block.hash === vouched || block.hash === core.final?.hash;
    learn(core, { ...block, proven });
    vouched = proven ? block.parent : undefined;
    newest ??= block.proof;
  }
  return newest;
}

/** Lazy replication, or the end of the epoch: a final block with its proof. */
export function onFinal(core: Core, from: number, message: Final | StartEpoch): void {
  const { block, proof } = message;
  if (proof.height <= core.delivered.height) {
    observeProof(core, proof);
    return;
  }
  // The proof first: a few signatures are checked sooner than megabytes of a body that nobody vouches for.
  const bad = proof.kind === 'FP' ? core.verifier.certificate(proof) : 'bad-certificate';
  if (bad) {
    reject(core, from, message.kind, bad);
    return;
  }
  detectCertificate(core, proof);
  const id = core.ports.readBlock(block);
  if (id === undefined || id.hash !== proof.hash || id.height !== proof.height) {
    reject(core, from, message.kind, 'bad-block');
    return;
  }
  learn(core, { ...id, block, proof, proven: true });
  acceptProof(core, proof);
}

/** Highest final block any peer spoke of, or that a proof here shows. */
function knownFinal(core: Core): Height {
  let highest = core.final?.height ?? core.config.root.height;
  for (const peer of core.peers.values()) highest = Math.max(highest, peer.final);
  for (const final of core.guests.values()) highest = Math.max(highest, final);
  return highest;
}

/** Called at every tick: asks for what is missing, and asks another when an answer fails to come. */
export function askIfBehind(core: Core): void {
  const learning = core.learning;
  if (isOver(core)) return;
  if (learning.asked !== undefined) {
    if (core.now - learning.asked.at < 4 * core.timeouts.delta) return;
    learning.avoid.set(learning.asked.peer, core.now + 20 * core.timeouts.delta);
    learning.asked = undefined;
  }
  const target = knownFinal(core);
  if (target <= core.delivered.height) {
    learning.behindSince = undefined;
    return;
  }
  learning.behindSince ??= core.now;
  const from = provenTop(core) + 1;
  const ready = from - core.delivered.height - 1;
  if (from > target || ready >= PENDING_LOW) return;
  // A block or two behind is the normal state of a passive: what is on its way comes by itself.
  const gap = target - core.delivered.height;
  const urgent = core.vc.adopting !== undefined && !core.installed;
  const patience = urgent || gap > 2 * core.config.parameters.pipelineWindow ? 0 : core.timeouts.delta;
  if (ready === 0 && core.now - learning.behindSince < patience) return;
  ask(core, from, target);
}

function ask(core: Core, from: Height, to: Height): void {
  const learning = core.learning;
  const members = [...core.peers].map(([index, { final }]): [number, Height] => [index, final]);
  const sources = [...members, ...core.guests]
    .filter(([index, final]) => final >= from && (learning.avoid.get(index) ?? 0) <= core.now)
    .sort(([a, x], [b, y]) => y - x || a - b);
  const claimed = sources[learning.nonce % Math.max(1, Math.min(sources.length, 2))]?.[0];
  // A peer's word that there is more is not worth asking the others for; a proof is.
  if (claimed === undefined && (core.final?.height ?? 0) >= from && askByHash(core)) return;
  const source = claimed ?? ((core.final?.height ?? 0) >= from ? anyPeer(core) : undefined);
  if (source === undefined) return;
  learning.asked = { peer: source, nonce: learning.nonce, from, at: core.now };
  send(core, [source], { kind: 'FETCH-FINAL', nonce: learning.nonce, from });
  trace(core, { name: 'fetching', from, to, peer: source });
  learning.nonce++;
}

/**
 * Nobody says that it has all blocks below the proof, but after power cuts each may have some of them in its log: bodies
 * are asked for one way down, by hash, of everybody in turn. Every other time, so that both ways are tried.
 */
function askByHash(core: Core): boolean {
  const { learning, others } = core;
  const { missing } = wayBelowProof(core);
  const peer = others[Math.floor(learning.nonce / 2) % Math.max(1, others.length)];
  if (missing === undefined || peer === undefined || learning.nonce % 2 === 1) return false;
  const { nonce } = learning;
  learning.asked = { peer, nonce, from: missing.height, hash: missing.hash, at: core.now };
  send(core, [peer], { kind: 'FETCH-BODIES', nonce, ...missing, floor: core.delivered.height + 1 });
  trace(core, { name: 'fetching', from: missing.height, to: missing.height, peer });
  learning.nonce++;
  return true;
}

function anyPeer(core: Core): number | undefined {
  const { nonce, avoid } = core.learning;
  const peers = core.others.filter((index) => (avoid.get(index) ?? 0) <= core.now);
  return peers[nonce % Math.max(1, peers.length)];
}
