/** A relay for each of two nodes in each direction of dialling: every line between them can be made bad for itself. */
import { type Endpoint, Relay, type Shape } from './relay.ts';

export class RelayMesh {
  /** By who dials, then by who is dialled. */
  readonly #relays: readonly (readonly (Relay | undefined)[])[];
  readonly #host: string;

  private constructor(relays: readonly (readonly (Relay | undefined)[])[], host: string) {
    this.#relays = relays;
    this.#host = host;
  }

  /** `host` is the address the relays are dialled at. */
  static async create(targets: readonly Endpoint[], host = '127.0.0.1'): Promise<RelayMesh> {
    const row = (dialler: number): Promise<(Relay | undefined)[]> =>
      Promise.all(targets.map(async (target, i) => (i === dialler ? undefined : await Relay.start(target, host))));
    return new RelayMesh(await Promise.all(targets.map((_, dialler) => row(dialler))), host);
  }

  /** Where `from` finds `to`. */
  endpoint(from: number, to: number): Endpoint {
    return { host: this.#host, port: this.#relay(from, to).port };
  }

  /** Every line alike. */
  shape(shape: Partial<Shape>): void {
    for (const relay of this.#all()) relay.shape(shape);
  }

  /** Only what goes to this node. */
  shapeTowards(node: number, shape: Partial<Shape>): void {
    for (const other of this.#others(node)) {
      const directions = [this.#relay(other, node).forth, this.#relay(node, other).back];
      for (const direction of directions) direction.shape = { ...direction.shape, ...shape };
    }
  }

  /** Nothing gets from one to the other; the way back stays as it is. */
  cutOneWay(from: number, to: number): void {
    this.#relay(from, to).setCut(true, 'forth');
    this.#relay(to, from).setCut(true, 'back');
  }

  setCut(a: number, b: number, isCut: boolean): void {
    this.#relay(a, b).setCut(isCut);
    this.#relay(b, a).setCut(isCut);
  }

  /** Only nodes of one group reach each other from now on. */
  partition(...groups: readonly (readonly number[])[]): void {
    const groupOf = (node: number): number => groups.findIndex((group) => group.includes(node));
    this.#eachPair((a, b) => this.setCut(a, b, groupOf(a) !== groupOf(b)));
  }

  heal(): void {
    this.#eachPair((a, b) => this.setCut(a, b, false));
  }

  reset(a: number, b: number): void {
    this.#relay(a, b).reset();
    this.#relay(b, a).reset();
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((relay) => relay.close()));
  }

  #relay(from: number, to: number): Relay {
    const relay = this.#relays[from]?.[to];
    if (relay === undefined) throw new Error(`there is no line from ${from} to ${to}`);
    return relay;
  }

  #all(): Relay[] {
    return this.#relays.flat().filter((relay) => relay !== undefined);
  }

  #others(node: number): number[] {
    return [...this.#relays.keys()].filter((other) => other !== node);
  }

  #eachPair(visit: (a: number, b: number) => void): void {
    for (const a of this.#relays.keys()) for (let b = 0; b < a; b++) visit(a, b);
  }
}
