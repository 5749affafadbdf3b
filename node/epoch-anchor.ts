/**
 * Where a walk through the epochs begins when there is no genesis file: block 0 as a node shows it. Its hash stands for the
 * whole genesis, so who knows that hash for the right one need not trust the node.
 */
import { encodeHeader, type Header } from '../ledger/block.ts';
import { fromHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { membershipHash } from '../primitives/membership.ts';
import { Problems } from '../primitives/parse.ts';
import type { Anchor } from './epoch-walk.ts';
import { parseMembers } from './proof-json.ts';

export type AnchorAnswers = {
  readonly chainId: number;
  /** `eth_getBlockByNumber` of block 0. */
  readonly block: unknown;
  /** `validators` of `xft_getEpoch` 0. */
  readonly validators: unknown;
};

/** The hash is computed from the header's fields, and the header names the list of validators. Throws VERIFY_FAILED. */
export function anchorFromNode({ chainId, block, validators }: AnchorAnswers): Anchor {
  const problems = new Problems();
  const members = parseMembers(validators, 'validators', problems);
  const header = headerOf(block);
  if (problems.list.length > 0 || header?.number !== 0 || header.mixHash !== membershipHash(members)) {
    const message =
      'what the node says of block 0 does not fit together; name the genesis with --genesis FILE, or ask another node';
    throw new QuorateError('VERIFY_FAILED', message);
  }
  return { chainId, genesisHash: keccakHash(encodeHeader(header)), validators: members };
}

/** A header from its fields in JSON-RPC; undefined when one is missing or malformed. */
function headerOf(block: unknown): Header | undefined {
  const fields = (block ?? {}) as Readonly<Record<string, unknown>>;
  let fits = true;
  const text = (name: string, pattern: RegExp): string => {
    const value = fields[name];
    if (typeof value === 'string' && pattern.test(value)) return value.toLowerCase();
    fits = false;
    return '0x0';
  };
  const bytes = (name: string) => fromHex(text(name, /^0x([0-9a-fA-F]{2}){0,256}$/)) ?? new Uint8Array();
  const hash = (name: string) => text(name, /^0x[0-9a-fA-F]{64}$/);
  const number = (name: string) => Number(text(name, /^0x[0-9a-fA-F]{1,13}$/));
  const header: Header = {
    parentHash: hash('parentHash'),
    sha3Uncles: hash('sha3Uncles'),
    miner: text('miner', /^0x[0-9a-fA-F]{40}$/),
    stateRoot: hash('stateRoot'),
    transactionsRoot: hash('transactionsRoot'),
    receiptsRoot: hash('receiptsRoot'),
    logsBloom: bytes('logsBloom'),
    difficulty: number('difficulty'),
    number: number('number'),
    gasLimit: number('gasLimit'),
    gasUsed: number('gasUsed'),
    timestamp: number('timestamp'),
    extraData: bytes('extraData'),
    mixHash: hash('mixHash'),
    nonce: bytes('nonce'),
    baseFeePerGas: BigInt(text('baseFeePerGas', /^0x[0-9a-fA-F]{1,64}$/)),
  };
  return fits ? header : undefined;
}
