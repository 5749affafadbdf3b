/** web3_, net_ and the methods of eth_ that tell about the node rather than the chain. */
import { ZERO_ADDRESS } from '../../primitives/ids.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import { quantity, transactionJson } from './format.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, parseData } from './params.ts';

/** eth/68, the last protocol of Ethereum's that had a number; kept for clients that insist on an answer. */
const PROTOCOL_VERSION = '0x44';
const POOLED_SHOWN_MAX = 1000;

export function nodeInfoMethods({ backend, limits }: Services): MethodGroup {
  /** A method without parameters; those that come anyway are ignored, as web3 sends some. */
  const constant = (value: unknown) => () => value;
  return {
    web3_clientVersion: constant(backend.clientVersion),
    web3_sha3: (params) => keccakHash(parseData(args(params, 1, 1)[0], 'argument 0', limits.requestBytesMax)),
    net_version: constant(String(backend.chainId)),
    net_listening: constant(true),
    net_peerCount: () => quantity(backend.peerCount()),
    eth_chainId: constant(quantity(backend.chainId)),
    eth_protocolVersion: constant(PROTOCOL_VERSION),
    eth_accounts: constant([]),
    eth_mining: constant(false),
    eth_hashrate: constant('0x0'),
    eth_coinbase: () => backend.coinbase ?? ZERO_ADDRESS,
    eth_blockNumber: () => quantity(backend.head().height),
    eth_syncing: () => {
      const syncing = backend.syncing();
      if (syncing === undefined) return false;
      return {
        startingBlock: quantity(syncing.startingBlock),
        currentBlock: quantity(syncing.currentBlock),
        highestBlock: quantity(syncing.highestBlock),
        ...(syncing.snapshot && {
          snapshotBlocks: quantity(syncing.snapshot.block),
          snapshotStateNodes: quantity(syncing.snapshot.nodes),
          ...(syncing.snapshot.pivot !== undefined && { snapshotStateBlock: quantity(syncing.snapshot.pivot) }),
        }),
      };
    },
    eth_pendingTransactions: () => {
      const shown: unknown[] = [];
      for (const tx of backend.pooled()) {
        if (shown.length === POOLED_SHOWN_MAX) break;
        shown.push(transactionJson(tx, undefined));
      }
      return shown;
    },
    txpool_status: () => {
      const { executable, gapped } = backend.poolStatus();
      return { pending: quantity(executable), queued: quantity(gapped) };
    },
    rpc_modules: constant({ eth: '1.0', net: '1.0', txpool: '1.0', web3: '1.0', xft: '1.0' }),
  };
}
