/**
 * The chain under a head to adopt (consensus.md section 5, steps 4 and 5): before anything is signed on it, every body up
 * to it is fetched by hash and executed. Fetching follows parent hashes down from a certified head, so the bytes prove
 * themselves.
 */
import type { Hash, Height } from '../primitives/ids.ts';
import { type Core, execute, halt, isOver, type Learnt, reject, send } from './core.ts';
import type { Blocks } from './message.ts';

/** True once `vc.adopting` and everything below it is executed; otherwise sees to it that it will be. */
export function headChainReady(core: Core): boolean {
  const target = core.vc.adopting;
  if (target === undefined || isOver(core)) return false;
  if (target.height < core.delivered.height) {
    halt(core, `the head to adopt, block ${target.height}, is below final block ${core.delivered.height}`);
    return false;
  }
  // What is final comes by learning, many blocks at a time; only what is above it is fetched by hash.
  if (core.final !== undefined && core.final.height > core.delivered.height) return false;
  let { hash, height } = target;
  let lowest: Learnt | undefined;
  while (height > core.delivered.height) {
    const executed = core.executed.get(hash);
    const body = executed === undefined ? core.vc.bodies.get(hash) : undefined;
    if (executed === undefined && body === undefined) {
      fetchBodies(core, hash, height);
      return false;
    }
    lowest = body ?? lowest;
    hash = (executed ?? body)!.parent;
    height--;
  }
  if (hash !== core.delivered.hash) {
    halt(core, `the head to adopt, block ${target.height}, does not follow final block ${core.delivered.height}`);
    return false;
  }
  if (lowest === undefined) return true;
  execute(core, lowest, lowest.block, 'adopted');
  return false;
}

/**
 * Asks in turn first those who signed the head, since they have executed it, then the actives of the view, then everybody;
 * another at once after an answer without it, else after 2Δ, which is what an answer may take.
 */
function fetchBodies(core: Core, hash: Hash, height: Height): void {
  const { asked, adopting } = core.vc;
  const sources = [...(adopting?.seals?.map((seal) => seal.signer) ?? []), ...core.group, ...core.others];
  const candidates = [...new Set(sources)].filter((index) => index !== core.self);
  const again = asked?.hash === hash ? asked : undefined;
  const tries = again === undefined ? 0 : again.tries + 1;
  const early = again?.answered === true && tries % candidates.length !== 0;
  if (again !== undefined && !early && core.now - again.at < 2 * core.timeouts.delta) return;
  const source = candidates[tries % candidates.length];
  if (source === undefined) return;
  const nonce = core.learning.nonce++;
  core.vc.asked = { peer: source, nonce, hash, at: core.now, tries, answered: false };
  send(core, [source], { kind: 'FETCH-BODIES', nonce, hash, height, floor: core.delivered.height + 1 });
}

/** An answer to `FETCH-BODIES`; true when the message was one. */
export function onBodies(core: Core, from: number, message: Blocks): boolean {
  const { asked, bodies } = core.vc;
  if (asked === undefined || message.nonce !== asked.nonce || from !== asked.peer) return false;
  core.vc.asked = { ...asked, answered: true };
  let wanted = asked.hash;
  for (const { block } of [...message.blocks].reverse()) {
    const id = core.ports.readBlock(block);
    if (id === undefined || id.hash !== wanted) {
      reject(core, from, 'BLOCKS', 'bad-block');
      return true;
    }
    bodies.set(id.hash, { ...id, block, proof: undefined });
    wanted = id.parent;
  }
  return true;
}
