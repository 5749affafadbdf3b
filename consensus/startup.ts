/**
 * Before its first signature in any life a validator asks its peers whether they hold a signature of its key above the
 * end of its log, and listens for 2Δ (consensus.md section 7). With a log that ends cleanly no answer is required, since
 * another validator may be down; with a torn tail, or no signature in the log, n-t-1 answers are, all "none". Answering
 * needs no right to sign, so a whole network can start at once. A "yes" means that this log forgot something: the
 * validator then only follows, because a replica that forgot what it signed is a Byzantine one.
 */
import { toHex } from '../primitives/bytes.ts';
import { type Core, persist, send, trace } from './core.ts';
import { type Answer, type Ask, compareOrder, type SignedMessage } from './message.ts';
import { votesOf } from './statement.ts';
import { positionOf } from './witness.ts';

/** Everything newest held here that the asker's key signed. Certificates and the chain count as well as messages. */
function heldOf(core: Core, signer: number): SignedMessage[] {
  const newest = new Map<string, SignedMessage>();
  const add = (message: SignedMessage): void => {
    if (message.signer !== signer) return;
    const known = newest.get(message.kind);
    if (known === undefined || compareOrder(positionOf(message), positionOf(known)) > 0)
      newest.set(message.kind, message);
  };
  for (const message of core.seen.values()) add(message);
  for (const certificate of [core.head, core.final]) if (certificate) votesOf(certificate).forEach(add);
  for (const suspect of core.chain) add(suspect);
  if (core.lastSigned) add(core.lastSigned.prepare);
  return [...newest.values()];
}

export function onAsk(core: Core, from: number, message: Ask): void {
  if (message.epoch !== core.config.epoch) return;
  send(core, [from], { kind: 'ANSWER', nonce: message.nonce, held: heldOf(core, from) });
}

/** A signature of this key that the log does not know of: above its mark, or from another life of the log. */
function forgotten(core: Core, message: SignedMessage): boolean {
  if (message.signer !== core.self || core.verifier.message(message) !== undefined) return false;
  const mark = core.marks.get(message.kind);
  if (message.incarnation !== core.incarnation) return true;
  return mark === undefined || compareOrder(positionOf(message), mark) > 0;
}

export function onAnswer(core: Core, from: number, message: Answer): void {
  const { startup } = core;
  if (core.phase !== 'starting' || startup === undefined || message.nonce !== startup.nonce) return;
  for (const held of message.held) {
    if (!forgotten(core, held)) continue;
    core.phase = 'learner';
    core.startup = undefined;
    // Durable: by the next start the log ends cleanly, and those who know better may be out of reach.
    persist(core, [{ kind: 'forgot', rolledBack: true }]);
    const what = `${held.kind} in view ${held.view}, signature ${toHex(held.signature).slice(0, 18)}…`;
    trace(core, { name: 'amnesia', held: what });
    return;
  }
  startup.answers.add(from);
}

/** Listening begins when there is somebody to listen to: whoever is reached only now has its 2Δ to answer, once. */
export function onReached(core: Core, peer: number): void {
  const { startup } = core;
  if (startup === undefined || startup.answers.has(peer) || startup.reached.has(peer)) return;
  startup.reached.add(peer);
  startup.since = core.now;
  startup.askedAt = undefined;
}

/** Asks again every Δ; true once the validator may sign. */
export function startupDone(core: Core): boolean {
  const { startup } = core;
  if (core.phase !== 'starting' || startup === undefined) return false;
  startup.since ??= core.now;
  if (startup.askedAt === undefined || core.now - startup.askedAt >= core.timeouts.delta) {
    startup.askedAt = core.now;
    const silent = core.others.filter((peer) => !startup.answers.has(peer));
    send(core, silent, { kind: 'ASK', epoch: core.config.epoch, nonce: startup.nonce });
  }
  const listened = core.others.length === 0 || core.now - startup.since >= 2 * core.timeouts.delta;
  if (!listened || startup.answers.size < startup.required) return false;
  trace(core, { name: 'started', answers: startup.answers.size });
  return true;
}
