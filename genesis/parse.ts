/**
 * Reads `genesis.json` strictly. Every wrong field is named with what was expected, all at once, because a founder who
 * repairs a file wants one list and not one error per attempt. Omitted settings get their defaults, and the hash is
 * taken over the completed fields: leaving a default out and writing it down found the same chain.
 */
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import { type Address, GOVERNANCE_ADDRESS } from '../primitives/ids.ts';
import { VALIDATORS_MAX } from '../primitives/membership.ts';
import { Problems, parseBoolean, parseInteger, parseObject } from '../primitives/parse.ts';
import { DEFAULT_RULES, POLICY_RANGES, type Rules } from '../primitives/policy.ts';
import { TIMING_RANGES, type Timing, timingMisfits } from '../primitives/timing.ts';
import { parseAddress } from './address.ts';
import {
  CHAIN_ID_MAX,
  type ConsensusSettings,
  DEFAULT_CONSENSUS,
  DEFAULT_GAS_LIMIT,
  GENESIS_VERSION,
  type Genesis,
  type GenesisValidator,
} from './genesis.ts';
import { parseMultiaddr, parseNodeKey } from './peer-address.ts';

const MINUTE_MS = 60_000;
const ADDRESSES_MAX = 8;

type Ranges<K extends string> = { readonly [F in K]: { readonly min: number; readonly max: number } };

/** Transactions reach 128 KiB, so a smaller batch could never hold the largest. */
const RANGES: Ranges<Exclude<keyof ConsensusSettings, keyof Timing>> = {
  batchBytesMax: { min: 256 * 1024, max: 8 * 1024 * 1024 },
  batchTransactionsMax: { min: 1, max: 100_000 },
  pipelineWindow: { min: 1, max: 64 },
  requestTimeoutMs: { min: 20, max: 10 * MINUTE_MS },
  maxDriftMs: { min: 1, max: 60 * MINUTE_MS },
  emptyBlockPeriodMs: { min: 0, max: 24 * 60 * MINUTE_MS },
};

const CONSENSUS_RANGES: Ranges<keyof ConsensusSettings> = { ...RANGES, ...TIMING_RANGES };

const FIELDS = [
  'version',
  'chainId',
  'timestamp',
  'validators',
  'alloc',
  'gasLimit',
  'gasPriceFloor',
  'consensus',
  'governance',
];

/** A wei amount: a decimal or 0x hex string, or an integer, below 2^256. */
function parseWei(value: unknown, path: string, problems: Problems): bigint | undefined {
  const digits = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? String(value) : value;
  const fits = typeof digits === 'string' && digits.length <= 80 && /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(digits);
  const wei = fits ? BigInt(digits) : undefined;
  if (wei === undefined || wei >= 2n ** 256n) {
    return problems.expected(path, 'an amount of wei (a decimal or 0x hex string below 2^256)', value);
  }
  return wei;
}

function parseValidator(value: unknown, path: string, problems: Problems): GenesisValidator | undefined {
  const fields = parseObject(value, path, ['validator', 'nodeKey', 'operator', 'addresses'], problems);
  if (fields === undefined) return undefined;
  const validator = parseAddress(fields['validator'], `${path}.validator`, problems);
  const nodeKey = parseNodeKey(fields['nodeKey'], `${path}.nodeKey`, problems);
  const operator = parseAddress(fields['operator'], `${path}.operator`, problems);
  const addresses = parseAddresses(fields['addresses'], `${path}.addresses`, nodeKey, problems);
  if (validator === undefined || nodeKey === undefined || operator === undefined) return undefined;
  return { validator, nodeKey, operator, ...(addresses.length > 0 && { addresses }) };
}

function parseAddresses(value: unknown, path: string, nodeKey: string | undefined, problems: Problems): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > ADDRESSES_MAX) {
    problems.expected(path, `an array of at most ${ADDRESSES_MAX} multiaddrs`, value);
    return [];
  }
  const parsed = value.map((item, i) => parseMultiaddr(item, `${path}[${i}]`, nodeKey, problems));
  return parsed.filter((item) => item !== undefined);
}

const NOBODYS = 'this is the address of the governance contract, of which nobody holds a key';

/** Three keys per validator, all different: one key in two roles would let one theft or one mix-up hit two of them. */
function checkDuplicates(validators: readonly (GenesisValidator | undefined)[], problems: Problems): void {
  const seen = new Map<string, string>();
  validators.forEach((item, i) => {
    if (item === undefined) return;
    for (const role of ['validator', 'nodeKey', 'operator'] as const) {
      const path = `validators[${i}].${role}`;
      if (item[role] === GOVERNANCE_ADDRESS) problems.add(path, NOBODYS);
      const first = seen.get(item[role]);
      if (first === undefined) seen.set(item[role], path);
      else problems.add(path, `the same key as ${first}; every key must be used once`);
    }
  });
}

function parseValidators(value: unknown, problems: Problems): GenesisValidator[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > VALIDATORS_MAX) {
    problems.expected('validators', `an array of 1 to ${VALIDATORS_MAX} validators`, value);
    return [];
  }
  const parsed = value.map((item, i) => parseValidator(item, `validators[${i}]`, problems));
  checkDuplicates(parsed, problems);
  return parsed.filter((item) => item !== undefined);
}

function parseAlloc(value: unknown, problems: Problems): Map<Address, bigint> {
  const alloc = new Map<Address, bigint>();
  if (value === undefined) return alloc;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.expected('alloc', 'an object of address: wei', value);
    return alloc;
  }
  for (const [key, amount] of Object.entries(value)) {
    const address = parseAddress(key, `alloc.${key}`, problems);
    const wei = parseWei(amount, `alloc.${key}`, problems);
    if (address === undefined || wei === undefined) continue;
    if (alloc.has(address)) problems.add(`alloc.${key}`, 'the address is listed twice');
    if (address === GOVERNANCE_ADDRESS) problems.add(`alloc.${key}`, NOBODYS);
    alloc.set(address, wei);
  }
  return alloc;
}

/** What the time-outs must leave room for; each rule is a sentence of consensus section 4 or 5. */
function checkTimes(settings: ConsensusSettings, problems: Problems): void {
  const { deltaMs, suspicionTimeoutMs, requestTimeoutMs } = settings;
  for (const { field, expected } of timingMisfits(settings)) {
    problems.expected(`consensus.${field}`, expected, settings[field]);
  }
  if (requestTimeoutMs < suspicionTimeoutMs) {
    const expected = `at least ${suspicionTimeoutMs} (suspicionTimeoutMs, or a slow block looks like censorship)`;
    problems.expected('consensus.requestTimeoutMs', expected, requestTimeoutMs);
  }
  if (settings.emptyBlockPeriodMs > 0 && settings.emptyBlockPeriodMs < deltaMs) {
    problems.expected('consensus.emptyBlockPeriodMs', '0 or at least deltaMs', settings.emptyBlockPeriodMs);
  }
}

function parseConsensus(value: unknown, problems: Problems): ConsensusSettings {
  const keys = Object.keys(CONSENSUS_RANGES) as (keyof ConsensusSettings)[];
  const fields = value === undefined ? {} : parseObject(value, 'consensus', keys, problems);
  const before = problems.list.length;
  const settings: { -readonly [K in keyof ConsensusSettings]: number } = { ...DEFAULT_CONSENSUS };
  for (const key of keys) {
    const given = fields?.[key];
    if (given === undefined) continue;
    settings[key] = parseInteger(given, `consensus.${key}`, CONSENSUS_RANGES[key], problems) ?? settings[key];
  }
  if (problems.list.length === before) checkTimes(settings, problems);
  return settings;
}

/** Every field may be left out; `validators` is how many the chain begins with. */
function parseGovernance(value: unknown, validators: number, problems: Problems): Rules {
  const keys = Object.keys(POLICY_RANGES) as (keyof typeof POLICY_RANGES)[];
  const fields = value === undefined ? {} : parseObject(value, 'governance', [...keys, 'evidenceRemoves'], problems);
  const rules: { -readonly [K in keyof Rules]: Rules[K] } = { ...DEFAULT_RULES };
  for (const key of keys) {
    const given = fields?.[key];
    if (given === undefined) continue;
    rules[key] = parseInteger(given, `governance.${key}`, POLICY_RANGES[key], problems) ?? rules[key];
  }
  const removes = fields?.['evidenceRemoves'];
  if (removes !== undefined) {
    rules.evidenceRemoves = parseBoolean(removes, 'governance.evidenceRemoves', problems) ?? rules.evidenceRemoves;
  }
  if (validators > 0 && rules.leastValidators > validators) {
    const what = `at most ${validators} (the chain begins with so many validators)`;
    problems.expected('governance.leastValidators', what, rules.leastValidators);
  }
  return rules;
}

/** Genesis from parsed JSON. Throws one QuorateError GENESIS_INVALID that lists every problem; `source` names the file. */
export function parseGenesis(value: unknown, source = 'the genesis'): Genesis {
  const problems = new Problems();
  const fields = parseObject(value, '', FIELDS, problems) ?? {};
  const integer = (field: string, min: number, max: number, fallback?: number) =>
    fields[field] === undefined && fallback !== undefined
      ? fallback
      : (parseInteger(fields[field], field, { min, max }, problems) ?? 0);
  integer('version', GENESIS_VERSION, GENESIS_VERSION);
  const settings: Omit<Genesis, 'governance'> = {
    version: GENESIS_VERSION,
    chainId: integer('chainId', 1, CHAIN_ID_MAX),
    timestamp: integer('timestamp', 0, 2 ** 40),
    validators: parseValidators(fields['validators'], problems),
    alloc: parseAlloc(fields['alloc'], problems),
    gasLimit: integer('gasLimit', 21_000, 2 ** 40, DEFAULT_GAS_LIMIT),
    gasPriceFloor:
      fields['gasPriceFloor'] === undefined ? 0n : (parseWei(fields['gasPriceFloor'], 'gasPriceFloor', problems) ?? 0n),
    consensus: parseConsensus(fields['consensus'], problems),
  };
  const governance = parseGovernance(fields['governance'], settings.validators.length, problems);
  if (problems.list.length > 0) throw invalid(source, problems.list);
  return { ...settings, governance };
}

/** Genesis from the text of a file. */
export function parseGenesisText(text: string, source = 'the genesis'): Genesis {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(source, [`not JSON: ${errorMessage(cause)}`]);
  }
  return parseGenesis(value, source);
}

function invalid(source: string, problems: readonly string[]): QuorateError {
  return new QuorateError('GENESIS_INVALID', `${source} is not valid: ${problems.join('; ')}`, { data: { problems } });
}
