/** The governance contract as any Ethereum tool calls it: ethers, with the published ABI, at the published address. */
import { readFileSync } from 'node:fs';
import { Contract, type ContractTransactionResponse, type InterfaceAbi, JsonRpcProvider, Wallet } from 'ethers';
import type { Sender } from './accounts.ts';
import type { Candidate } from './members.ts';

const ADDRESS = '0x0000000000000000000000000000000000000100';
const ABI = JSON.parse(
  readFileSync(new URL('../../docs/governance.abi.json', import.meta.url), 'utf8'),
) as InterfaceAbi;

const POLL_MS = 50;
const RECEIPT_TIMEOUT_MS = 180_000;

export type Replacement = { readonly validator: string; readonly by: Candidate };

export type Policy = {
  readonly quorumBasisPoints: number;
  readonly expirySeconds: number;
  readonly evidenceRemoves: boolean;
  readonly leastValidators: number;
  readonly readyLag: number;
  readonly rejoinIntervalSeconds: number;
  readonly deltaMs: number;
  readonly suspicionTimeoutMs: number;
  readonly suspicionTimeoutMaxMs: number;
};

/** How the ABI writes a policy that stays as it is. */
const UNCHANGED: Policy = {
  quorumBasisPoints: 0,
  expirySeconds: 0,
  evidenceRemoves: false,
  leastValidators: 0,
  readyLag: 0,
  rejoinIntervalSeconds: 0,
  deltaMs: 0,
  suspicionTimeoutMs: 0,
  suspicionTimeoutMaxMs: 0,
};

export type Change = {
  readonly additions?: readonly Candidate[];
  readonly removals?: readonly string[];
  readonly replacements?: readonly Replacement[];
  readonly policy?: Policy;
};

/** What a transaction to the contract did. */
export type Done = { readonly block: number; readonly events: readonly string[]; readonly epoch: number | undefined };

export const STATUS = { open: 1, passed: 2, withdrawn: 3, expired: 4, lapsed: 5 } as const;

export type Proposal = {
  readonly status: number;
  readonly approvals: readonly string[];
  readonly expiresAt: number;
};

export class Governance {
  readonly #provider: JsonRpcProvider;
  readonly #contract: Contract;

  /** Through one node, which must stay up while it is used. */
  constructor(url: string) {
    this.#provider = new JsonRpcProvider(url, undefined, { polling: true, pollingInterval: POLL_MS, cacheTimeout: -1 });
    this.#contract = new Contract(ADDRESS, ABI, this.#provider);
  }

  #send(from: Sender, method: string, args: readonly unknown[]): Promise<ContractTransactionResponse> {
    const signing = this.#contract.connect(new Wallet(from.privateKey, this.#provider)) as Contract;
    return signing.getFunction(method).send(...args) as Promise<ContractTransactionResponse>;
  }

  async #done(sent: ContractTransactionResponse): Promise<Done> {
    const receipt = await sent.wait(1, RECEIPT_TIMEOUT_MS);
    if (receipt?.status !== 1) throw new Error(`transaction ${sent.hash} failed`);
    const logs = receipt.logs.flatMap((log) => this.#contract.interface.parseLog(log) ?? []);
    const closed = logs.find(({ name }) => name === 'EpochClosed');
    return {
      block: receipt.blockNumber,
      events: logs.map(({ name }) => name),
      epoch: closed && Number(closed.args['epoch']),
    };
  }

  /** Final when it resolves; proposing is the first approval. */
  async propose(from: Sender, change: Change): Promise<Done & { readonly id: number }> {
    const { additions = [], removals = [], replacements = [], policy = UNCHANGED } = change;
    const args = [additions, removals, replacements, policy];
    const sent = await this.#send(from, 'propose', args);
    const done = await this.#done(sent);
    const [log] = await this.#contract.queryFilter('Proposed', done.block, done.block);
    if (log === undefined || !('args' in log)) throw new Error(`block ${done.block} has no event Proposed`);
    return { ...done, id: Number(log.args['id']) };
  }

  /** The vote is in the pool of the node when this resolves, and `final` waits for its block. */
  async sendVote(from: Sender, id: number, approve = true): Promise<{ readonly final: () => Promise<Done> }> {
    const sent = await this.#send(from, 'vote', [id, approve]);
    return { final: () => this.#done(sent) };
  }

  async vote(from: Sender, id: number, approve = true): Promise<Done> {
    const { final } = await this.sendVote(from, id, approve);
    return final();
  }

  async withdraw(from: Sender, id: number): Promise<Done> {
    return this.#done(await this.#send(from, 'withdraw', [id]));
  }

  /** Bytes of evidence as 0x hex. */
  async reportEvidence(from: Sender, evidence: string): Promise<Done> {
    return this.#done(await this.#send(from, 'reportEvidence', [evidence]));
  }

  async #view<T>(method: string, ...args: readonly unknown[]): Promise<T> {
    return (await this.#contract.getFunction(method)(...args)) as T;
  }

  async epoch(): Promise<number> {
    return Number(await this.#view<bigint>('epoch'));
  }

  /** Validator addresses of the present epoch, in their order. */
  async validators(): Promise<string[]> {
    const members = await this.#view<readonly Candidate[]>('validators');
    return members.map(({ validator }) => validator.toLowerCase());
  }

  async proposal(id: number): Promise<Proposal> {
    type Answer = { readonly status: bigint; readonly approvals: readonly string[]; readonly expiresAt: bigint };
    const { status, approvals, expiresAt } = await this.#view<Answer>('proposal', id);
    return { status: Number(status), approvals, expiresAt: Number(expiresAt) };
  }

  /** Where a member is found, as the proposal that named it last said. */
  multiaddr(validator: string): Promise<string> {
    return this.#view<string>('multiaddr', validator);
  }

  /** A candidate has announced that it is ready, and that still counts. */
  async isReady(validator: string): Promise<boolean> {
    const { counts } = await this.#view<{ readonly counts: boolean }>('readiness', validator);
    return counts;
  }

  close(): void {
    this.#provider.destroy();
  }
}
