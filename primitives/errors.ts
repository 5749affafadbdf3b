/**
 * Operational errors: disk, configuration, peer, user. One class, a code from a closed union, a message of one sentence
 * that says what to do. `docs/errors.md` lists every code with its remedy. Hostile input is a value, never thrown; a bug
 * is an assertion.
 */

export type ErrorCode =
  | 'USAGE'
  | 'GENESIS_INVALID'
  | 'GENESIS_MISMATCH'
  | 'CONFIG_INVALID'
  | 'KEY_INVALID'
  | 'KEY_PASSWORD'
  | 'KEY_PERMISSIONS'
  | 'KEY_MISMATCH'
  | 'DATA_DIR_LOCKED'
  | 'DATA_DIR_INVALID'
  | 'GUARD_MISSING'
  | 'LOG_DAMAGED'
  | 'STORE_DAMAGED'
  | 'DISK_FAILED'
  | 'PORT_IN_USE'
  | 'RPC_UNREACHABLE'
  | 'RPC_ERROR'
  | 'NOT_FOUND'
  | 'TIMEOUT'
  | 'VERIFY_FAILED'
  | 'CHAIN_FILE_INVALID'
  | 'EVIDENCE_INVALID'
  | 'DESCRIPTOR_INVALID'
  | 'GOVERNANCE_REFUSED'
  | 'RECOVERY_INVALID'
  | 'RECOVERY_REFUSED'
  | 'RECOVERY_MISSING'
  | 'RECOVERY_CONFLICT';

export class QuorateError extends Error {
  override readonly name = 'QuorateError';
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }
}

/** A bug in this program: always on, ends the process with what it knows. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** What an unknown thrown value says. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
