/**
 * Hosts of our own making: a network namespace for each node, joined by a bridge, with packet filter rules and links that
 * can be taken down. Needs root, `ip` and `nft`; where one of them is missing `whyNot` says which. Nothing outside these
 * namespaces and their bridge is touched, and no packet leaves them but to the test, which has an address on the bridge.
 */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { errorMessage } from '../../primitives/errors.ts';
import type { Place } from '../e2e/network.ts';

const RPC_PORT = 8545;
const P2P_PORT = 30_300;
const METRICS_PORT = 9545;
const HOST_MAX = 254;

function command(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
}

/** What is missing here; undefined when namespaces can be made. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  const probe = `quorate-probe-${process.pid}`;
  try {
    command('ip', 'netns', 'add', probe);
  } catch (error) {
    return `ip netns add: ${errorMessage(error)}`;
  }
  try {
    command('ip', 'netns', 'exec', probe, 'nft', 'add', 'table', 'inet', 'quorate');
    command('ip', '-n', probe, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    command('ip', '-n', probe, 'link', 'add', 'b0', 'type', 'bridge');
  } catch (error) {
    return errorMessage(error).trim();
  } finally {
    command('ip', 'netns', 'del', probe);
  }
  return undefined;
}

export class Hosts {
  readonly count: number;
  readonly #id: string;
  readonly #subnet: string;

  private constructor(count: number) {
    this.count = count;
    this.#id = `q${process.pid.toString(36)}`;
    this.#subnet = `10.211.${randomInt(1, 255)}`;
  }

  static create(count: number): Hosts {
    const hosts = new Hosts(count);
    try {
      hosts.#make();
    } catch (error) {
      hosts.destroy();
      throw error;
    }
    return hosts;
  }

  #make(): void {
    const bridge = this.#id;
    command('ip', 'link', 'add', bridge, 'type', 'bridge');
    command('ip', 'address', 'add', `${this.own}/24`, 'dev', bridge);
    command('ip', 'link', 'set', bridge, 'up');
    for (let host = 0; host < this.count; host++) {
      const name = this.namespace(host);
      const outer = `${this.#id}v${host}`;
      command('ip', 'netns', 'add', name);
      command('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      command('ip', 'link', 'set', outer, 'master', bridge, 'up');
      command('ip', '-n', name, 'address', 'add', `${this.address(host)}/24`, 'dev', 'eth0');
      command('ip', '-n', name, 'link', 'set', 'lo', 'up');
      command('ip', '-n', name, 'link', 'set', 'eth0', 'up');
      this.#nft(host, 'add', 'table', 'inet', 'quorate');
      this.#nft(host, 'add', 'chain', 'inet', 'quorate', 'in', '{ type filter hook input priority 0; }');
    }
  }

  /** The test's own address among them. */
  get own(): string {
    return `${this.#subnet}.${HOST_MAX}`;
  }

  namespace(host: number): string {
    return `${this.#id}n${host}`;
  }

  address(host: number): string {
    return `${this.#subnet}.${host + 1}`;
  }

  /** One node on each. */
  places(): Place[] {
    return Array.from({ length: this.count }, (_, host) => ({
      rpc: { host: this.address(host), port: RPC_PORT },
      p2p: { host: this.address(host), port: P2P_PORT },
      metrics: { host: '127.0.0.1', port: METRICS_PORT },
      namespace: this.namespace(host),
    }));
  }

  /** No packet of one host arrives at the other: TCP then works in neither direction, but only one side sees nothing. */
  drop(from: number, at: number): void {
    this.#rule(at, 'ip', 'saddr', this.address(from), 'drop');
  }

  /** Only hosts of one group hear each other from now on. */
  partition(...groups: readonly (readonly number[])[]): void {
    this.clear();
    const groupOf = (host: number): number => groups.findIndex((group) => group.includes(host));
    for (let at = 0; at < this.count; at++) {
      for (let from = 0; from < this.count; from++) if (groupOf(from) !== groupOf(at)) this.drop(from, at);
    }
  }

  /** So many of a hundred packets to every node are lost, except the test's calls. */
  lose(percent: number): void {
    for (let at = 0; at < this.count; at++) {
      this.#rule(
        at,
        'tcp',
        'dport',
        '!=',
        String(RPC_PORT),
        'numgen',
        'random',
        'mod',
        '100',
        '<',
        String(percent),
        'drop',
      );
    }
  }

  /** Takes all rules away. */
  clear(): void {
    for (let host = 0; host < this.count; host++) this.#nft(host, 'flush', 'chain', 'inet', 'quorate', 'in');
  }

  setLink(host: number, state: 'up' | 'down'): void {
    command('ip', '-n', this.namespace(host), 'link', 'set', 'eth0', state);
  }

  /** Delay on everything that leaves a host, where the kernel can do it. */
  tryNetem(delayMs: number, jitterMs: number): boolean {
    try {
      for (let host = 0; host < this.count; host++) {
        const delay = ['delay', `${delayMs}ms`, `${jitterMs}ms`];
        command('tc', '-n', this.namespace(host), 'qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', ...delay);
      }
      return true;
    } catch {
      return false;
    }
  }

  destroy(): void {
    const names = Array.from({ length: this.count }, (_, host) => this.namespace(host));
    for (const args of [...names.map((name) => ['netns', 'del', name]), ['link', 'del', this.#id]]) {
      try {
        command('ip', ...args);
      } catch {
        // It was never made.
      }
    }
  }

  #rule(host: number, ...words: readonly string[]): void {
    this.#nft(host, 'add', 'rule', 'inet', 'quorate', 'in', ...words);
  }

  #nft(host: number, ...words: readonly string[]): void {
    command('ip', 'netns', 'exec', this.namespace(host), 'nft', ...words);
  }
}
