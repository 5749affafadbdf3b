/**
 * Scenarios: small scripted runs of the simulated network with a transcript that a reader can follow. A file has the
 * script above a line of dashes and the golden transcript below it. The replicas are the production ones; nothing in
 * such a run is drawn but what the options fix, so the transcript is the same everywhere.
 */
import { encodeMessage } from '../../consensus/message-codec.ts';
import { encodeCall, FUNCTIONS } from '../../ledger/governance/abi.ts';
import { channelOf } from '../../node/channel.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { DEFAULT_POLICY } from '../../primitives/policy.ts';
import type { Timing } from '../../primitives/timing.ts';
import { HOST } from '../simulation/host-process.ts';
import { IDENTITIES } from '../simulation/keys.ts';
import { proposeCall, setChange } from '../simulation/operators.ts';
import type { Options } from '../simulation/options.ts';
import { governanceCall, transaction } from '../simulation/transactions.ts';
import { Transcript } from '../simulation/transcript.ts';
import { World } from '../simulation/world.ts';
import { lieOf } from './lies.ts';

type Step = { readonly atMs: number; readonly words: readonly string[] };
export type Scenario = {
  readonly validators: number;
  /** Machines that may be taken in later. */
  readonly candidates: number;
  /** Machines whose lies the script tells; what they do besides is honest. */
  readonly liars: readonly number[];
  readonly steps: readonly Step[];
  readonly golden: readonly string[];
};

const RULE = '----';

/** Lines: `n 3`, `candidates 2`, `liars r0`, `at <ms> <action> …`, `until <ms>`, comments with #. */
export function parseScenario(text: string): Scenario & { readonly script: string } {
  const lines = text.split('\n');
  const rule = lines.findIndex((line) => line.startsWith(RULE));
  const scriptLines = rule < 0 ? lines : lines.slice(0, rule);
  let validators = 3;
  let candidates = 0;
  let liars: number[] = [];
  const steps: Step[] = [];
  for (const line of scriptLines) {
    const [word, first, ...rest] = line.split('#')[0]!.trim().split(/\s+/);
    if (word === 'n') validators = Number(first);
    else if (word === 'candidates') candidates = Number(first);
    else if (word === 'liars') liars = [first, ...rest].map((name) => Number(name!.slice(1)));
    else if (word === 'at') steps.push({ atMs: Number(first), words: rest });
    else if (word === 'until') steps.push({ atMs: Number(first), words: [] });
    else if (word !== '') throw new Error(`no such line in a scenario: ${line}`);
  }
  const golden = rule < 0 ? [] : lines.slice(rule + 1).filter((line) => line !== '');
  return { validators, candidates, liars, steps, golden, script: scriptLines.join('\n').trimEnd() };
}

const PARAMETERS = {
  deltaMs: 100,
  suspicionTimeoutMs: 1000,
  suspicionTimeoutMaxMs: 4000,
  pipelineWindow: 4,
  emptyBlockPeriodMs: 0,
};
const POLICY = { ...DEFAULT_POLICY, rejoinIntervalSeconds: 1 };

function times(factor: number): Timing {
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = PARAMETERS;
  return {
    deltaMs: factor * deltaMs,
    suspicionTimeoutMs: factor * suspicionTimeoutMs,
    suspicionTimeoutMaxMs: factor * suspicionTimeoutMaxMs,
  };
}

/** A network in which nothing happens by itself: 10 ms each way, 1 ms to the disk, Δ of 100 ms. */
function quietOptions(validators: number, candidates: number): Options {
  return {
    seed: 1,
    validators,
    parameters: PARAMETERS,
    network: {
      mode: 'stream',
      delayMinMs: 10,
      delayMeanMs: 10,
      tailChance: 0,
      tailFactor: 1,
      lossChance: 0,
      duplicateChance: 0,
      connectMeanMs: 0,
    },
    disk: { syncMinMs: 1, syncMeanMs: 0, slowChance: 0, slowMeanMs: 0, powerCutChance: 1, tornChance: 0 },
    clock: { driftPpm: 0, offsetMs: 0 },
    faults: {},
    load: { accounts: 1, perSecond: 1, window: 1, retryMs: 1e9, silenceMs: 0, oddChance: 0 },
    host: {
      batchBytesMax: 1_000_000,
      batchTransactionsMax: 100,
      maxDriftMs: 2000,
      requestTimeoutMs: 3000,
      logBytesMax: 1_000_000,
    },
    liars: undefined,
    anarchy: undefined,
    epochs: {
      candidates,
      policy: POLICY,
      timing: times(1),
      // Nothing is proposed but what the script says.
      proposeMs: Number.POSITIVE_INFINITY,
      voteMs: Number.POSITIVE_INFINITY,
      approveChance: 1,
      sizeMin: 1,
      sizeMax: validators + candidates,
      gossip: false,
      lossesMax: 1,
    },
    tickMs: 10,
    safetyMs: 0,
    realCrypto: false,
  };
}

/** `r1` or a list such as `r0,r2`; `all` is everybody. */
function replicas(world: World, word: string | undefined): number[] {
  if (word === 'all') return world.machines.map((machine) => machine.index);
  return (word ?? '').split(',').map((name) => Number(name.slice(1)));
}

/** `+r3 -r1 r4>r2 times*2`: r3 is added, r1 removed, r4 takes the place of r2, all times are those of the genesis twice. */
function changeOf(words: readonly string[]): Bytes {
  const machine = (name: string): number => Number(name.replace(/^[+-]?r/, ''));
  const add = words.filter((word) => word.startsWith('+')).map(machine);
  const remove = words.filter((word) => word.startsWith('-')).map(machine);
  const replace = words
    .filter((word) => word.includes('>'))
    .map((word): [number, number] => {
      const [by, replaced] = word.split('>');
      return [machine(replaced!), machine(by!)];
    });
  const factor = words.find((word) => word.startsWith('times*'))?.slice('times*'.length);
  const policy = factor === undefined ? undefined : { ...POLICY, ...times(Number(factor)) };
  return proposeCall({ ...setChange({ add, remove, replace }), ...(policy && { policy }) });
}

/** What an operator calls the governance contract with, through the own machine; undefined: it is no such action. */
function callOf(action: string | undefined, words: readonly string[]): Bytes | undefined {
  switch (action) {
    case 'propose':
      return changeOf(words);
    case 'vote':
      return encodeCall(FUNCTIONS.vote, { id: Number(words[0]), approve: true });
    case 'reject':
      return encodeCall(FUNCTIONS.vote, { id: Number(words[0]), approve: false });
    case 'withdraw':
      return encodeCall(FUNCTIONS.withdraw, { id: Number(words[0]) });
    default:
      return undefined;
  }
}

/** `lie r0 equivocation view 0 height 2`: told to all others. */
function tell(world: World, index: number, [kind, , view, , height]: readonly string[]): void {
  const machine = world.machines[index]!;
  const { standing } = machine.process!;
  const liar = {
    standing: standing(),
    incarnation: machine.incarnation,
    sign: (digest: Bytes) => world.signAs(index, digest),
  };
  for (const message of lieOf(liar, { kind: kind!, view: Number(view), height: Number(height ?? 0) })) {
    for (const { index: to } of world.machines) {
      if (to !== index) world.network.send(index, to, channelOf(message), encodeMessage(message));
    }
  }
}

type Nonces = { readonly client: () => number; readonly operator: (machine: number) => number };

function act(world: World, words: readonly string[], nonces: Nonces): void {
  const [action, subject, , object] = words;
  const { machines, network } = world;
  const subjects = replicas(world, subject);
  const call = callOf(action, words.slice(2));
  const others = (index: number): number[] =>
    (object === undefined ? replicas(world, 'all') : replicas(world, object)).filter((other) => other !== index);
  for (const index of subjects) {
    const machine = machines[index]!;
    if (call !== undefined) {
      const raw = governanceCall(IDENTITIES[index]!.operatorSecret, nonces.operator(index), call);
      machine.run(() => machine.process?.submit(raw));
      continue;
    }
    switch (action) {
      case 'submit':
        machine.run(() => machine.process?.submit(transaction(0, nonces.client(), 'plain')));
        break;
      case 'lose': // its log and its store are gone; it comes back by itself
        machine.loseDisk(100, false);
        break;
      case 'kill':
        machine.crash(undefined);
        break;
      case 'start':
        machine.start();
        break;
      case 'pause':
        machine.pause();
        break;
      case 'resume':
        machine.resume();
        break;
      case 'cut': // cut r0 from r1,r2: both ways; without an object from everybody
      case 'heal':
        for (const other of others(index)) {
          for (const [from, to] of [
            [index, other],
            [other, index],
          ] as const) {
            if (action === 'cut') network.cut(from, to);
            else network.heal(from, to);
          }
        }
        break;
      case 'lie':
        tell(world, index, words.slice(2));
        break;
      case 'mute': // what it says is not heard, what it hears it hears
        for (const other of others(index)) network.cut(index, other);
        break;
      default:
        throw new Error(`no such action in a scenario: ${action}`);
    }
  }
}

/** Runs the script; gives back the transcript. */
export async function playScenario({ validators, candidates, liars, steps }: Scenario): Promise<string[]> {
  const lines: string[] = [];
  const transcript = new Transcript(1, (line) => lines.push(line.trimEnd()));
  const quiet = quietOptions(validators, candidates);
  const options =
    liars.length === 0 ? quiet : { ...quiet, liars: { members: liars, habits: [], victims: [], scheme: undefined } };
  const shared = await HOST.shared(options);
  const world = new World(options, { shared, open: HOST.open }, transcript);
  let submitted = 0;
  const called = new Map<number, number>();
  const nonces: Nonces = {
    client: () => submitted++,
    operator: (machine) => {
      const nonce = called.get(machine) ?? 0;
      called.set(machine, nonce + 1);
      return nonce;
    },
  };
  for (const machine of world.machines) machine.start();
  for (const { atMs, words } of steps) {
    await world.runUntil(atMs);
    if (words.length === 0) continue;
    world.note(words.join(' '));
    act(world, words, nonces);
  }
  if (world.failure !== undefined) lines.push(`broke ${world.failure.property}: ${world.failure.message}`);
  return lines;
}
