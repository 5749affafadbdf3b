/**
 * What a liar says about others: rows that do not hold one another, and SUSPECTs that lead as far as the rows it has
 * heard allow, or further, from views long left as well as from the newest.
 */
import { faultThreshold } from '../../consensus/config.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type { Message, Row, Suspect } from '../../consensus/message.ts';
import type { Statement } from '../../consensus/statement.ts';
import { generationOf, jumpFrom } from '../../consensus/suspicion-graph.ts';
import type { Rng } from './rng.ts';

const ROWS_MAX = 60;

export type Speaker = {
  readonly self: number;
  readonly epoch: number;
  readonly validators: number;
  readonly incarnation: string;
  readonly sign: <S extends Statement>(statement: S) => S & { readonly signature: Uint8Array };
};

export class Accuser {
  readonly #rng: Rng;
  #rows: Row[] = [];

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  hear(message: Message): void {
    if (message.kind === 'HEARTBEAT' && message.row !== undefined) this.#rows.push(message.row);
    if (message.kind === 'SUSPECT') this.#rows.push(...message.rows);
    if (message.kind === 'CHAIN') this.#rows.push(...message.suspects.flatMap(({ rows }) => rows));
    if (this.#rows.length > ROWS_MAX) this.#rows = this.#rng.shuffle(this.#rows).slice(0, ROWS_MAX / 2);
  }

  /** Names `accused`, and whom else it likes. */
  row({ self, epoch, validators, incarnation, sign }: Speaker, generation: number, accused: readonly number[]): Row {
    const others = Array.from({ length: validators }, (_, index) => index).filter((index) => index !== self);
    const more = this.#rng.chance(0.5) ? [] : this.#rng.shuffle(others).slice(0, this.#rng.int(validators));
    const members = [...new Set([...accused, ...more])].sort((a, b) => a - b);
    return sign({ kind: 'ROW', epoch, generation, members, signer: self, incarnation });
  }

  /** Undefined: in that view it has nobody to accuse. */
  suspect(speaker: Speaker, view: number): Suspect | undefined {
    const { self, epoch, validators, incarnation, sign } = speaker;
    const rng = this.#rng;
    const schedule = makeSchedule(validators);
    const group = schedule.groupOf(view);
    const others = group.filter((member) => member !== self);
    if (others.length === 0 || others.length === group.length) return undefined;
    const accused = rng.shuffle(others).slice(0, 1 + rng.int(faultThreshold(validators)));
    const generation = generationOf(view);
    const heard = this.#rows.filter((row) => row.epoch === epoch && row.members.every((each) => each < validators));
    const rows = [this.row(speaker, generation, accused), ...rng.shuffle(heard).slice(0, rng.int(heard.length + 1))];
    const honest = jumpFrom(schedule, view, rows).target;
    const target = rng.chance(0.7) ? honest : rng.pick([view + 1, honest + 1 + rng.int(8), 1_000_000]);
    return sign({ kind: 'SUSPECT', epoch, view, target, accused, rows, signer: self, incarnation });
  }
}
