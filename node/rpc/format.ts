/**
 * Chain objects as Ethereum's JSON-RPC shows them (execution-apis; field by field as geth). Every field is present, null
 * where Ethereum says null: clients fail on absent ones.
 */
import type { Block, Header } from '../../ledger/block.ts';
import type { Log, Receipt } from '../../ledger/receipt.ts';
import type { Transaction } from '../../ledger/transaction.ts';
import { toHex } from '../../primitives/bytes.ts';
import type { Hash } from '../../primitives/ids.ts';

export function quantity(value: number | bigint): string {
  return '0x' + value.toString(16);
}

/** Where a transaction stands in a final block; undefined while it is pooled or certified. */
export type Place = { readonly hash: Hash; readonly header: Header; readonly index: number } | undefined;

/** What a gas unit costs: the constant base fee plus the tip, both within the fee cap. */
export function effectiveGasPrice(tx: Transaction, baseFee: bigint): bigint {
  const price = baseFee + tx.maxPriorityFeePerGas;
  if (price > tx.maxFeePerGas) return tx.maxFeePerGas;
  return price;
}

export function transactionJson(tx: Transaction, place: Place): Record<string, unknown> {
  const json: Record<string, unknown> = {
    blockHash: place === undefined ? null : place.hash,
    blockNumber: place === undefined ? null : quantity(place.header.number),
    transactionIndex: place === undefined ? null : quantity(place.index),
    hash: tx.hash,
    type: quantity(tx.type),
    chainId: quantity(tx.chainId),
    nonce: quantity(tx.nonce),
    from: tx.from,
    to: tx.to ?? null,
    value: quantity(tx.value),
    gas: quantity(tx.gasLimit),
    gasPrice: quantity(place === undefined ? tx.gasPrice : effectiveGasPrice(tx, place.header.baseFeePerGas)),
    input: toHex(tx.data),
    v: quantity(tx.v),
    r: quantity(tx.r),
    s: quantity(tx.s),
  };
  if (tx.type === 0) return json;
  json['accessList'] = tx.accessList;
  json['yParity'] = quantity(tx.yParity);
  if (tx.type === 2) {
    json['maxFeePerGas'] = quantity(tx.maxFeePerGas);
    json['maxPriorityFeePerGas'] = quantity(tx.maxPriorityFeePerGas);
  }
  return json;
}

/** The header's own fields: what newHeads carries. */
export function headerJson(header: Header, hash: Hash): Record<string, unknown> {
  return {
    number: quantity(header.number),
    hash,
    parentHash: header.parentHash,
    nonce: toHex(header.nonce),
    mixHash: header.mixHash,
    sha3Uncles: header.sha3Uncles,
    logsBloom: toHex(header.logsBloom),
    transactionsRoot: header.transactionsRoot,
    stateRoot: header.stateRoot,
    receiptsRoot: header.receiptsRoot,
    miner: header.miner,
    difficulty: quantity(header.difficulty),
    extraData: toHex(header.extraData),
    gasLimit: quantity(header.gasLimit),
    gasUsed: quantity(header.gasUsed),
    timestamp: quantity(header.timestamp),
    baseFeePerGas: quantity(header.baseFeePerGas),
  };
}

/** `transactions`: as objects or as hashes, made by the caller because a large block takes several slices. */
export function blockJson(block: Block, transactions: readonly unknown[]): Record<string, unknown> {
  return {
    ...headerJson(block.header, block.hash),
    totalDifficulty: '0x0',
    size: quantity(block.bytes.length),
    uncles: [],
    transactions,
  };
}

/** A certified block may still become void: hash, nonce and miner are null, as in geth's pending block. */
export function pendingBlockJson(block: Block, transactions: readonly unknown[]): Record<string, unknown> {
  return { ...blockJson(block, transactions), hash: null, nonce: null, miner: null };
}

export type LogPlace = {
  readonly header: Header;
  readonly hash: Hash;
  readonly transactionHash: Hash;
  readonly transactionIndex: number;
  /** Counted over the whole block. */
  readonly logIndex: number;
};

export function logJson(log: Log, place: LogPlace): Record<string, unknown> {
  return {
    address: log.address,
    topics: log.topics,
    data: toHex(log.data),
    blockNumber: quantity(place.header.number),
    blockHash: place.hash,
    blockTimestamp: quantity(place.header.timestamp),
    transactionHash: place.transactionHash,
    transactionIndex: quantity(place.transactionIndex),
    logIndex: quantity(place.logIndex),
    removed: false,
  };
}

export function receiptJson(block: Block, receipt: Receipt, index: number, firstLog: number): Record<string, unknown> {
  const tx = block.transactions[index]!;
  const { header, hash } = block;
  return {
    transactionHash: tx.hash,
    transactionIndex: quantity(index),
    blockHash: hash,
    blockNumber: quantity(header.number),
    from: tx.from,
    to: tx.to ?? null,
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    gasUsed: quantity(receipt.gasUsed),
    contractAddress: null,
    logs: receipt.logs.map((log, i) =>
      logJson(log, { header, hash, transactionHash: tx.hash, transactionIndex: index, logIndex: firstLog + i }),
    ),
    logsBloom: toHex(receipt.logsBloom),
    type: quantity(receipt.type),
    status: quantity(receipt.status),
    effectiveGasPrice: quantity(receipt.effectiveGasPrice),
  };
}
