/** One run: from a seed to a verdict, with the figures that show what was exercised. */

import { HOST } from './host-process.ts';
import { withLiars } from './liar.ts';
import { runLiveness } from './liveness.ts';
import { drawOptions, type FaultKind, type Options, type Overrides } from './options.ts';
import { Transcript } from './transcript.ts';
import type { Property } from './violation.ts';
import { World } from './world.ts';

export type RunRequest = Overrides & {
  readonly print?: ((line: string) => void) | undefined;
};

export type Stats = {
  readonly virtualMs: number;
  readonly events: number;
  readonly blocks: number;
  readonly transactions: number;
  readonly viewChanges: number;
  readonly starts: number;
  readonly messages: number;
  readonly lost: number;
  readonly statements: number;
  /** Epochs that ended. */
  readonly handOvers: number;
  /** Same-set epochs among them, each for a validator that lost its log. */
  readonly rejoined: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Each of them, as `only` names it. */
  readonly happened: readonly string[];
  /** Undefined: the run was never in anarchy. */
  readonly anarchy: AnarchyStats | undefined;
};

export type AnarchyStats = {
  readonly sinceMs: number;
  readonly why: string;
  /** What broke meanwhile, and how often it was seen. */
  readonly broken: Readonly<Partial<Record<Property, number>>>;
  /** Liars that correct replicas know for what they are. */
  readonly convicted: number;
};

export type RunResult = {
  readonly seed: number;
  readonly options: Options;
  readonly failure: { readonly property: Property; readonly message: string; readonly stack?: string } | undefined;
  readonly hash: string;
  readonly stats: Stats;
  readonly transcript: readonly string[];
};

const TRANSCRIPT_LINES = 60;

function statsOf(world: World): Stats {
  return {
    virtualMs: world.timeline.now,
    events: world.events,
    blocks: world.chain.height,
    transactions: world.clients.submitted,
    viewChanges: world.traces.get('view-entered') ?? 0,
    starts: world.machines.reduce((sum, machine) => sum + machine.starts, 0),
    messages: world.network.counts.sent,
    lost: world.network.counts.lost,
    statements: world.signatures.statements,
    handOvers: world.book.newest.config.epoch,
    rejoined: world.book.rejoined,
    faults: world.faults.counts,
    happened: world.faults.happened,
    anarchy: anarchyOf(world),
  };
}

function anarchyOf({ oracle, expected, convicted }: World): AnarchyStats | undefined {
  if (oracle.since === undefined) return undefined;
  return { sinceMs: oracle.since, why: oracle.why, broken: Object.fromEntries(expected), convicted: convicted.size };
}

function causeStack(cause: unknown): string | undefined {
  return cause instanceof Error ? cause.stack : undefined;
}

export async function runSeed(seed: number, request: RunRequest = {}): Promise<RunResult> {
  const options = drawOptions(seed, request);
  const shared = await HOST.shared(options);
  const transcript = new Transcript(TRANSCRIPT_LINES, request.print);
  const world = new World(options, { shared, ...withLiars(HOST, options, shared) }, transcript);
  world.start();
  await world.runUntil(options.safetyMs);
  if (world.failure === undefined) await runLiveness(world);
  world.hash.number(world.events);
  const { failure } = world;
  const stack = causeStack(failure?.cause);
  return {
    seed,
    options,
    failure: failure && {
      property: failure.property,
      message: failure.message,
      ...(stack === undefined ? {} : { stack }),
    },
    hash: world.hash.digest,
    stats: statsOf(world),
    transcript: transcript.tail,
  };
}

/** The command that shows a run again. */
export function replayCommand(seed: number, request: Overrides): string {
  const parts = [`npm run simulate -- --seed ${seed}`];
  if (request.validators !== undefined) parts.push(`--validators ${request.validators}`);
  if (request.pace !== undefined) parts.push(`--pace ${request.pace}`);
  if (request.without?.length) parts.push(`--without ${request.without.join(',')}`);
  if (request.only !== undefined) parts.push(`--only ${request.only.join(',') || 'none'}`);
  if (request.safetyMs !== undefined) parts.push(`--safety-ms ${request.safetyMs}`);
  if (request.realCrypto !== undefined) parts.push(`--real-crypto ${request.realCrypto}`);
  if (request.habits?.length) parts.push(`--habits ${request.habits.join(',')}`);
  if (request.lying) parts.push('--lying');
  if (request.honest) parts.push('--honest');
  if (request.epochs) parts.push('--epochs');
  if (request.anarchy) parts.push('--anarchy');
  return parts.join(' ');
}
