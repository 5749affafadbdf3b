/**
 * A node's own word that it is ready (consensus.md section 7): as a candidate of an open proposal, once it has caught up;
 * and as a validator that forgot what it signed, to ask for the same-set epoch in which it may sign again. The word is
 * signed with the validator key and goes to the governance contract as a transaction of the validator key's own account,
 * which needs funds where gas has a price.
 */
import { encodeCall, FUNCTIONS } from '../ledger/governance/abi.ts';
import { governanceGas } from '../ledger/governance/contract.ts';
import type { GovernanceState } from '../ledger/governance/state.ts';
import { toHex } from '../primitives/bytes.ts';
import { type Address, type Bytes, type Epoch, GOVERNANCE_ADDRESS, type Hash, type Height } from '../primitives/ids.ts';
import { readyDigest } from '../primitives/ready.ts';
import type { TransactionFields } from '../primitives/sign-transaction.ts';

export type ReadinessOptions = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly validator: Address;
  readonly incarnation: string;
  readonly baseFee: bigint;
  /** 65-byte signature of the validator key. */
  readonly sign: (digest: Bytes) => Bytes;
  /** Signs with the validator key and hands in a transaction; why it was refused, or undefined. */
  readonly submit: (fields: TransactionFields) => string | undefined;
  readonly nextNonce: (address: Address) => number;
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  readonly onTold: (text: string, refused: string | undefined) => void;
};

export type Standing = {
  readonly governance: GovernanceState;
  readonly epoch: Epoch;
  readonly head: { readonly height: Height; readonly hash: Hash };
  /** Has every final block that it knows of. */
  readonly caughtUp: boolean;
  /** A validator of the epoch that may not sign in it. */
  readonly forgot: boolean;
};

/** Intrinsic gas of the call, about, with a margin. */
const CALL_GAS = 60_000;
/** Between two looks at whether there is something to say. */
const EVERY_MS = 250;
/** What was handed in has this long to take effect before it is said again. */
const AGAIN_MS = 10_000;

export class Readiness {
  readonly #options: ReadinessOptions;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** To be called with every tick; `standing` costs something and is asked for now and then. */
  check(ask: () => Standing): void {
    const { nowMs, onTold } = this.#options;
    if (nowMs() < this.#nextMs) return;
    this.#nextMs = nowMs() + EVERY_MS;
    const standing = ask();
    if (!standing.caughtUp) return;
    const reason = this.#reason(standing);
    if (reason === undefined) return;
    this.#nextMs = nowMs() + AGAIN_MS;
    onTold(reason, this.#tell(standing));
  }

  /** Why the chain should hear of this node now; undefined when there is no need. */
  #reason({ governance, head, forgot }: Standing): string | undefined {
    const { validator, incarnation, wallMs } = this.#options;
    if (forgot) {
      const rejoinedAt = governance.lives.find((life) => life.validator === validator)?.rejoinedAt ?? 0;
      const waits = wallMs() < 1000 * (rejoinedAt + governance.policy.rejoinIntervalSeconds);
      return waits && rejoinedAt > 0 ? undefined : 'asking for an epoch in which this validator may sign again';
    }
    const isCandidate = governance.open.some(({ change, expiresAt }) => {
      if (wallMs() >= 1000 * expiresAt) return false;
      const candidates = [...change.additions, ...change.replacements.map(({ by }) => by)];
      return candidates.some((candidate) => candidate.validator === validator);
    });
    if (!isCandidate) return undefined;
    const said = governance.readiness.find((entry) => entry.validator === validator);
    const fresh = said?.incarnation === incarnation && head.height - said.height < governance.policy.readyLag / 2;
    return fresh ? undefined : 'announcing that this candidate is ready';
  }

  #tell({ epoch, head }: Standing): string | undefined {
    const { chainId, genesisHash, validator, incarnation, baseFee, sign, submit, nextNonce } = this.#options;
    const word = { validator, height: head.height, hash: head.hash, incarnation };
    const signature = toHex(sign(readyDigest({ chainId, genesisHash, epoch, ...word })));
    const data = encodeCall(FUNCTIONS.ready, { ...word, signature });
    return submit({
      chainId,
      nonce: nextNonce(validator),
      maxPriorityFeePerGas: 0n,
      maxFeePerGas: baseFee,
      gasLimit: CALL_GAS + governanceGas(data),
      to: GOVERNANCE_ADDRESS,
      value: 0n,
      data: toHex(data),
    });
  }
}
