/**
 * What halts other permissioned chains when their validators change, each re-enacted under constant load: the chain goes
 * on, and what was acknowledged becomes final.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { SigningKey, Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeChange, type Plan, restartAndFollow, untilAtWork } from './changes.ts';
import { Devnet } from './devnet.ts';
import { Governance, type Policy, STATUS } from './governance.ts';
import { Candidates, founders, type Member } from './members.ts';
import { report, seconds } from './report.ts';
import { oneStory } from './story.ts';
import { beginLoad, endLoad, type UnderLoad, untilMoreBlocks } from './under-load.ts';
import { until } from './until.ts';

/** Up to eight nodes share the machine with whatever else runs on it. */
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 });

/** Some twenty-five transfers per second. */
const LOAD = { count: 4, everyMs: 150 };
/** Blocks that show that the chain goes on: half a second of them on a quiet machine. */
const GOES_ON = 15;

class Network {
  readonly devnet: Devnet;
  readonly candidates: Candidates;
  readonly run: UnderLoad;
  /** The contract through the first founder, who stays in every one of these stories. */
  readonly governance: Governance;
  members: readonly Member[];
  /** Whoever was a member. */
  readonly #everybody = new Set<Member>();

  private constructor(fields: Pick<Network, 'devnet' | 'candidates' | 'run' | 'governance' | 'members'>) {
    this.devnet = fields.devnet;
    this.candidates = fields.candidates;
    this.run = fields.run;
    this.governance = fields.governance;
    this.members = fields.members;
    this.#join(fields.members);
  }

  #join(members: readonly Member[]): void {
    this.members = members;
    for (const member of members) this.#everybody.add(member);
  }

  static async start(validators: number, candidatesMax: number): Promise<Network> {
    const devnet = await Devnet.start({ validators });
    const members = founders(devnet);
    const candidates = await Candidates.create(devnet, candidatesMax);
    const run = await beginLoad(devnet, LOAD);
    const governance = new Governance(devnet.rpc(0).url);
    return new Network({ devnet, candidates, run, governance, members });
  }

  /** Nodes that run and follow, not yet validators. */
  async follow(...names: readonly string[]): Promise<Member[]> {
    const made = await Promise.all(names.map((name) => this.candidates.make(name)));
    await Promise.all(made.map((member) => member.start()));
    return made;
  }

  /** The operators of the first members approve, as many as it takes. */
  async change(step: Pick<Plan, 'what' | 'change' | 'after' | 'warm'>): Promise<void> {
    const { members, governance, run } = this;
    const before = await governance.epoch();
    const approving = members.slice(0, Math.floor(members.length / 2) + 1);
    const { epoch } = await makeChange({ ...step, governance, watch: run.watch, approving });
    expect(epoch).toBe(before + 1);
    this.#join(step.after);
    expect(await governance.validators()).toEqual(step.after.map(({ seat }) => seat.validator));
  }

  add(what: string, members: readonly Member[]): Promise<void> {
    const change = { additions: members.map(({ seat }) => seat) };
    // A single validator's proposal passes at once, before anybody can say that it is ready.
    const warm = this.members.length > 1 ? members.filter(({ isUp }) => isUp) : [];
    return this.change({ what, change, after: [...this.members, ...members], warm });
  }

  remove(what: string, members: readonly Member[]): Promise<void> {
    const change = { removals: members.map(({ seat }) => seat.validator) };
    return this.change({ what, change, after: this.members.filter((member) => !members.includes(member)) });
  }

  goesOn(): Promise<void> {
    return untilMoreBlocks(this.run.watch, GOES_ON, 180_000);
  }

  /** Who signed the proof of the newest final block. */
  async signers(): Promise<string[]> {
    const [{ rpc }] = this.members as [Member];
    const height = '0x' + (await rpc.blockNumber()).toString(16);
    type Proof = { readonly signatures: readonly { readonly validator: string }[] };
    const { signatures } = await rpc.call<Proof>('xft_getFinalityProof', [height]);
    return signatures.map(({ validator }) => validator);
  }

  /** With another of the three dead, nothing becomes final without this one's signature. */
  async expectNeeded(member: Member, dead: Member): Promise<void> {
    const killedAt = performance.now();
    await dead.kill();
    await this.goesOn();
    expect(await this.signers()).toContain(member.seat.validator);
    report(
      `${dead.name} killed: ${member.name} signs, longest time without a final block ` +
        seconds(this.run.watch.longestGapMs(killedAt)),
    );
  }

  /** Every node that is up, the removed ones with them, has all that was acknowledged. */
  async settle(): Promise<void> {
    const up = [...this.#everybody].filter(({ isUp }) => isUp);
    const chain = await endLoad({ rpcs: up.map(({ rpc }) => rpc) }, this.run);
    report(`${this.run.load.sent} transfers in ${chain.length} blocks, ${await this.governance.epoch()} hand-overs`);
    expect(this.run.load.sent).toBeGreaterThan(100);
  }

  async stop(): Promise<void> {
    await this.run.load.stop();
    await this.run.watch.stop();
    this.governance.close();
    await this.candidates.stop();
    await this.devnet.stop();
  }
}

describe('a chain that grows', () => {
  oneStory();
  let network: Network;

  beforeAll(async () => {
    network = await Network.start(1, 7);
  });

  afterAll(async () => {
    await network?.stop();
  });

  test('one validator to two: the chain does not halt (besu#8425)', async () => {
    await network.add('1 to 2', await network.follow('second'));
    await network.goesOn();
  });

  test('two more at once, which have never run before they are voted in (besu#8307)', async () => {
    const fresh = [await network.candidates.make('third'), await network.candidates.make('fourth')];
    await network.add('2 to 4, the new ones not started', fresh);
    await network.goesOn();
    await Promise.all(fresh.map((member) => member.start()));
    await untilAtWork(network.members, await network.governance.epoch());
    await network.goesOn();
  });

  test('four added at once to four (besu#740)', async () => {
    await network.add('4 to 8', await network.follow('fifth', 'sixth', 'seventh', 'eighth'));
    await network.goesOn();
  });

  test('who was added last is removed again, and then the other three at once (quorum#1728, quorum#468)', async () => {
    await network.remove('8 to 7', network.members.slice(7));
    await network.goesOn();
    await network.remove('7 to 4', network.members.slice(4));
    await network.goesOn();
  });

  test('and nothing acknowledged was lost', async () => {
    await network.settle();
  });
});

describe('three validators that lose what can be lost', () => {
  oneStory();
  let network: Network;
  let a: Member;
  let b: Member;
  let c: Member;

  beforeAll(async () => {
    network = await Network.start(3, 1);
    [a, b, c] = network.members as [Member, Member, Member];
  });

  afterAll(async () => {
    await network?.stop();
  });

  test('a proposal that would lose the quorum waits, whoever approves, and the chain goes on (cometbft#3404)', async () => {
    const { governance } = network;
    const { id } = await proposeGhosts(network);
    await network.goesOn();
    expect(await governance.proposal(id)).toMatchObject({ status: STATUS.open, approvals: { length: 3 } });
    expect(await governance.validators()).toHaveLength(3);
    await governance.withdraw(a.operator, id);
    expect((await governance.proposal(id)).status).toBe(STATUS.withdrawn);
    await network.goesOn();
  });

  test('a dead member is removed, with service all the time (quorum#1728)', async () => {
    const killedAt = performance.now();
    // Active in the first view, so that service needs a view change once, and none when it is removed.
    await b.kill();
    await network.goesOn();
    await network.remove('3 to 2, the removed one dead', [b]);
    await network.goesOn();
    report(`from the kill on: longest time without a final block ${seconds(network.run.watch.longestGapMs(killedAt))}`);
  });

  test('it is added, removed and added again, all while it is down, and takes part once it is started (fabric#3992)', async () => {
    await network.add('2 to 3, the added one dead', [b]);
    await network.remove('3 to 2, the same removed again', [b]);
    await network.add('2 to 3, the same added again', [b]);
    await network.goesOn();
    const epoch = await network.governance.epoch();
    await restartAndFollow(b, a);
    await untilAtWork([b], epoch);
    // Its log is whole and says all that it ever signed: it need not be taken in anew.
    expect(await network.governance.epoch()).toBe(epoch);
    await network.expectNeeded(b, c);
    await restartAndFollow(c, a);
    await untilAtWork([c], epoch);
  });

  test('a validator changes its keys: a new folder of the same operator takes the place of the old one', async () => {
    const fresh = await network.candidates.make('rotated', c.operator);
    await fresh.start();
    const change = { replacements: [{ validator: c.seat.validator, by: fresh.seat }] };
    await network.change({ what: 'keys of one of 3 replaced', change, after: [a, fresh, b], warm: [fresh] });
    await until('the old keys observe', async () => (await c.status()).role === 'observer');
    await c.stop();
    await network.expectNeeded(fresh, b);
    await restartAndFollow(b, a);
    await untilAtWork([b], await network.governance.epoch());
  });

  test('a validator that lost its disk follows, and signs again in an epoch of the same set that it asks for itself', async () => {
    const { governance } = network;
    const policy = { ...POLICY, expirySeconds: EXPIRY_SECONDS };
    await network.change({ what: 'a new policy', change: { policy }, after: network.members });
    const { id } = await proposeGhosts(network);
    const before = await governance.epoch();
    const fresh = network.members[1]!;
    await b.kill();
    for (const part of ['guard', 'store']) rmSync(join(b.dataDir, part), { recursive: true });
    network.run.watch.forget(b.rpc);
    const startedAt = performance.now();
    await b.start();
    await untilAtWork(network.members, before + 1);
    report(`a validator without guard and store signs again ${seconds(performance.now() - startedAt)} after its start`);
    expect(b.log).toMatch(/ERROR .*log of this validator key is gone/);
    expect(await governance.epoch()).toBe(before + 1);
    expect(await governance.validators()).toEqual(network.members.map(({ seat }) => seat.validator));
    await network.expectNeeded(b, fresh);
    await restartAndFollow(fresh, a);
    await untilAtWork([fresh], before + 1);
    // An epoch of the same set leaves open proposals as they are: what ends this one is its time.
    await until('the proposal expires', async () => (await governance.proposal(id)).status !== STATUS.open);
    expect(await governance.proposal(id)).toMatchObject({ status: STATUS.expired, approvals: { length: 3 } });
    await network.goesOn();
  });

  test('and nothing acknowledged was lost', async () => {
    await network.settle();
  });
});

const EXPIRY_SECONDS = 30;

/** As the genesis has it when it says nothing. */
const POLICY: Policy = {
  quorumBasisPoints: 5000,
  expirySeconds: 604_800,
  evidenceRemoves: false,
  leastValidators: 1,
  readyLag: 1024,
  rejoinIntervalSeconds: 60,
  deltaMs: 0,
  suspicionTimeoutMs: 0,
  suspicionTimeoutMaxMs: 0,
};

/** All three approve of four more that nobody ever starts: four of seven would have to sign, and only three could. */
async function proposeGhosts({ members, governance }: Network): Promise<{ readonly id: number }> {
  const [first, ...others] = members;
  const additions = Array.from({ length: 4 }, () => {
    const { address: validator } = Wallet.createRandom();
    const { address: operator } = Wallet.createRandom();
    const nodeKey = new SigningKey(Wallet.createRandom().privateKey).compressedPublicKey;
    return { validator, nodeKey, operator, multiaddr: '' };
  });
  const { id } = await governance.propose(first!.operator, { additions });
  for (const { operator } of others) expect((await governance.vote(operator, id)).epoch).toBeUndefined();
  return { id };
}
