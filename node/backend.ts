/** What JSON-RPC asks of the node, answered from the ledger, the pool and the host. */
import type { Certificate } from '../consensus/message.ts';
import type { Genesis } from '../genesis/genesis.ts';
import type { Account } from '../ledger/account.ts';
import { type Block, type Header, headerEpoch } from '../ledger/block.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import { GOVERNANCE_CODE } from '../ledger/governance/storage.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Pool } from '../ledger/pool.ts';
import type { Transaction } from '../ledger/transaction.ts';
import type { Transport } from '../p2p/transport.ts';
import { EMPTY } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import {
  type Address,
  type Bytes,
  type Epoch,
  GOVERNANCE_ADDRESS,
  type Hash,
  type Height,
  ZERO_HASH,
} from '../primitives/ids.ts';
import { epochView } from './epoch-view.ts';
import type { EvidenceShelf } from './evidence-shelf.ts';
import { evidenceDetail, evidenceList } from './evidence-view.ts';
import { finalityView } from './finality-view.ts';
import { GovernanceDesk } from './governance-desk.ts';
import { readGovernance } from './governance-read.ts';
import type { Host } from './host.ts';
import type { RecoveryStatement } from './recovery-statement.ts';
import type {
  AccountView,
  Backend,
  CallRequest,
  CallResult,
  Extension,
  FinalBlock,
  FinalityProofView,
  LocatedTransaction,
  NodeStatus,
  StateAt,
  SubmitResult,
  Unlisten,
  ViewChangeView,
} from './rpc/backend.ts';
import { RPC_LIMITS } from './rpc/limits.ts';
import { type EpochSource, epochMethods } from './rpc/xft-epoch.ts';
import { type EvidenceReads, evidenceMethods } from './rpc/xft-evidence.ts';
import { governanceMethods } from './rpc/xft-governance.ts';
import type { SyncProgress } from './state-sync/state-sync.ts';
import { nodeStatus } from './status.ts';

export type BackendOptions = {
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  /** Of the recoveries that the ledger was opened with. Default: none. */
  readonly statements?: readonly RecoveryStatement[];
  readonly pool: Pool;
  readonly host: () => Host;
  readonly evidence: EvidenceShelf;
  readonly transport: Transport;
  readonly clientVersion: string;
  readonly submit: (raw: Bytes) => SubmitResult;
  /** The snapshot that is being taken. */
  readonly snapshot: () => SyncProgress | undefined;
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
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly #desk: GovernanceDesk;
  readonly #options: BackendOptions;
  readonly #finality = new Set<(proof: FinalityProofView) => void>();
  readonly #views = new Set<(change: ViewChangeView) => void>();
  #syncedFrom: Height;

  constructor(options: BackendOptions) {
    const { genesis } = options;
    this.#options = options;
    this.chainId = genesis.chainId;
    this.clientVersion = options.clientVersion;
    this.gasLimit = genesis.gasLimit;
    this.baseFee = genesis.gasPriceFloor;
    this.#syncedFrom = options.ledger.head.height;
    const { ledger, transport } = options;
    const status = () => this.#nodeStatus();
    const followed = (nodeKey: string) => options.host().followers.finalOf(nodeKey);
    const chainId = genesis.chainId;
    this.#desk = new GovernanceDesk({ chainId, ledger, status, transport, followed, now: () => Date.now() });
    const epochs = this.#epochs();
    this.extensions = new Map(
      Object.entries({
        ...epochMethods(epochs, RPC_LIMITS),
        ...governanceMethods(this.#desk),
        ...evidenceMethods(this.#evidence(epochs)),
      }),
    );
  }

  #evidence(epochs: EpochSource): EvidenceReads {
    const { ledger, evidence: shelf } = this.#options;
    const { genesisHash } = ledger;
    const epochInfo = (epoch: Epoch) => ledger.epochInfo(epoch);
    const source = { chainId: this.chainId, genesisHash, shelf, epochInfo, epochView: epochs.epoch };
    return { list: () => evidenceList(source), detail: (id) => evidenceDetail(source, id) };
  }

  #epochs(): EpochSource {
    const { genesis, ledger, host, statements = [] } = this.#options;
    const multiaddrOf = (validator: Address): string | undefined =>
      ledger.governanceAfter(ledger.head.hash).multiaddrs.find((hint) => hint.validator === validator)?.multiaddr ??
      genesis.validators.find((founder) => founder.validator === validator)?.addresses?.[0];
    return {
      present: () => host().epoch.epoch,
      epoch: (epoch) => {
        const info = ledger.epochInfo(epoch);
        return info && epochView({ ledger, info, multiaddrOf, statements });
      },
      newest: () => ({ height: ledger.head.height, epoch: headerEpoch(ledger.head.header) }),
      onFinal: (listener) => ledger.onFinal(listener),
    };
  }

  get coinbase(): Address | undefined {
    const { epoch, self } = this.#options.host();
    return epoch.members[self]?.operator;
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
    return viewOf(ledger.account(address, { block: this.#newest().hash }));
  }

  code(address: Address, at: StateAt): Bytes | 'pruned' {
    if (this.account(address, at) === 'pruned') return 'pruned';
    return address === GOVERNANCE_ADDRESS ? GOVERNANCE_CODE : EMPTY;
  }

  storage(address: Address, slot: Hash, at: StateAt): Hash | 'pruned' {
    const found = this.#options.ledger.storage(address, slot, this.#placeOf(at));
    return found === 'unknown' ? ZERO_HASH : found;
  }

  /** The only contract there is; every other account is a plain one. */
  call(request: CallRequest, at: StateAt): CallResult | undefined | 'pruned' {
    if (request.to !== GOVERNANCE_ADDRESS) return undefined;
    const { ledger } = this.#options;
    const state = ledger.governance(this.#placeOf(at));
    if (state === 'pruned' || state === 'unknown') return 'pruned';
    const { header } = at === 'tip' ? this.#newest() : ledger.headerByHeight(at)!;
    const now = Math.floor(Date.now() / 1000);
    return readGovernance(request, { ledger, chainId: this.chainId, state, block: header, now });
  }

  /** Newest certified block, or the final one. */
  #newest(): { readonly hash: Hash; readonly header: Header } {
    return this.certified().at(-1) ?? this.#options.ledger.head;
  }

  #placeOf(at: StateAt) {
    return at === 'tip' ? { block: this.#newest().hash } : { height: at };
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
    const snapshot = this.#options.snapshot();
    if (snapshot !== undefined) return { ...snapshot, currentBlock, snapshot };
    let highestBlock = currentBlock;
    for (const { final } of this.#options.host().status.peers.values()) highestBlock = Math.max(highestBlock, final);
    // A few blocks behind is where every passive is; a client that saw "syncing" for that would never send.
    if (highestBlock - currentBlock <= 2 * this.#options.genesis.consensus.pipelineWindow) {
      this.#syncedFrom = currentBlock;
      return undefined;
    }
    return { startingBlock: this.#syncedFrom, currentBlock, highestBlock };
  }

  status(): NodeStatus {
    return { ...this.#nodeStatus(), ...this.#desk.standing(), breaks: this.#breaks() };
  }

  /** Where the chain went on by its operators' word alone. */
  #breaks() {
    const { ledger } = this.#options;
    const { breaks } = ledger.governanceAfter(ledger.head.hash);
    return breaks.map(({ epoch, height, digest }) => ({ epoch, block: height, statement: digest }));
  }

  #nodeStatus(): NodeStatus {
    const { host, transport } = this.#options;
    const { epoch, self, status } = host();
    return nodeStatus({ members: epoch.members, self, replica: status, connected: transport.connected() });
  }

  validators(height: Height): readonly Address[] | undefined {
    return this.#epochAt(height)?.members.map(({ validator }) => validator);
  }

  finalityProof(height: Height): FinalityProofView | undefined {
    const info = this.#epochAt(height);
    return info && finalityView(this.#options.ledger, info, height);
  }

  /** The epoch a final block belongs to. */
  #epochAt(height: Height): EpochInfo | undefined {
    const { ledger } = this.#options;
    const found = ledger.headerByHeight(height);
    // Block 0 belongs to no epoch by its header: its extraData is the hash of the genesis.
    return found && ledger.epochInfo(height === 0 ? 0 : headerEpoch(found.header));
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
