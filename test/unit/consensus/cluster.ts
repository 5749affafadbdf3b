/**
 * Replicas over a hand-driven network: every message goes through the codec and waits in a queue until the test lets it
 * run, time moves only when told, logs are arrays of records and stores lists of final blocks. Blocks are RLP
 * [parent, height, salt]. For tests of single rules; random worlds are the simulator's work.
 *
 * Two things are watched in every test: what leaves a node is in its log first and is the only thing it ever signs at its
 * place (sent.ts), and no two nodes deliver different blocks at one height.
 */
import type { EpochConfig, Parameters } from '../../../consensus/config.ts';
import { type Durable, emptyDurable, foldRecord, foldStored } from '../../../consensus/durable.ts';
import type { Effect, Trace } from '../../../consensus/effect.ts';
import type { Event } from '../../../consensus/event.ts';
import type { Certificate, Message, Seal } from '../../../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../../../consensus/message-codec.ts';
import { decodeRecord, encodeRecord } from '../../../consensus/record-codec.ts';
import { Replica, type ReplicaStatus } from '../../../consensus/replica.ts';
import { type Statement, statementDigest } from '../../../consensus/statement.ts';
import { toHex, utf8 } from '../../../primitives/bytes.ts';
import type { Bytes, Hash } from '../../../primitives/ids.ts';
import { keccak256, keccakHash } from '../../../primitives/keccak.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import { type CheapKeys, cheapKeys } from './cheap-keys.ts';
import { bytesOf, SentWatch } from './sent-watch.ts';
import { BLOCK_PORTS, makeBlock, readBlock } from './test-block.ts';

export const ROOT: Hash = keccakHash(utf8('genesis'));

export type Sent = { readonly from: number; readonly to: number; readonly at: number; readonly message: Message };
type Final = {
  readonly height: number;
  readonly hash: Hash;
  readonly block: Bytes;
  readonly proof: Certificate | undefined;
};
type Parcel = { readonly from: number; readonly to: number; readonly bytes: Bytes; readonly at: number };

/** How a node comes back: what its log and its store lost, and whether the log looks as if it had been torn. */
export type Restart = { readonly clean?: boolean; readonly records?: number; readonly finals?: number };

export class Node {
  replica!: Replica;
  durable: Durable;
  /** The log, and the store: final blocks in order. */
  records: Bytes[] = [];
  finals: Final[] = [];
  /** Blocks this life executed, as a ledger holds them; gone with a crash. */
  executed = new Map<Hash, Bytes>();
  readonly traces: Trace[] = [];
  /** What it holds as proven. */
  readonly evidence: (Effect & { kind: 'evidence' })[] = [];
  up = true;
  /** How its epoch ended, once it has. */
  ended: (Effect & { kind: 'ended' }) | undefined;
  /** Blocks the pool has transactions for. */
  wants = 0;
  /** Crashes when its log has this many records; what followed in the same step is lost. */
  crashAt = Number.POSITIVE_INFINITY;
  /** While true nothing written becomes durable: what waits for the disk is held back. */
  slowDisk = false;
  held: (() => void)[] = [];
  lives = 0;
  readonly index: number;

  constructor(index: number) {
    this.index = index;
    this.durable = emptyDurable(0, index);
  }

  get status(): ReplicaStatus {
    return this.replica.status;
  }

  get height(): number {
    return this.finals.at(-1)?.height ?? 0;
  }

  traced<N extends Trace['name']>(name: N): (Trace & { name: N })[] {
    return this.traces.filter((trace): trace is Trace & { name: N } => trace.name === name);
  }
}

export class Cluster {
  readonly config: EpochConfig;
  readonly nodes: Node[] = [];
  readonly keys: CheapKeys;
  /** Everything that was handed to the network, lost or not. */
  readonly sent: Sent[] = [];
  readonly watch = new SentWatch();
  queue: Parcel[] = [];
  now = 0;
  /** Nodes whose signatures and deliveries are not watched, since the test makes them lie. */
  readonly liars = new Set<number>();
  /** Returns false to lose a message. */
  filter: (from: number, to: number, message: Message) => boolean = () => true;
  /** How long a message is on its way. */
  delay: (from: number, to: number, message: Message) => number = () => 5;
  /** Returns false to refuse a block on execution. */
  judge: (node: Node, block: Bytes) => boolean = () => true;
  /** Whether a block, by its height, ends the epoch, as this node sees it. */
  closes: (height: number, node: number) => boolean = () => false;
  readonly #finals = new Map<number, Hash>();

  constructor(n: number, parameters: Partial<Parameters> = {}) {
    this.keys = cheapKeys(n);
    const { addresses: validators } = this.keys;
    this.config = {
      chainId: 1337,
      genesisHash: ROOT,
      epoch: 0,
      validators,
      membershipHash: membershipHash(validators.map((v) => ({ validator: v, nodeKey: '0x02', operator: v }))),
      root: { height: 0, hash: ROOT },
      parameters: {
        deltaMs: 100,
        suspicionTimeoutMs: 400,
        suspicionTimeoutMaxMs: 1600,
        pipelineWindow: 4,
        emptyBlockPeriodMs: 0,
        ...parameters,
      },
    };
    for (let index = 0; index < n; index++) {
      const node = new Node(index);
      this.nodes.push(node);
      this.#begin(node, false);
    }
  }

  /** A cluster whose validators have asked their question and may sign. */
  static started(n: number, parameters: Partial<Parameters> = {}): Cluster {
    const cluster = new Cluster(n, parameters);
    cluster.run(300);
    return cluster;
  }

  /** Lives 0 and 1 of a disk have different incarnations only when `lives` says that the disk is a new one. */
  incarnation(node: Node): string {
    return toHex(keccak256(utf8(`life ${node.index}/${node.lives}`)).subarray(0, 16));
  }

  #begin(node: Node, logClean: boolean): void {
    const { config, keys } = this;
    node.replica = new Replica({
      config,
      ports: { sign: (digest) => keys.sign(node.index, digest), recover: keys.recover, ...BLOCK_PORTS },
      self: node.index,
      incarnation: this.incarnation(node),
      durable: node.durable,
      delivered: node.finals.at(-1) ?? config.root,
      logClean,
      nonce: 1 + this.sent.length,
    });
    this.#run(node, node.replica.start());
    this.step(node.index, { kind: 'tick', now: this.now });
  }

  crash(index: number): void {
    const node = this.nodes[index]!;
    node.up = false;
    node.held = [];
    this.queue = this.queue.filter((parcel) => parcel.to !== index);
  }

  /** Crash, if it is up, and come back with what the disk kept. */
  restart(index: number, { clean = true, records, finals }: Restart = {}): void {
    const node = this.nodes[index]!;
    this.crash(index);
    node.records = node.records.slice(0, records ?? node.records.length);
    node.finals = node.finals.slice(0, finals ?? node.finals.length);
    node.durable = emptyDurable(0, index);
    for (const record of node.records) foldRecord(node.durable, decodeRecord(record));
    node.executed = new Map();
    replayFinal(node);
    foldStored(node.durable, node.finals.at(-1) ?? { height: 0, proof: undefined });
    node.crashAt = Number.POSITIVE_INFINITY;
    node.slowDisk = false;
    node.up = true;
    this.#begin(node, clean);
  }

  /** Comes back with an empty disk, under a new incarnation; the store is fetched anew. */
  restartWithoutDisk(index: number): void {
    this.nodes[index]!.lives++;
    this.restart(index, { clean: false, records: 0, finals: 0 });
  }

  step(index: number, event: Event): void {
    const node = this.nodes[index]!;
    if (node.up) this.#run(node, node.replica.step(event));
  }

  #run(node: Node, effects: readonly Effect[]): void {
    const follow: Event[] = [];
    for (const effect of effects) {
      if (!node.up) return;
      this.#perform(node, effect, follow);
    }
    for (const event of follow) this.step(node.index, event);
  }

  #perform(node: Node, effect: Effect, follow: Event[]): void {
    switch (effect.kind) {
      case 'persist': {
        for (const record of effect.records) {
          if (node.records.length >= node.crashAt) break;
          node.records.push(encodeRecord(record));
          foldRecord(node.durable, record);
          if (!this.liars.has(node.index)) this.watch.persisted(node.index, record);
        }
        if (node.records.length >= node.crashAt) {
          this.crash(node.index);
          return;
        }
        const { token } = effect;
        const held = node.slowDisk || node.held.length > 0;
        if (token && held) node.held.push(() => this.step(node.index, { kind: 'persisted', token }));
        else if (token) follow.push({ kind: 'persisted', token });
        return;
      }
      case 'send':
        this.#whenDurable(node, () => {
          for (const to of effect.to) this.send(node.index, to, effect.message);
        });
        return;
      case 'execute':
        follow.push({ kind: 'executed', hash: effect.hash, ...this.#execute(node, effect) });
        return;
      case 'cut':
        follow.push({ kind: 'cut', parent: effect.parent, block: this.#cut(node, effect.parent, effect.height) });
        return;
      case 'deliver':
        this.#deliver(node, effect);
        return;
      case 'trace':
        node.traces.push(effect.trace);
        return;
      case 'ended':
        node.ended = effect;
        return;
      case 'evidence':
        node.evidence.push(effect);
        if (!this.liars.has(effect.evidence.culprit))
          throw new TypeError(`node ${node.index} convicts node ${effect.evidence.culprit}, no liar: ${effect.what}`);
        return;
      case 'tip':
        this.#knows(node, effect.hash, 'tip');
        return;
    }
  }

  #whenDurable(node: Node, release: () => void): void {
    if (node.slowDisk || node.held.length > 0) node.held.push(release);
    else release();
  }

  /** The disk of a node catches up. */
  flush(index: number): void {
    const node = this.nodes[index]!;
    node.slowDisk = false;
    for (const release of node.held.splice(0)) release();
  }

  #knows(node: Node, hash: Hash, what: string): void {
    const known = hash === (node.finals.at(-1)?.hash ?? ROOT) || node.executed.has(hash);
    if (!known) throw new TypeError(`${what} of node ${node.index} on a block that its ledger does not hold: ${hash}`);
  }

  #execute(node: Node, effect: Effect & { kind: 'execute' }): { ok: boolean; closes?: boolean; reason?: string } {
    const { hash, parent, block } = effect;
    if (parent !== (node.finals.at(-1)?.hash ?? ROOT) && !node.executed.has(parent)) {
      return { ok: false, reason: 'unknown parent' };
    }
    if (!this.judge(node, block)) return { ok: false, reason: 'judged invalid' };
    node.executed.set(hash, block);
    return { ok: true, closes: this.closes(effect.height, node.index) };
  }

  #cut(node: Node, parent: Hash, height: number): (Event & { kind: 'cut' })['block'] {
    this.#knows(node, parent, 'cut');
    if (node.wants <= 0) return undefined;
    node.wants--;
    const bytes = makeBlock(parent, height, `${node.index}/${this.now}/${node.wants}`);
    node.executed.set(keccakHash(bytes), bytes);
    return { hash: keccakHash(bytes), height, bytes, closes: this.closes(height, node.index) };
  }

  #deliver(node: Node, { height, hash, proof }: Effect & { kind: 'deliver' }): void {
    this.#knows(node, hash, 'delivery');
    if (height !== node.height + 1) throw new TypeError(`node ${node.index} delivers ${height} after ${node.height}`);
    node.finals.push({ height, hash, block: node.executed.get(hash)!, proof });
    if (this.liars.has(node.index)) return;
    const known = this.#finals.get(height) ?? hash;
    if (known !== hash) throw new TypeError(`two final blocks at height ${height}: node ${node.index} has the second`);
    this.#finals.set(height, hash);
  }

  /** Sends as `from`, whoever made the message. */
  send(from: number, to: number, message: Message): void {
    if (!this.liars.has(from)) this.watch.leaves(from, message);
    this.sent.push({ from, to, at: this.now, message });
    if (this.filter(from, to, message)) {
      this.queue.push({ from, to, bytes: bytesOf(message), at: this.now + this.delay(from, to, message) });
    }
  }

  /** Signs anything with a validator's key, for a test that lies. */
  seal<S extends Statement>(signer: number, statement: Omit<S, keyof Seal>): S & Seal {
    const incarnation = this.incarnation(this.nodes[signer]!);
    const unsigned = { ...statement, signer, incarnation } as unknown as S;
    const signature = this.keys.sign(signer, statementDigest(this.config, unsigned));
    return { ...unsigned, signature } as S & Seal;
  }

  /** Gives `to` a message at once, as if it came from `from`. */
  give(from: number, to: number, message: Message): void {
    this.#arrive({ from, to, bytes: encodeMessage(message), at: this.now });
  }

  /** Gives the node transactions for `count` blocks, for whenever it is primary. */
  want(index: number, count: number): void {
    this.nodes[index]!.wants += count;
    this.step(index, { kind: 'pool', waiting: true, full: true });
  }

  wantAll(count: number): void {
    for (const { index } of this.nodes) this.want(index, count);
  }

  #arrive(parcel: Parcel): void {
    const decoded = decodeMessage(parcel.bytes, { validators: this.nodes.length });
    if (!decoded.ok) throw new TypeError(decoded.reason);
    const node = this.nodes[parcel.to]!;
    const { message } = decoded;
    if (!node.up) return;
    if (message.kind !== 'FETCH-FINAL' && message.kind !== 'FETCH-BODIES') {
      this.step(parcel.to, { kind: 'message', from: parcel.from, message });
      return;
    }
    const blocks = message.kind === 'FETCH-FINAL' ? finalFrom(node, message.from) : bodiesOf(node, message);
    this.send(node.index, parcel.from, { kind: 'BLOCKS', nonce: message.nonce, blocks });
  }

  /** Lets time pass: messages arrive when their delay is over, with a tick every 10 ms. */
  run(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now += 5;
      const due = this.queue.filter((parcel) => parcel.at <= this.now);
      this.queue = this.queue.filter((parcel) => parcel.at > this.now);
      for (const parcel of due) this.#arrive(parcel);
      if (this.now % 10 === 0) for (const node of this.nodes) this.step(node.index, { kind: 'tick', now: this.now });
    }
  }

  /** Lets time pass until `done`; fails when it takes longer than `ms`. */
  runUntil(what: string, done: () => boolean, ms = 20_000): void {
    for (const end = this.now + ms; !done(); this.run(10)) {
      if (this.now >= end)
        throw new TypeError(`not within ${ms} ms: ${what}; heights ${this.heights()}, ${this.views()}`);
    }
  }

  heights(): number[] {
    return this.nodes.map((node) => node.height);
  }

  views(): number[] {
    return this.nodes.map((node) => node.status.view);
  }

  /** Messages of one kind handed to the network so far. */
  sentOf<K extends Message['kind']>(kind: K): (Omit<Sent, 'message'> & { message: Message & { kind: K } })[] {
    return this.sent.filter(({ message }) => message.kind === kind) as never;
  }
}

/** As the node does at a start: what the log has as final and the store lost is written again. */
function replayFinal(node: Node): void {
  const { final } = node.durable;
  const bodies = new Map<Hash, Bytes>();
  const proofs = new Map<Hash, Certificate>();
  for (const bytes of node.records) {
    const record = decodeRecord(bytes);
    if (record.kind === 'block') bodies.set(record.hash, record.bytes);
    if (record.kind === 'certificate' && record.certificate.kind === 'FP') {
      proofs.set(record.certificate.hash, record.certificate);
    }
  }
  const path: Final[] = [];
  for (let at: { hash: Hash; height: number } | undefined = final; at !== undefined && at.height > node.height; ) {
    const block = bodies.get(at.hash);
    if (block === undefined) return;
    path.unshift({ height: at.height, hash: at.hash, block, proof: proofs.get(at.hash) });
    at = { hash: readBlock(block)!.parent, height: at.height - 1 };
  }
  node.finals.push(...path);
}

function finalFrom(node: Node, from: number): { block: Bytes; proof: Certificate | undefined }[] {
  const blocks = node.finals.filter(({ height }) => height >= from).map(({ block, proof }) => ({ block, proof }));
  while (blocks.length > 0 && blocks.at(-1)!.proof === undefined) blocks.pop();
  return blocks;
}

function bodiesOf(
  node: Node,
  wanted: { hash: Hash; height: number; floor: number },
): { block: Bytes; proof: undefined }[] {
  const blocks: { block: Bytes; proof: undefined }[] = [];
  let { hash } = wanted;
  for (let { height } = wanted; height >= wanted.floor; height--) {
    const block = node.executed.get(hash) ?? node.finals[height - 1]?.block;
    if (block === undefined || readBlock(block)!.height !== height) break;
    blocks.unshift({ block, proof: undefined });
    hash = readBlock(block)!.parent;
  }
  return blocks;
}
