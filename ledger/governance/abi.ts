/**
 * The governance contract's Solidity ABI, the one place that says it: selectors, topics, codecs and the published JSON are
 * made of this (docs/governance.sol and docs/governance.abi.json are compared with it by a test).
 */
import { concat, hexBytes, toHex, utf8 } from '../../primitives/bytes.ts';
import { type Bytes, GOVERNANCE_ADDRESS, type Hash } from '../../primitives/ids.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import type { Policy } from '../../primitives/policy.ts';
import type { Log } from '../receipt.ts';
import {
  type AbiParameter,
  ADDRESS,
  array,
  BOOL,
  BYTES,
  decodeAll,
  encodeAll,
  type Fields,
  fixedBytes,
  STRING,
  tuple,
  uint,
  type ValuesOf,
} from './abi-types.ts';

type Mutability = 'view' | 'nonpayable';

const INCARNATION = fixedBytes(16);
const HASH = fixedBytes(32);
const UINT64 = uint(64);
const UINT256 = uint(256);

const VALIDATOR = tuple({ validator: ADDRESS, nodeKey: BYTES, operator: ADDRESS });
const CANDIDATE = tuple({ validator: ADDRESS, nodeKey: BYTES, operator: ADDRESS, multiaddr: STRING });
const REPLACEMENT = tuple({ validator: ADDRESS, by: CANDIDATE });
const POLICY = tuple({
  quorumBasisPoints: uint(16),
  expirySeconds: uint(32),
  evidenceRemoves: BOOL,
  leastValidators: uint(16),
  readyLag: uint(32),
  rejoinIntervalSeconds: uint(32),
  deltaMs: uint(32),
  suspicionTimeoutMs: uint(32),
  suspicionTimeoutMaxMs: uint(32),
});
/** The policy as the ABI writes one that is left as it is. */
export const UNCHANGED_POLICY: Policy = {
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

const PROPOSAL = tuple({
  id: UINT256,
  proposer: ADDRESS,
  epoch: UINT64,
  createdAt: UINT64,
  expiresAt: UINT64,
  /** 1 open, 2 passed, 3 withdrawn, 4 expired, 5 lapsed. */
  status: uint(8),
  /** 0 while it is open. */
  endedAt: UINT64,
  additions: array(CANDIDATE),
  removals: array(ADDRESS),
  replacements: array(REPLACEMENT),
  policy: POLICY,
  approvals: array(ADDRESS),
  rejections: array(ADDRESS),
});

export type GovernanceFunction<I extends Fields = Fields, O extends Fields = Fields, M = Mutability> = {
  readonly name: string;
  readonly mutability: M;
  readonly inputs: I;
  readonly outputs: O;
  /** First four bytes of calldata, 0x hex. */
  readonly selector: string;
};

function signature(name: string, fields: Fields): string {
  return `${name}(${Object.values(fields)
    .map((type) => type.canonical)
    .join(',')})`;
}

function method<I extends Fields, O extends Fields, M extends Mutability>(
  name: string,
  mutability: M,
  inputs: I,
  outputs: O,
): GovernanceFunction<I, O, M> {
  const selector = keccakHash(utf8(signature(name, inputs))).slice(0, 10);
  return { name, mutability, inputs, outputs, selector };
}

export const FUNCTIONS = {
  propose: method(
    'propose',
    'nonpayable',
    { additions: array(CANDIDATE), removals: array(ADDRESS), replacements: array(REPLACEMENT), policy: POLICY },
    { id: UINT256 },
  ),
  vote: method('vote', 'nonpayable', { id: UINT256, approve: BOOL }, {}),
  withdraw: method('withdraw', 'nonpayable', { id: UINT256 }, {}),
  ready: method(
    'ready',
    'nonpayable',
    { validator: ADDRESS, height: UINT64, hash: HASH, incarnation: INCARNATION, signature: BYTES },
    {},
  ),
  reportEvidence: method('reportEvidence', 'nonpayable', { evidence: BYTES }, {}),
  epoch: method('epoch', 'view', {}, { epoch: UINT64 }),
  validators: method('validators', 'view', {}, { validators: array(VALIDATOR) }),
  nextValidators: method('nextValidators', 'view', {}, { validators: array(VALIDATOR) }),
  policy: method('policy', 'view', {}, { policy: POLICY }),
  proposal: method('proposal', 'view', { id: UINT256 }, { proposal: PROPOSAL }),
  proposals: method('proposals', 'view', {}, { open: array(PROPOSAL), ended: array(PROPOSAL) }),
  readiness: method(
    'readiness',
    'view',
    { validator: ADDRESS },
    { counts: BOOL, height: UINT64, hash: HASH, incarnation: INCARNATION },
  ),
  multiaddr: method('multiaddr', 'view', { validator: ADDRESS }, { multiaddr: STRING }),
} as const;

export type FunctionName = keyof typeof FUNCTIONS;
type NamesOf<M extends Mutability> = {
  [K in FunctionName]: (typeof FUNCTIONS)[K]['mutability'] extends M ? K : never;
}[FunctionName];
export type ViewName = NamesOf<'view'>;
export type TransactionName = NamesOf<'nonpayable'>;

export function isView(name: FunctionName): name is ViewName {
  return FUNCTIONS[name].mutability === 'view';
}

export type GovernanceEvent<I extends Fields = Fields, D extends Fields = Fields> = {
  readonly name: string;
  /** They come first, as topics; none is dynamic. */
  readonly indexed: I;
  readonly data: D;
  readonly topic: Hash;
};

function event<I extends Fields, D extends Fields>(name: string, indexed: I, data: D): GovernanceEvent<I, D> {
  return { name, indexed, data, topic: keccakHash(utf8(signature(name, { ...indexed, ...data }))) };
}

export const EVENTS = {
  Proposed: event(
    'Proposed',
    { id: UINT256, proposer: ADDRESS },
    {
      additions: array(CANDIDATE),
      removals: array(ADDRESS),
      replacements: array(REPLACEMENT),
      policy: POLICY,
      expiresAt: UINT64,
    },
  ),
  Voted: event('Voted', { id: UINT256, validator: ADDRESS, operator: ADDRESS }, { approve: BOOL }),
  Withdrawn: event('Withdrawn', { id: UINT256 }, {}),
  Expired: event('Expired', { id: UINT256 }, {}),
  Lapsed: event('Lapsed', { id: UINT256 }, {}),
  Ready: event('Ready', { validator: ADDRESS }, { height: UINT64, hash: HASH, incarnation: INCARNATION }),
  EvidenceRecorded: event(
    'EvidenceRecorded',
    { validator: ADDRESS, epoch: UINT64 },
    { kind: uint(8), viewNumber: UINT64, removed: BOOL },
  ),
  Passed: event('Passed', { id: UINT256, epoch: UINT64 }, {}),
  EpochClosed: event(
    'EpochClosed',
    { epoch: UINT64 },
    {
      membershipHash: HASH,
      validators: array(VALIDATOR),
      /** Members whose incarnation the closing block carries; `incarnations` goes with it. */
      ready: array(ADDRESS),
      incarnations: array(INCARNATION),
    },
  ),
} as const;

/** Calldata. */
export function encodeCall<I extends Fields, O extends Fields>(
  { selector, inputs }: GovernanceFunction<I, O>,
  values: ValuesOf<I>,
): Bytes {
  return concat(hexBytes(selector), encodeAll(inputs, values));
}

/** Arguments behind the selector. Throws AbiError. */
export function decodeArguments<I extends Fields, O extends Fields>(
  { inputs }: GovernanceFunction<I, O>,
  calldata: Bytes,
): ValuesOf<I> {
  return decodeAll(inputs, calldata.subarray(4));
}

export function encodeResult<I extends Fields, O extends Fields>(
  { outputs }: GovernanceFunction<I, O>,
  values: ValuesOf<O>,
): Bytes {
  return encodeAll(outputs, values);
}

/** What a call returned. Throws AbiError. */
export function decodeResult<I extends Fields, O extends Fields>(
  { outputs }: GovernanceFunction<I, O>,
  data: Bytes,
): ValuesOf<O> {
  return decodeAll(outputs, data);
}

/** The name of the function that calldata begins with the selector of. */
export function functionOf(calldata: Bytes): FunctionName | undefined {
  return bySelector.get(toHex(calldata.subarray(0, 4)));
}

const bySelector = new Map(
  (Object.keys(FUNCTIONS) as FunctionName[]).map((name) => [FUNCTIONS[name].selector, name] as const),
);

export function encodeEvent<I extends Fields, D extends Fields>(
  { topic, indexed, data }: GovernanceEvent<I, D>,
  values: ValuesOf<I> & ValuesOf<D>,
): Log {
  const given = values as Readonly<Record<string, unknown>>;
  const topics = Object.entries(indexed).map(([name, type]) => toHex(type.encode(given[name])));
  return { address: GOVERNANCE_ADDRESS, topics: [topic, ...topics], data: encodeAll(data, values) };
}

/** A log's fields, or undefined when it is no such event of this contract. Throws AbiError for one that is malformed. */
export function decodeEvent<I extends Fields, D extends Fields>(
  { topic, indexed, data }: GovernanceEvent<I, D>,
  log: Log,
): (ValuesOf<I> & ValuesOf<D>) | undefined {
  if (log.address !== GOVERNANCE_ADDRESS || log.topics[0] !== topic) return undefined;
  const topics = decodeAll(indexed, concat(...log.topics.slice(1).map(hexBytes)));
  return { ...topics, ...decodeAll(data, log.data) };
}

const ERROR_STRING = { message: STRING };
/** First bytes of `Error(string)`. */
const ERROR_SELECTOR = '0x08c379a0';

/** Revert data as Solidity's `revert("…")` gives it. */
export function encodeError(message: string): Bytes {
  return concat(hexBytes(ERROR_SELECTOR), encodeAll(ERROR_STRING, { message }));
}

type AbiItem = {
  readonly type: 'function' | 'event';
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
  readonly outputs?: readonly AbiParameter[];
  readonly stateMutability?: Mutability;
  readonly anonymous?: false;
};

function parameters(fields: Fields): AbiParameter[] {
  return Object.entries(fields).map(([name, type]) => type.parameter(name));
}

function unnamed(outputs: AbiParameter[]): AbiParameter[] {
  return outputs.length === 1 ? outputs.map((output) => ({ ...output, name: '' })) : outputs;
}

/** The ABI as JSON tools take it. */
export function governanceAbi(): readonly AbiItem[] {
  const functions = Object.values(FUNCTIONS).map(
    ({ name, mutability, inputs, outputs }): AbiItem => ({
      type: 'function',
      name,
      inputs: parameters(inputs),
      // A view's only result has no name in Solidity: it would hide the function of that name.
      outputs: mutability === 'view' ? unnamed(parameters(outputs)) : parameters(outputs),
      stateMutability: mutability,
    }),
  );
  const events = Object.values(EVENTS).map(
    ({ name, indexed, data }): AbiItem => ({
      type: 'event',
      name,
      inputs: [
        ...parameters(indexed).map((parameter) => ({ ...parameter, indexed: true })),
        ...parameters(data).map((parameter) => ({ ...parameter, indexed: false })),
      ],
      anonymous: false,
    }),
  );
  return [...functions, ...events];
}
