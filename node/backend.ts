/** What JSON-RPC asks of the node, answered from the ledger, the pool and the host. */
import type { EpochConfig } from '../consensus/config.ts';
import type { Certificate } from '../consensus/message.ts';
import type { Genesis } from '../genesis/genesis.ts';
import type { Account } from '../ledger/account.ts';
import type { Block } from '../ledger/block.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Pool } from '../ledger/pool.ts';
import type { Transaction } from '../ledger/transaction.ts';
import type { PeerAddress, Transport } from '../p2p/transport.ts';
import { EMPTY } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import { type Address, type Bytes, type Hash, type Height, ZERO_HASH } from '../primitives/ids.ts';
import { finalityView } from './finality-view.ts';
import type { Host } from './host.ts';
import type {
  AccountView,
  Backend,
  FinalBlock,
  FinalityProofView,
  LocatedTransaction,
  NodeStatus,
  StateAt,
  SubmitResult,
  Unlisten,
  ViewChangeView,
} from './rpc/backend.ts';
import { nodeStatus } from './status.ts';

export type BackendOptions = {
  readonly genesis: Genesis;
  readonly config: EpochConfig;
  readonly peers: readonly PeerAddress[];
  readonly self: number;
  readonly ledger: Ledger;
  readonly pool: Pool;
  readonly host: () => Host;
  readonly transport: Transport;
  readonly clientVersion: string;
  readonly submit: (raw: Bytes) => SubmitResult;
};

const NO_ACCOUNT: AccountView = { nonce: 0, balance: 0n };

function viewOf(account: Account | undefined | 'pruned' | 'unknown'): AccountView | 'pruned' {
  if (account === undefined || account === 'unknown') return NO_ACCOUNT;
  return account === 'pruned' ? account : { nonce: account.nonce, balance: account.balance };
}

export class NodeBackend implements Backend {
  readonly chainId: number;
  readonly clientVersion: string;
  readonly gasLimit: number;
  readonly baseFee: bigint;
  readonly coinbase: Address | undefined;
  readonly extensions = new Map<string, (params: readonly unknown[]) => unknown>();
  readonly #options: BackendOptions;
  readonly #finality = new Set<(proof: FinalityProofView) => void>();
  readonly #views = new Set<(change: ViewChangeView) => void>();
  #syncedFrom: Height;

  constructor(options: BackendOptions) {
    const { genesis, self } = options;
    this.#options = options;
    this.chainId = genesis.chainId;
    this.clientVersion = options.clientVersion;
    this.gasLimit = genesis.gasLimit;
    this.baseFee = genesis.gasPriceFloor;
    this.coinbase = genesis.validators[self]?.operator;
    this.#syncedFrom = options.ledger.head.height;
  }

  head(): { readonly height: Height; readonly hash: Hash } {
    return this.#options.ledger.head;
  }

  blockByHeight(height: Height): Block | undefined {
    return this.#options.ledger.blockByHeight(height);
  }

  blockByHash(hash: Hash): Block | undefined {
    return this.#options.ledger.blockByHash(hash);
  }

  headerByHeight(height: Height) {
    return this.#options.ledger.headerByHeight(height);
  }

  receipts(blockHash: Hash) {
    return this.#options.ledger.receipts(blockHash);
  }

  /** Blocks above the final one that this node holds a certificate for, or above which it does. */
  certified(): readonly Block[] {
    const { ledger, host } = this.#options;
    const { height } = host().status.head;
    return ledger.unfinal().filter((block) => block.header.number <= height);
  }

  transaction(hash: Hash): LocatedTransaction | undefined {
    const { ledger, pool } = this.#options;
    const final = ledger.transactionByHash(hash);
    if (final !== undefined)
      return { transaction: final.transaction, place: { block: final.block, index: final.index } };
    for (const block of this.certified()) {
      const transaction = block.transactions.find((candidate) => candidate.hash === hash);
      if (transaction !== undefined) return { transaction, place: undefined };
    }
    const pooled = pool.get(hash);
    return pooled === undefined ? undefined : { transaction: pooled, place: undefined };
  }

  account(address: Address, at: StateAt): AccountView | 'pruned' {
    const { ledger } = this.#options;
    if (at !== 'tip') return viewOf(ledger.account(address, { height: at }));
    const newest = this.certified().at(-1)?.hash ?? ledger.head.hash;
    return viewOf(ledger.account(address, { block: newest }));
  }

  code(address: Address, at: StateAt): Bytes | 'pruned' {
    return this.account(address, at) === 'pruned' ? 'pruned' : EMPTY;
  }

  storage(address: Address, _slot: Hash, at: StateAt): Hash | 'pruned' {
    return this.account(address, at) === 'pruned' ? 'pruned' : ZERO_HASH;
  }

  call(): undefined {
    return undefined;
  }

  pendingNonce(address: Address): number {
    const { ledger, pool } = this.#options;
    return pool.pendingNonce(address, ledger.account(address, { tip: true })?.nonce);
  }

  pooled(): Iterable<Transaction> {
    return this.#options.pool.transactions();
  }

  poolStatus(): { readonly executable: number; readonly gapped: number } {
    const { size, executableCount } = this.#options.pool;
    return { executable: executableCount, gapped: size - executableCount };
  }

  submit(raw: Bytes): SubmitResult {
    return this.#options.submit(raw);
  }

  peerCount(): number {
    return this.#options.transport.connected().length;
  }

  syncing() {
    const currentBlock = this.#options.ledger.head.height;
    let highestBlock = currentBlock;
    for (const { final } of this.#options.host().status.peers.values()) highestBlock = Math.max(highestBlock, final);
    // A few blocks behind is where every passive is; a client that saw "syncing" for that would never send.
    if (highestBlock - currentBlock <= 2 * this.#options.config.parameters.pipelineWindow) {
      this.#syncedFrom = currentBlock;
      return undefined;
    }
    return { startingBlock: this.#syncedFrom, currentBlock, highestBlock };
  }

  status(): NodeStatus {
    const { config, peers, self, host, transport } = this.#options;
    return nodeStatus({ config, peers, self, replica: host().status, connected: transport.connected() });
  }

  validators(height: Height): readonly Address[] | undefined {
    const { ledger, config } = this.#options;
    return height <= ledger.head.height ? config.validators : undefined;
  }

  finalityProof(height: Height): FinalityProofView | undefined {
    return finalityView(this.#options.ledger, this.#options.config, height);
  }

  onFinal(listener: (final: FinalBlock) => void): Unlisten {
    return this.#options.ledger.onFinal((block, receipts) => listener({ block, receipts }));
  }

  onPooled(listener: (transaction: Transaction) => void): Unlisten {
    return this.#options.pool.onExecutable(listener);
  }

  onFinality(listener: (proof: FinalityProofView) => void): Unlisten {
    this.#finality.add(listener);
    return () => this.#finality.delete(listener);
  }

  onView(listener: (change: ViewChangeView) => void): Unlisten {
    this.#views.add(listener);
    return () => this.#views.delete(listener);
  }

  /** A block was written with its own proof. */
  tellFinality(proof: Certificate): void {
    if (this.#finality.size === 0) return;
    const view = this.finalityProof(proof.height);
    assert(view !== undefined, `finality proof of written block ${proof.height} is missing`);
    for (const listener of this.#finality) listener(view);
  }

  tellView(reason: string): void {
    const { epoch, view, primary, group } = this.status();
    for (const listener of this.#views) listener({ epoch, view, primary, group, reason });
  }
}
