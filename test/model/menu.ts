/**
 * What a liar says. It runs the production replica and says whatever that says, to whom and when it likes (what it sends
 * need never arrive), never waits for the clock, and beside each message says what this menu makes of it; the slanders are
 * there from the beginning. Two PREPAREs, two VIEW-CHANGEs, two VC-FINALs, a stale head, a head out of thin air, a set
 * without somebody, a NEW-VIEW on less than it was given, COMMITTED for what is in no log.
 */
import { faultThreshold } from '../../consensus/config.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type {
  Message,
  NewView,
  Proposal,
  Row,
  Seal,
  Suspect,
  VcFinal,
  ViewChange,
  Vote,
} from '../../consensus/message.ts';
import { type Statement, statementDigest, viewCertificate } from '../../consensus/statement.ts';
import { jumpFrom } from '../../consensus/suspicion-graph.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import { makeBlock, readBlock } from '../unit/consensus/test-block.ts';
import { freeze } from './canonical.ts';
import type { Setting } from './setting.ts';
import type { Sent } from './validator.ts';

export class Menu {
  readonly #setting: Setting;
  readonly #machine: number;

  constructor(setting: Setting, machine: number) {
    this.#setting = setting;
    this.#machine = machine;
  }

  #seal<S extends Statement>(statement: Omit<S, keyof Seal>): S & Seal {
    const { keys, orders } = this.#setting;
    const { epoch } = statement as { epoch: number };
    const signer = orders[epoch]!.indexOf(this.#machine);
    const unsigned = { ...statement, signer, incarnation: this.#setting.incarnation(this.#machine) } as unknown as S;
    // The root of an epoch is in no signature.
    const signature = keys.sign(this.#machine, statementDigest(this.#setting.config(epoch), unsigned));
    return freeze({ ...unsigned, signature } as S & Seal);
  }

  /** What needs no occasion: SUSPECTs of every group, its own and others', and a VIEW-CHANGE that knows of nothing for every view. */
  slanders(): Sent[] {
    const { bounds, orders, machines } = this.#setting;
    const schedule = makeSchedule(bounds.validators);
    const others = machines.filter((machine) => machine !== this.#machine);
    const said: Message[] = [];
    for (const [epoch, order] of orders.entries()) {
      const self = order.indexOf(this.#machine);
      for (let view = 0; view < bounds.viewMax; view++) {
        const group = schedule.groupOf(view);
        const accused = group.filter((member) => member !== self).slice(0, 1);
        // The passive of a view accuses in vain, and without a row of its own.
        const row = group.includes(self)
          ? [this.#seal<Row>({ kind: 'ROW', epoch, generation: 0, members: accused })]
          : [];
        const suspect = { kind: 'SUSPECT' as const, epoch, view, accused, rows: row };
        const { target } = jumpFrom(schedule, view, row);
        for (const to of new Set([view + 1, target])) said.push(this.#seal<Suspect>({ ...suspect, target: to }));
        said.push(this.#ignorant(epoch, view + 1));
      }
    }
    return said.flatMap((message) => others.map((to) => ({ to, message })));
  }

  #ignorant(epoch: number, view: number): ViewChange {
    const nothing = { lastSigned: undefined, head: undefined, final: undefined };
    return this.#seal<ViewChange>({ kind: 'VIEW-CHANGE', epoch, view, ...nothing });
  }

  /** What it says besides a message of its own. */
  besides({ to, message }: Sent): Sent[] {
    return this.#variants(message).map((variant) => ({ to, message: variant }));
  }

  #variants(message: Message): Message[] {
    switch (message.kind) {
      case 'PROPOSAL':
        return this.#proposals(message);
      case 'VC-FINAL':
        return this.#vcFinals(message);
      case 'NEW-VIEW':
        return this.#newViews(message);
      default:
        return [];
    }
  }

  #vote(like: Vote, kind: Vote['kind'], hash = like.hash): Vote {
    const { epoch, view, viewCertificate: opened, height } = like;
    return this.#seal<Vote>({ kind, epoch, view, viewCertificate: opened, height, hash });
  }

  /** A second block at the height, and COMMITTEDs for both before anybody signed them. */
  #proposals({ prepare, block }: Proposal): Message[] {
    const { parent, height } = readBlock(block)!;
    const other = this.#setting.made(makeBlock(parent, height, `other ${prepare.view}`));
    const hash = keccakHash(other);
    return [
      freeze({ kind: 'PROPOSAL', prepare: this.#vote(prepare, 'PREPARE', hash), block: other }),
      this.#vote(prepare, 'COMMITTED', hash),
      this.#vote(prepare, 'COMMITTED'),
    ];
  }

  /** Each smaller set that is still large enough, with what it told the others of itself or with nothing. */
  #vcFinals(message: VcFinal): VcFinal[] {
    const { epoch, view } = message;
    const n = this.#setting.bounds.validators;
    const least = n - faultThreshold(n);
    const out: VcFinal[] = [];
    const own = this.#ignorant(epoch, view);
    const known = message.viewChanges.map((change) => (change.signer === message.signer ? own : change));
    for (const full of [message.viewChanges, known]) {
      for (const left of [undefined, ...full]) {
        const viewChanges = full.filter((change) => change !== left);
        if (viewChanges.length < least || viewChanges === message.viewChanges) continue;
        out.push(this.#seal<VcFinal>({ kind: 'VC-FINAL', epoch, view, viewChanges }));
      }
    }
    return out;
  }

  /** The epoch's root adopted instead of the head. */
  #newViews(message: NewView): NewView[] {
    if (message.head === undefined) return [];
    const { epoch, view, digests } = message;
    const { height, hash } = this.#setting.config(epoch).root;
    if (epoch > 0) return [];
    const opened = viewCertificate({ view, head: { view: -1, height, hash }, digests });
    const prepare = this.#vote({ ...message.prepare, viewCertificate: opened, height }, 'PREPARE', hash);
    return [this.#seal<NewView>({ kind: 'NEW-VIEW', epoch, view, head: undefined, digests, prepare })];
  }
}
