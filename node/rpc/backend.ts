/**
 * What the JSON-RPC methods need from the node, and nothing else (interface.md, "JSON-RPC"). The node implements it; the
 * tests use a fake. All chain reads are synchronous, because the ledger's are; heights are final ones unless the name
 * says otherwise. Nothing here may throw for what a client sent: absence is `undefined`, pruned state is 'pruned'.
 */
import type { Block, Header } from '../../ledger/block.ts';
import type { Receipt } from '../../ledger/receipt.ts';
import type { Transaction } from '../../ledger/transaction.ts';
import type { Address, Bytes, Epoch, Hash, Height, View } from '../../primitives/ids.ts';

/** Which state a read is about: a final height, or `tip` (the newest final block plus what is certified). */
export type StateAt = Height | 'tip';

/** An account as reads show it. An account that does not exist reads as zeros, so this is never undefined. */
export type AccountView = { readonly nonce: number; readonly balance: bigint };

/** A transaction and, when it is final, where it stands. `place` undefined: in the pool or in a certified block. */
export type LocatedTransaction = {
  readonly transaction: Transaction;
  readonly place: { readonly block: Block; readonly index: number } | undefined;
};

/** What became of a submitted transaction. `code` is a JSON-RPC error code, -32000 for every refusal. */
export type SubmitResult = { readonly hash: Hash } | { readonly code: number; readonly message: string };

/** A read-only call, checked and filled in by eth_call and eth_estimateGas. */
export type CallRequest = {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly data: Bytes;
  readonly gas: number;
  /** Part of `gas` that the transaction costs before the call: its data and access list. */
  readonly intrinsicGas: number;
};

/** `gasUsed` is the whole transaction's, the intrinsic part included. A revert carries its data. */
export type CallResult =
  | { readonly ok: true; readonly data: Bytes; readonly gasUsed: number }
  | { readonly ok: false; readonly message: string; readonly data: Bytes };

/** A block that became final, with its receipts: what subscriptions, filters and waiters are told. */
export type FinalBlock = { readonly block: Block; readonly receipts: readonly Receipt[] };

export type ValidatorStatus = {
  readonly address: Address;
  readonly peerId: string;
  readonly role: 'primary' | 'follower' | 'passive';
  readonly reachable: boolean;
  readonly suspectedBy: readonly Address[];
  readonly provenFaulty: boolean;
  /** Its newest final height, as far as this node was told. */
  readonly final: Height | null;
};

/** xft_status; plain JSON values, sent as they are. */
export type NodeStatus = {
  readonly role: 'primary' | 'follower' | 'passive' | 'observer';
  readonly epoch: Epoch;
  readonly view: View;
  readonly primary: Address;
  readonly group: readonly Address[];
  readonly final: Height;
  readonly head: Height;
  readonly t: number;
  readonly validators: readonly ValidatorStatus[];
  readonly margin: number;
  readonly [more: string]: unknown;
};

/** xft_getFinalityProof and the subscription xft_finality; plain JSON values, sent as they are. */
export type FinalityProofView = {
  /** RLP of the header, 0x hex. */
  readonly header: string;
  readonly hash: Hash;
  readonly epoch: Epoch;
  readonly view: View;
  readonly signatures: readonly {
    readonly validator: Address;
    readonly type: 'COMMITTED' | 'COMMIT' | 'PREPARE';
    readonly signature: string;
  }[];
  /** Header RLPs from the proven descendant down to the block asked for; empty when it has its own proof. */
  readonly ancestry: readonly string[];
};

/** The subscription xft_views: one view change. */
export type ViewChangeView = {
  readonly epoch: Epoch;
  readonly view: View;
  readonly primary: Address;
  readonly group: readonly Address[];
  readonly reason: string;
  readonly [more: string]: unknown;
};

/** Stops a listener; calling it again does nothing. */
export type Unlisten = () => void;

/** A method by its positional parameters; gives a plain JSON value or a promise of one. */
export type Extension = (params: readonly unknown[]) => unknown;

export interface Backend {
  readonly chainId: number;
  /** web3_clientVersion, as "quorate/v0.1.0/linux-x64/node20.19.0". */
  readonly clientVersion: string;
  /** The block gas limit. */
  readonly gasLimit: number;
  /** The constant base fee, in wei: the genesis gas price floor. */
  readonly baseFee: bigint;
  /** eth_coinbase: the operator account this node cuts blocks for; undefined on an observer. */
  readonly coinbase: Address | undefined;

  /** Newest final block. Height, block, receipts and transaction index move together. */
  head(): { readonly height: Height; readonly hash: Hash };
  /** Final blocks only. `header*` are the cheap forms for scans. */
  blockByHeight(height: Height): Block | undefined;
  blockByHash(hash: Hash): Block | undefined;
  headerByHeight(height: Height): { readonly header: Header; readonly hash: Hash } | undefined;
  /** Receipts of a final block, one per transaction in order. */
  receipts(blockHash: Hash): readonly Receipt[] | undefined;
  /** Certified blocks above the final one, lowest first; empty when there are none. */
  certified(): readonly Block[];
  /** Final, certified or pooled, in this order. */
  transaction(hash: Hash): LocatedTransaction | undefined;

  account(address: Address, at: StateAt): AccountView | 'pruned';
  code(address: Address, at: StateAt): Bytes | 'pruned';
  /** One 32-byte storage word. */
  storage(address: Address, slot: Hash, at: StateAt): Hash | 'pruned';
  /** Runs a call against an account that has behaviour (the governance contract). Undefined: a plain account. */
  call(request: CallRequest, at: StateAt): CallResult | undefined | 'pruned';
  /** Next nonce of the sender on top of certified blocks and its executable transactions in the pool. */
  pendingNonce(address: Address): number;
  /** Pool listing for eth_pendingTransactions and txpool_*. */
  pooled(): Iterable<Transaction>;
  poolStatus(): { readonly executable: number; readonly gapped: number };

  /** Decodes, checks, pools and forwards one raw transaction. The bytes are the backend's from here on. */
  submit(raw: Bytes): SubmitResult | Promise<SubmitResult>;

  peerCount(): number;
  /** undefined: in step. Otherwise how far behind, for eth_syncing. */
  syncing():
    | {
        readonly startingBlock: Height;
        readonly currentBlock: Height;
        readonly highestBlock: Height;
        /** Of a snapshot that is being taken: its blocks are there up to `block`; nodes of the state after `pivot`. */
        readonly snapshot?: { readonly block: Height; readonly pivot: Height | undefined; readonly nodes: number };
      }
    | undefined;

  status(): NodeStatus;
  /** Validators that are in force at a final block (its epoch's). */
  validators(height: Height): readonly Address[] | undefined;
  finalityProof(height: Height): FinalityProofView | undefined;
  /**
   * Methods that need more than reads (xft_getEpoch, xft_getEvidence, xft_linearizableBlock, governance …), by full
   * name. The result must be plain JSON. A wrong parameter is answered by throwing RpcError from jsonrpc.ts.
   */
  readonly extensions: ReadonlyMap<string, Extension>;

  /** Every final block once, in height order, after its batch is written. */
  onFinal(listener: (final: FinalBlock) => void): Unlisten;
  /** Every transaction that enters the pool as executable. */
  onPooled(listener: (transaction: Transaction) => void): Unlisten;
  onFinality(listener: (proof: FinalityProofView) => void): Unlisten;
  onView(listener: (change: ViewChangeView) => void): Unlisten;
}
