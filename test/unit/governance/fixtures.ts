/** The governance contract by itself, in blocks that only have a number, a time and a hash. */
import {
  decodeEvent,
  decodeResult,
  EVENTS,
  encodeCall,
  FUNCTIONS,
  UNCHANGED_POLICY,
} from '../../../ledger/governance/abi.ts';
import { callGovernance, type GovernanceResult } from '../../../ledger/governance/contract.ts';
import { type Candidate, type Change, type GovernanceState, genesisState } from '../../../ledger/governance/state.ts';
import type { Log } from '../../../ledger/receipt.ts';
import { judgeOnChain } from '../../../node/evidence-on-chain.ts';
import { toHex } from '../../../primitives/bytes.ts';
import type { Address, Bytes, Hash } from '../../../primitives/ids.ts';
import { keccakHash } from '../../../primitives/keccak.ts';
import { DEFAULT_POLICY, type Policy } from '../../../primitives/policy.ts';
import { readyDigest } from '../../../primitives/ready.ts';
import { sign } from '../../../primitives/secp256k1.ts';
import { CHAIN_ID, key, member, memberKeys } from '../ledger/fixtures.ts';

export const GENESIS_HASH: Hash = '0x' + '47'.repeat(32);
export const STRANGER: Address = key(9999).address;
export const POLICY: Policy = { ...DEFAULT_POLICY, expirySeconds: 100, readyLag: 10, rejoinIntervalSeconds: 30 };

export function candidate(n: number, multiaddr = ''): Candidate {
  return { ...member(n), multiaddr };
}

export const operator = (n: number): Address => member(n).operator;
export const validator = (n: number): Address => member(n).validator;
export const incarnation = (n: number): string => '0x' + n.toString(16).padStart(32, '0');

/** What a proposal asks for; the rest stays as it is. */
export type Wish = Partial<Change>;

export function proposeData({ additions = [], removals = [], replacements = [], policy }: Wish): Bytes {
  return encodeCall(FUNCTIONS.propose, { additions, removals, replacements, policy: policy ?? UNCHANGED_POLICY });
}

export class Contract {
  state: GovernanceState;
  number = 1;
  timestamp = 1_700_000_001;
  /** Of the newest call. */
  logs: readonly Log[] = [];

  constructor(members: number, policy: Policy = POLICY) {
    this.state = genesisState(
      Array.from({ length: members }, (_, n) => member(n)),
      policy,
    );
  }

  /** Later blocks. */
  pass({ blocks = 1, seconds = 1 } = {}): this {
    this.number += blocks;
    this.timestamp += seconds;
    return this;
  }

  hashAt(height: number): Hash {
    return keccakHash(Buffer.from(`block ${height}`));
  }

  try(from: Address, data: Bytes, value = 0n): GovernanceResult {
    const context = {
      chainId: CHAIN_ID,
      genesisHash: GENESIS_HASH,
      number: this.number,
      timestamp: this.timestamp,
      hashAt: (height: number) => this.hashAt(height),
      judgeEvidence: judgeOnChain,
    };
    return callGovernance(this.state, { from, value, data }, { view: context, transaction: context });
  }

  /** Why a call reverts. */
  refusal(from: Address, data: Bytes, value = 0n): string {
    const before = this.state;
    const result = this.try(from, data, value);
    if (result.ok) throw new Error('the call succeeded');
    if (this.state !== before) throw new Error('a refused call changed the state');
    return result.message;
  }

  send(from: Address, data: Bytes): Bytes {
    const result = this.try(from, data);
    if (!result.ok) throw new Error(result.message);
    this.state = result.state;
    this.logs = result.logs;
    return result.data;
  }

  propose(n: number, wish: Wish): number {
    return decodeResult(FUNCTIONS.propose, this.send(operator(n), proposeData(wish))).id;
  }

  vote(n: number, id: number, approve = true): void {
    this.send(operator(n), encodeCall(FUNCTIONS.vote, { id, approve }));
  }

  readyData(
    n: number,
    change: { height?: number; life?: number; hash?: Hash; epoch?: number; signer?: number } = {},
  ): Bytes {
    const { height = this.number - 1, life = n, epoch = this.state.epoch, signer = n } = change;
    const hash = change.hash ?? this.hashAt(height);
    const said = { validator: validator(n), height, hash, incarnation: incarnation(life) };
    const digest = readyDigest({ chainId: CHAIN_ID, genesisHash: GENESIS_HASH, epoch, ...said });
    const signature = toHex(sign(digest, memberKeys(signer).validator.secret));
    return encodeCall(FUNCTIONS.ready, { ...said, signature });
  }

  ready(n: number, change: Parameters<Contract['readyData']>[1] = {}): void {
    this.send(STRANGER, this.readyData(n, change));
  }

  /** Names of what the newest call logged. */
  get events(): string[] {
    return this.logs.map((log) => Object.values(EVENTS).find(({ topic }) => topic === log.topics[0])?.name ?? '?');
  }

  /** What the newest call closed the epoch with. */
  get closed() {
    const found = this.logs.map((log) => decodeEvent(EVENTS.EpochClosed, log)).filter((event) => event !== undefined);
    if (found.length > 1) throw new Error('closed twice');
    return found[0];
  }

  get members(): Address[] {
    return this.state.members.map((known) => known.validator);
  }
}
