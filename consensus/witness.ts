/**
 * What this replica has seen others sign: under which incarnation (one key, one life of its log per epoch), and the
 * newest message of each kind, which is what a validator that asks about its own past is answered with.
 */
import type { Height, View } from '../primitives/ids.ts';
import { type Core, persistLater } from './core.ts';
import { detect } from './fault-detection.ts';
import { compareOrder, type SignedMessage } from './message.ts';

/** Where in the epoch a message was signed; height 0 for those about a view as a whole. */
export function positionOf(message: SignedMessage): { readonly view: View; readonly height: Height } {
  return { view: message.view, height: 'height' in message ? message.height : 0 };
}

/** Takes note of a message whose signature was verified, heard from its signer. */
export function witness(core: Core, message: SignedMessage): void {
  const { signer, incarnation } = message;
  if (!core.pins.has(signer)) {
    core.pins.set(signer, incarnation);
    persistLater(core, [{ kind: 'pin', signer, incarnation }]);
  }
  const key = `${signer}/${message.kind}`;
  const known = core.seen.get(key);
  if (known === undefined || compareOrder(positionOf(message), positionOf(known)) > 0) core.seen.set(key, message);
  detect(core, message);
}
