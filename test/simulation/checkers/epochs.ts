/**
 * The epochs of the one global chain (reliability.md P35, P36, P38): who validates when, from which block to which, under
 * which incarnation a key may sign. Everything follows from the final blocks by a governance model of its own; what the
 * blocks say of themselves must agree with it.
 */
import { type EpochConfig, faultThreshold } from '../../../consensus/config.ts';
import { makeSchedule, type Schedule } from '../../../consensus/groups.ts';
import { type Block, headerEpoch } from '../../../ledger/block.ts';
import { governanceGas } from '../../../ledger/governance/contract.ts';
import type { Chain } from '../../../node/epoch-peers.ts';
import type { Address, Epoch, Hash, Height } from '../../../primitives/ids.ts';
import { membershipHash, type Validator } from '../../../primitives/membership.ts';
import { policyTiming } from '../../../primitives/policy.ts';
import type { Founding } from '../setting.ts';
import { GovernanceModel } from './governance.ts';

type Link = { readonly height: Height; readonly hash: Hash };

export type EpochTruth = {
  readonly config: EpochConfig;
  readonly schedule: Schedule;
  readonly members: readonly Validator[];
  /** Machine numbers in the order of the list. */
  readonly machines: readonly number[];
  /** Newest incarnation that a closing block up to this epoch's carried for a key, also of who has left. */
  readonly lives: ReadonlyMap<Address, string>;
  /** Its last block, once that is final. */
  closing: Link | undefined;
};

export class EpochBook {
  readonly #chain: Chain;
  readonly #machineOf: ReadonlyMap<Address, number>;
  readonly #model: GovernanceModel;
  readonly #epochs: EpochTruth[] = [];
  /** Same-set epochs, which take in anew one who had forgotten. */
  rejoined = 0;

  constructor(chain: Chain, founding: Founding, machines: readonly Validator[]) {
    this.#chain = chain;
    this.#machineOf = new Map(machines.map(({ validator }, number) => [validator, number]));
    this.#model = new GovernanceModel(founding.members, founding.policy);
    this.#begin(founding.members, { height: 0, hash: chain.genesisHash }, new Map());
  }

  #begin(members: readonly Validator[], root: Link, lives: ReadonlyMap<Address, string>): void {
    const timing = policyTiming(this.#model.state.policy);
    const config: EpochConfig = {
      ...this.#chain,
      parameters: { ...this.#chain.parameters, ...timing },
      epoch: this.#epochs.length,
      validators: members.map(({ validator }) => validator),
      membershipHash: membershipHash(members),
      root,
    };
    const machines = members.map(({ validator }) => this.#machineOf.get(validator)!);
    const schedule = makeSchedule(members.length);
    this.#epochs.push({ config, schedule, members, machines, lives, closing: undefined });
  }

  get newest(): EpochTruth {
    return this.#epochs.at(-1)!;
  }

  /** Undefined: it has not begun anywhere. */
  at(epoch: Epoch): EpochTruth | undefined {
    return this.#epochs[epoch];
  }

  /** Faults that the present set tolerates. */
  get t(): number {
    return faultThreshold(this.newest.members.length);
  }

  get governance(): GovernanceModel['state'] {
    return this.#model.state;
  }

  /** The next block is final; what is wrong with it, or undefined. */
  apply(block: Block, hashAt: (height: Height) => Hash | undefined): string | undefined {
    const { chainId, genesisHash } = this.#chain;
    const { number, timestamp, mixHash } = block.header;
    const { epoch } = this.newest.config;
    if (headerEpoch(block.header) !== epoch) return `it says epoch ${headerEpoch(block.header)}, expected ${epoch}`;
    for (const tx of block.transactions) {
      const enoughGas = tx.gasLimit >= tx.intrinsicGas + governanceGas(tx.data);
      this.#model.apply(tx, enoughGas, { chainId, genesisHash, number, timestamp, hashAt });
    }
    const { members, lives, epoch: next } = this.#model.state;
    const expected = membershipHash(members);
    if (mixHash !== expected) return `mixHash ${mixHash}, by the model ${expected}`;
    if (next === epoch) return undefined;
    const root = { height: number, hash: block.hash };
    const carried = [...lives].map(([validator, { incarnation }]): [Address, string] => [validator, incarnation]);
    const isNew = carried.some(([validator, incarnation]) => this.newest.lives.get(validator) !== incarnation);
    if (isNew && expected === this.newest.config.membershipHash) this.rejoined++;
    this.#begin(members, root, new Map([...this.newest.lives, ...carried]));
    this.#epochs.at(-2)!.closing = root;
    return undefined;
  }
}
