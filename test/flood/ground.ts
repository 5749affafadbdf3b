/** Three honest validators under load, and the place of a fourth, who means harm. */
import { loopbackPlaces, Network } from '../e2e/network.ts';
import { beginLoad, endLoad, type UnderLoad, untilMoreBlocks } from '../e2e/under-load.ts';
import { Flooder } from './flooder.ts';
import type { Flood } from './floods.ts';
import { type Measured, measured } from './measure.ts';

const HONEST = [0, 1, 2] as const;
const MALICIOUS = 3;
const SERVICE_BACK_MS = 60_000;

export class Ground {
  readonly network: Network;
  readonly run: UnderLoad;
  readonly flooder: Flooder;

  private constructor(network: Network, run: UnderLoad, flooder: Flooder) {
    this.network = network;
    this.run = run;
    this.flooder = flooder;
  }

  static async create(): Promise<Ground> {
    const places = await loopbackPlaces(HONEST.length + 1);
    const network = await Network.create({ validators: places.length, places, seen: (_, to) => places[to]!.p2p });
    try {
      await network.start(...HONEST);
      const run = await beginLoad(network, { count: 4, everyMs: 100 });
      return new Ground(network, run, await Flooder.start(network, MALICIOUS));
    } catch (error) {
      await network.stop();
      throw error;
    }
  }

  get honest() {
    return HONEST.map((node) => this.network.members[node]!);
  }

  /** One flood, and three more blocks after it. */
  async endure(flood: Flood, ms: number): Promise<Measured> {
    await this.flooder.linked();
    const { watch } = this.run;
    const doors = HONEST.map((node) => this.network.places[node]!.p2p);
    const target = { flooder: this.flooder, honest: this.honest, doors };
    const result = await measured({ members: this.honest, watch }, () => flood.run(target, ms));
    await untilMoreBlocks(watch, 3, SERVICE_BACK_MS);
    return result;
  }

  /** Nothing acknowledged is lost, and all agree. Returns the number of blocks. */
  async end(): Promise<number> {
    return (await endLoad({ rpcs: this.honest.map(({ rpc }) => rpc) }, this.run)).length;
  }

  async stop(): Promise<void> {
    await this.run.load.stop();
    await this.run.watch.stop();
    await this.flooder.stop();
    await this.network.stop();
  }
}
