/** What a model is about: who the validators are, in one epoch or two, who lies, and the bounds. */
import type { EpochConfig } from '../../consensus/config.ts';
import { toHex, utf8 } from '../../primitives/bytes.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import { keccak256, keccakHash } from '../../primitives/keccak.ts';
import { membershipHash } from '../../primitives/membership.ts';
import { cheapKeys, type Keys } from '../simulation/keys.ts';
import { readBlock } from '../unit/consensus/test-block.ts';
import type { Mutant } from './mutants.ts';

/** The bounds of a model. What they leave out is never explored, and what is explored is said in docs/testing.md. */
export type Bounds = {
  readonly validators: number;
  /** No block is proposed above this height. */
  readonly heightMax: number;
  /** In view 0 not above this one, and one higher in each view after it. */
  readonly firstHeightMax?: number;
  /** Who of a view's actives may lose patience: both, or one of them. */
  readonly suspicious?: 'primary' | 'follower';
  /** No time-out runs out in this view, and a state with somebody in a later one is not followed any further. */
  readonly viewMax: number;
  /** A block at this height ends epoch 0. */
  readonly closesAt?: number;
  /** Machines that may crash and come back, and how often each may. */
  readonly crashes?: Readonly<Record<number, number>>;
  /** Writes take time: everything may happen before they are durable. */
  readonly slowDisks?: boolean;
  /** Who lies. All others are in touch with each other then, but for those `cutOff`: more would be anarchy. */
  readonly liars?: readonly number[];
  readonly cutOff?: readonly number[];
};

export const DELTA_MS = 100;
const ROOT: Hash = keccakHash(utf8('model'));

export class Setting {
  readonly bounds: Bounds;
  readonly keys: Keys;
  /** Machines by their index in each epoch: the order of epoch 1 is another, so that its groups are, too. */
  readonly orders: readonly (readonly number[])[];
  readonly liars: ReadonlySet<number>;
  readonly correct: readonly number[];
  /** Correct and in touch: what one of them sends another has, within Δ. */
  readonly inTouch: readonly number[];
  readonly #parents = new Map<Hash, Hash>();
  readonly mutant: Mutant | undefined;
  /** While it is seen whether a state is a dead end: no bounds, and heartbeats and proofs are sent, too. */
  isOpen = false;

  constructor(bounds: Bounds, mutant?: Mutant) {
    this.bounds = bounds;
    this.mutant = mutant;
    const { validators, liars = [], cutOff = [], closesAt } = bounds;
    this.keys = cheapKeys(validators);
    const machines = Array.from({ length: validators }, (_, index) => index);
    const rotated = [...machines.slice(1), 0];
    this.orders = closesAt === undefined ? [machines] : [machines, rotated];
    this.liars = new Set(liars);
    this.correct = machines.filter((machine) => !this.liars.has(machine));
    this.inTouch = this.correct.filter((machine) => !cutOff.includes(machine));
  }

  get machines(): readonly number[] {
    return this.orders[0]!;
  }

  /** Somebody lies: then correct validators that are in touch hear each other within Δ, and 2Δ are waited. */
  get isTimed(): boolean {
    return this.liars.size > 0;
  }

  /** Takes note of a block, whoever made it. */
  made(block: Bytes): Bytes {
    const { hash, parent } = readBlock(block)!;
    this.#parents.set(hash, parent);
    return block;
  }

  /** Whether one block is the other, or below it. */
  isAncestor(low: Hash, high: Hash): boolean {
    for (let at: Hash | undefined = high; at !== undefined; at = this.#parents.get(at)) if (at === low) return true;
    return false;
  }

  /** Greatest height proposed in a view. */
  heightAt(view: number): number {
    const { heightMax, firstHeightMax = heightMax } = this.bounds;
    return this.isOpen ? Number.POSITIVE_INFINITY : Math.min(heightMax, firstHeightMax + view);
  }

  incarnation(machine: number): string {
    return toHex(keccak256(utf8(`model ${machine}`)).subarray(0, 16));
  }

  config(
    epoch: number,
    root: { readonly height: number; readonly hash: Hash } = { height: 0, hash: ROOT },
  ): EpochConfig {
    const validators = this.orders[epoch]!.map((machine) => this.keys.addresses[machine]!);
    return {
      chainId: 1337,
      genesisHash: ROOT,
      epoch,
      validators,
      membershipHash: membershipHash(validators.map((v) => ({ validator: v, nodeKey: '0x02', operator: v }))),
      root,
      parameters: {
        deltaMs: DELTA_MS,
        // No doubling: when a time-out runs out is the checker's choice anyway.
        suspicionTimeoutMs: 4 * DELTA_MS,
        suspicionTimeoutMaxMs: 4 * DELTA_MS,
        pipelineWindow: 4,
        emptyBlockPeriodMs: 0,
      },
    };
  }
}
