/** What a header must say before anything is executed (consensus.md sections 3 and 11). */
import { equalBytes } from '../primitives/bytes.ts';
import type { Address, Epoch, Hash } from '../primitives/ids.ts';
import { EMPTY_UNCLES, type Header, headerEpoch, headerTimeMs, ZERO_NONCE } from './block.ts';
import type { ChainRules } from './chain-rules.ts';

/** Closed list of reasons a block is refused for. */
export type BlockRefusal =
  | 'unknown-parent'
  | 'number'
  | 'time'
  | 'epoch'
  | 'mix-hash'
  | 'miner'
  | 'constant-field'
  | 'transaction'
  | 'gas-used'
  | 'transactions-root'
  | 'receipts-root'
  | 'logs-bloom'
  | 'state-root';

export type Refused = { readonly ok: false; readonly reason: BlockRefusal; readonly detail: string };
/** The clock of a follower that is asked to sign; on sync a block is not judged again. */
export type Judge = { readonly nowMs: number; readonly maxDriftMs: number };
/** What consensus knows of a block before it is executed. */
export type Expectation = { readonly miner?: Address };

export function refuse(reason: BlockRefusal, detail: string): Refused {
  return { ok: false, reason, detail };
}

export function headerProblem(
  header: Header,
  parent: { readonly header: Header; readonly hash: Hash },
  rules: ChainRules,
  judge: Judge | undefined,
  expect: Expectation & { readonly epoch: Epoch },
): Refused | undefined {
  const expectedNumber = parent.header.number + 1;
  if (header.parentHash !== parent.hash) return refuse('unknown-parent', `parent ${header.parentHash}`);
  if (header.number !== expectedNumber) return refuse('number', `number ${header.number}, expected ${expectedNumber}`);
  return timeProblem(header, parent.header, judge) ?? identityProblem(header, expect) ?? constantProblem(header, rules);
}

function timeProblem(header: Header, parent: Header, judge: Judge | undefined): Refused | undefined {
  if (header.extraData.length !== 16) return refuse('constant-field', `extraData of ${header.extraData.length} bytes`);
  const timeMs = headerTimeMs(header);
  if (!Number.isSafeInteger(timeMs)) return refuse('time', 'milliseconds above 2^53');
  if (header.timestamp !== Math.floor(timeMs / 1000)) {
    return refuse('time', `timestamp ${header.timestamp} is not the seconds of ${timeMs} ms`);
  }
  if (timeMs < headerTimeMs(parent))
    return refuse('time', `${timeMs} ms is before the parent's ${headerTimeMs(parent)}`);
  if (judge !== undefined && timeMs > judge.nowMs + judge.maxDriftMs) {
    return refuse('time', `${timeMs} ms is more than ${judge.maxDriftMs} ms ahead of ${judge.nowMs}`);
  }
  return undefined;
}

function identityProblem(header: Header, expect: Expectation & { readonly epoch: Epoch }): Refused | undefined {
  const epoch = headerEpoch(header);
  if (epoch !== expect.epoch) {
    const broken = `; if the chain was recovered at block ${header.number - 1}, the statement is missing here: quorate recover apply`;
    return refuse('epoch', `epoch ${epoch}, expected ${expect.epoch}${epoch > expect.epoch ? broken : ''}`);
  }
  if (expect.miner !== undefined && header.miner !== expect.miner) {
    return refuse('miner', `miner ${header.miner}, expected ${expect.miner}`);
  }
  return undefined;
}

function constantProblem(header: Header, rules: ChainRules): Refused | undefined {
  if (header.gasLimit !== rules.gasLimit) return refuse('constant-field', `gasLimit ${header.gasLimit}`);
  if (header.baseFeePerGas !== rules.baseFee) return refuse('constant-field', `baseFeePerGas ${header.baseFeePerGas}`);
  if (header.difficulty !== 0) return refuse('constant-field', `difficulty ${header.difficulty}`);
  if (!equalBytes(header.nonce, ZERO_NONCE)) return refuse('constant-field', 'nonce is not zero');
  if (header.sha3Uncles !== EMPTY_UNCLES) return refuse('constant-field', `sha3Uncles ${header.sha3Uncles}`);
  return undefined;
}
