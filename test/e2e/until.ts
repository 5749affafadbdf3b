/** Waiting for something to become true, with a bound and a message that says what was seen last. */
import { setTimeout as sleep } from 'node:timers/promises';

export type UntilOptions = { readonly timeoutMs?: number; readonly everyMs?: number };

/** Polls until the value is neither undefined nor false, and returns it. What `look` throws counts as "not yet". */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 60_000, everyMs = 50 }: UntilOptions = {},
): Promise<T> {
  let last = '';
  for (const end = performance.now() + timeoutMs; ; ) {
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
      last = '';
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > end) {
      throw new Error(`not within ${timeoutMs / 1000} s: ${what}${last === '' ? '' : ` (last: ${last})`}`);
    }
    await sleep(everyMs);
  }
}
