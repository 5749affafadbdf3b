/**
 * Every callback given to libp2p runs through here: an exception thrown in an event listener ends the process
 * (EventTarget semantics of Node), which would let one malformed frame of one peer kill a validator. Assertions pass
 * through on purpose: a bug must end the process.
 */
import { AssertionError } from '../primitives/errors.ts';

/** Runs `action`; what it throws goes to `onError`. */
export function guarded(action: () => void, onError: (error: unknown) => void): void {
  try {
    action();
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    onError(error);
  }
}

/** Why this side ends a stream or a connection: what libp2p's `abort` is given, never thrown. */
export class AbortReason extends Error {
  override readonly name = 'AbortReason';
}

/** What was thrown, as the Error that libp2p's `abort` wants. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new AbortReason(String(error));
}
