/**
 * A devnet under test: the folder, ports and accounts of `quorate devnet`, its nodes as processes of their own, so that
 * each can be killed, stopped and started again, as an operator would by `quorate node --data-dir`.
 */
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeBasePort } from './ports.ts';
import { exists, Program, type RunOptions } from './processes.ts';
import { Rpc } from './rpc.ts';
import { until } from './until.ts';

export type ValidatorLine = {
  readonly index: number;
  readonly address: string;
  readonly peerId: string;
  readonly pid: number;
  readonly rpc: string;
  readonly ws: string;
  readonly p2p: string;
  readonly metrics: string;
  readonly dataDir: string;
  readonly operator: string;
};

export type AccountLine = { readonly address: string; readonly privateKey: string; readonly balance: string };

export type DevnetLine = {
  readonly chainId: number;
  readonly dir: string;
  readonly validators: readonly ValidatorLine[];
  readonly accounts: readonly AccountLine[];
};

export type Status = {
  readonly role: 'primary' | 'follower' | 'passive' | 'observer';
  readonly epoch: number;
  readonly view: number;
  readonly primary: string;
  readonly group: readonly string[];
  readonly final: number;
  readonly t: number;
  readonly margin: number;
  readonly phase: string;
  readonly installed: boolean;
  readonly validators: readonly {
    readonly address: string;
    readonly reachable: boolean;
    readonly role: string;
    readonly provenFaulty: boolean;
  }[];
};

/** How long a node may take until it serves: the machine may be busy. */
const SERVE_TIMEOUT_MS = 90_000;

/** A fresh folder under the system's temporary one. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'quorate-e2e-'));
}

/** A node started by `quorate node`. Its log is what it writes. */
export class Node {
  readonly program: Program;
  readonly rpc: Rpc;

  constructor(dataDir: string, rpcUrl: string, args: readonly string[] = [], options: RunOptions = {}) {
    this.program = new Program(['node', '--data-dir', dataDir, ...args], options);
    this.rpc = new Rpc(rpcUrl);
  }

  get log(): string {
    return this.program.stdout + this.program.stderr;
  }

  /** Resolves once it answers; throws with its log when it ends instead. */
  async serving(): Promise<void> {
    await until(
      `${this.rpc.url} serves`,
      async () => {
        if (this.program.ended !== undefined) return true;
        await this.rpc.blockNumber(2000);
        return true;
      },
      { timeoutMs: SERVE_TIMEOUT_MS },
    );
    if (this.program.ended !== undefined) throw new Error(`the node ended (${this.program.ended}): ${this.log}`);
  }
}

export type DevnetOptions = { readonly validators?: number; readonly dir?: string };

export class Devnet {
  readonly line: DevnetLine;
  readonly basePort: number;
  readonly launcher: Program;
  /** Nodes started again after a kill, by index; the others are the launcher's. */
  readonly #restarted = new Map<number, Node>();
  readonly #rpcs: readonly Rpc[];
  readonly #keep: boolean;

  private constructor(launcher: Program, line: DevnetLine, basePort: number, keep: boolean) {
    this.launcher = launcher;
    this.line = line;
    this.basePort = basePort;
    this.#rpcs = line.validators.map(({ rpc }) => new Rpc(rpc));
    this.#keep = keep;
  }

  /** Resolves when all its validators serve. */
  static async start({ validators = 3, dir }: DevnetOptions = {}): Promise<Devnet> {
    const basePort = await freeBasePort(validators);
    const folder = dir ?? (await temporaryFolder());
    const args = ['devnet', '--json', '--validators', String(validators), '--dir', folder];
    return Devnet.launch([...args, '--base-port', String(basePort)], basePort, dir !== undefined);
  }

  static async resume(dir: string, basePort: number): Promise<Devnet> {
    return Devnet.launch(['devnet', '--json', '--dir', dir], basePort, true);
  }

  private static async launch(args: readonly string[], basePort: number, keep: boolean): Promise<Devnet> {
    const launcher = new Program(args);
    const ready = (): boolean => launcher.stdout.includes('\n') || launcher.ended !== undefined;
    await until('the devnet prints its line', ready, { timeoutMs: 2 * SERVE_TIMEOUT_MS });
    if (launcher.ended !== undefined) throw new Error(`the devnet ended (${launcher.ended}): ${launcher.stderr}`);
    const line = JSON.parse(launcher.stdout.split('\n', 1)[0]!) as DevnetLine;
    return new Devnet(launcher, line, basePort, keep);
  }

  get dir(): string {
    return this.line.dir;
  }

  get size(): number {
    return this.line.validators.length;
  }

  get indices(): readonly number[] {
    return this.line.validators.map(({ index }) => index);
  }

  get rpcs(): readonly Rpc[] {
    return this.#rpcs;
  }

  rpc(index: number): Rpc {
    return this.#rpcs[index]!;
  }

  dataDir(index: number): string {
    return this.line.validators[index]!.dataDir;
  }

  pid(index: number): number {
    return this.#restarted.get(index)?.program.pid ?? this.line.validators[index]!.pid;
  }

  /** What a validator wrote, under whichever process. */
  log(index: number): string {
    const launched = readFileSync(join(this.dataDir(index), 'node.log'), 'utf8');
    return launched + (this.#restarted.get(index)?.log ?? '');
  }

  signal(index: number, signal: NodeJS.Signals): void {
    process.kill(this.pid(index), signal);
  }

  /** SIGKILL; the process is gone when this resolves. */
  async kill(...indices: readonly number[]): Promise<void> {
    const pids = indices.map((index) => this.pid(index));
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await this.#gone(pids, indices);
  }

  /** Its process has ended, by itself or not. */
  isGone(index: number): boolean {
    return !exists(this.pid(index));
  }

  /** SIGTERM to one validator. */
  async stopNode(index: number): Promise<void> {
    const pid = this.pid(index);
    process.kill(pid, 'SIGTERM');
    await this.#gone([pid], [index]);
  }

  async #gone(pids: readonly number[], indices: readonly number[]): Promise<void> {
    await until('stopped processes are gone', () => pids.every((pid) => !exists(pid)), {
      timeoutMs: 30_000,
      everyMs: 5,
    });
    for (const index of indices) await this.#restarted.get(index)?.program.exit;
  }

  /** `quorate node --data-dir`, from outside the devnet. Does not wait for it. */
  launchNode(index: number, args: readonly string[] = [], options: RunOptions = {}): Node {
    const { dataDir, rpc } = this.line.validators[index]!;
    const node = new Node(dataDir, rpc, args, options);
    this.#restarted.set(index, node);
    return node;
  }

  /** Starts a killed validator again and waits until it serves. */
  async restart(index: number): Promise<Node> {
    const node = this.launchNode(index);
    await node.serving();
    return node;
  }

  status(index: number): Promise<Status> {
    return this.rpc(index).call<Status>('xft_status');
  }

  /** The validator that holds a role now, as a named node sees it. */
  async withRole(role: 'primary' | 'follower' | 'passive', seenBy = 0): Promise<number> {
    const { validators } = await this.status(seenBy);
    const index = validators.findIndex((validator) => validator.role === role);
    if (index < 0) throw new Error(`nobody is ${role}`);
    return index;
  }

  async stop(): Promise<void> {
    const nodes = [...this.#restarted.values()].map(({ program }) => program);
    const [how] = await Promise.all([this.launcher, ...nodes].map((program) => program.stop()));
    if (how === 'SIGKILL') this.#killOrphans();
    if (!this.#keep) rmSync(this.dir, { recursive: true, force: true });
    if (how !== 0) throw new Error(`the devnet ended with ${how}: ${this.launcher.stderr}`);
  }

  /** The nodes of a launcher that had to be killed. */
  #killOrphans(): void {
    for (const { pid } of this.line.validators) if (exists(pid)) process.kill(pid, 'SIGKILL');
  }
}
