/**
 * A node's own settings: `config.json` beside its keys, then `QUORATE_*` variables, then flags, the later the stronger.
 * All three are read strictly and every problem is told at once. What the whole chain must agree on is in the genesis.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Genesis } from '../genesis/genesis.ts';
import { parseGenesisText } from '../genesis/parse.ts';
import { parseMultiaddr, parseNodeKey } from '../genesis/peer-address.ts';
import { POOL_LIMITS, type PoolLimits } from '../ledger/pool-limits.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import { Problems, parseInteger, parseObject } from '../primitives/parse.ts';
import { CONFIG_FILE, GENESIS_FILE } from './data-dir.ts';

type Endpoint = { readonly host: string; readonly port: number };

/** The pool's bounds; how large one transaction may be is no node's own choice. */
type PoolSettings = Omit<PoolLimits, 'transactionBytesMax'>;

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type NodeConfig = {
  /** HTTP and WebSocket. `cors`: allowed origins, `*` for all; `allowedHosts`: Host names besides localhost and IPs. */
  readonly rpc: Endpoint & { readonly cors: readonly string[]; readonly allowedHosts: readonly string[] };
  /** `announce`: multiaddrs under which others reach this node, when they differ from host and port. */
  readonly p2p: Endpoint & { readonly announce?: readonly string[] };
  readonly metrics: Endpoint;
  /** Multiaddrs by node key; they override the hints of the genesis. */
  readonly peers: Readonly<Record<string, readonly string[]>>;
  /** Node keys admitted besides the validators'; `*` admits any observer. */
  readonly allowedPeers: readonly string[];
  readonly pool: PoolSettings;
  /** Blocks behind from which on a node that only follows takes a snapshot instead of executing them; 0: never. */
  readonly snapshotAfter: number;
  readonly logLevel: LogLevel;
  /** A damaged store is moved aside at the start and the chain fetched anew, instead of a refusal. */
  readonly rebuildStore: boolean;
  /** File that holds the password of the keys; absolute once loaded. */
  readonly passwordFile?: string;
};

export const DEFAULT_RPC_PORT = 8545;
export const DEFAULT_P2P_PORT = 30300;
export const DEFAULT_METRICS_PORT = 9545;
const LOOPBACK = '127.0.0.1';

const { transactionBytesMax: _, ...defaultPool } = POOL_LIMITS;

export const DEFAULT_CONFIG: NodeConfig = {
  rpc: { host: LOOPBACK, port: DEFAULT_RPC_PORT, cors: [], allowedHosts: [] },
  p2p: { host: LOOPBACK, port: DEFAULT_P2P_PORT },
  metrics: { host: LOOPBACK, port: DEFAULT_METRICS_PORT },
  peers: {},
  allowedPeers: [],
  pool: defaultPool,
  snapshotAfter: 1024,
  logLevel: 'info',
  rebuildStore: false,
};

type Kind = 'host' | 'port' | 'list' | 'count' | 'level' | 'switch' | 'path';

/** Every setting that a variable or a flag can carry: QUORATE_RPC_PORT and --rpc-port are `rpc.port`. */
const SETTINGS: Readonly<Record<string, Kind>> = {
  'rpc.host': 'host',
  'rpc.port': 'port',
  'rpc.cors': 'list',
  'rpc.allowedHosts': 'list',
  'p2p.host': 'host',
  'p2p.port': 'port',
  'p2p.announce': 'list',
  'metrics.host': 'host',
  'metrics.port': 'port',
  allowedPeers: 'list',
  'pool.transactionsMax': 'count',
  'pool.bytesMax': 'count',
  'pool.executablePerSender': 'count',
  'pool.gappedPerSender': 'count',
  'pool.timeToLiveMs': 'count',
  'pool.priceBumpPercent': 'count',
  snapshotAfter: 'count',
  logLevel: 'level',
  rebuildStore: 'switch',
  passwordFile: 'path',
};

/** `rpc.allowedHosts` is the variable QUORATE_RPC_ALLOWED_HOSTS. */
export function variableOf(setting: string): string {
  return (
    'QUORATE_' + setting.replace(/([A-Z])|\./g, (_, upper) => (upper === undefined ? '_' : `_${upper}`)).toUpperCase()
  );
}

/** Settings as dotted names, as variables and flags give them: all strings. */
export type Overrides = Readonly<Record<string, string | undefined>>;

/** The `QUORATE_*` variables that are settings. */
export function environmentOverrides(env: NodeJS.ProcessEnv): Overrides {
  return Object.fromEntries(Object.keys(SETTINGS).map((setting) => [setting, env[variableOf(setting)]]));
}

type Raw = Record<string, unknown>;

/** Text from a variable or a flag in the type the file would hold; a wrong one stays text and is refused with the rest. */
function fromText(kind: Kind, text: string): unknown {
  if (kind === 'port' || kind === 'count') return /^\d+$/.test(text) ? Number(text) : text;
  if (kind === 'switch') return text === 'true' ? true : text === 'false' ? false : text;
  if (kind === 'list') return text === '' ? [] : text.split(',').map((item) => item.trim());
  return text;
}

/** Lays overrides over the file's fields. Problems are then named by the setting's path, whoever set it. */
function overlay(file: Raw, overrides: Overrides): Raw {
  const out: Raw = { ...file };
  for (const [setting, text] of Object.entries(overrides)) {
    const kind = SETTINGS[setting];
    if (text === undefined || kind === undefined) continue;
    const [head, field] = setting.split('.') as [string, string | undefined];
    const value = fromText(kind, text);
    if (field === undefined) out[head] = value;
    else out[head] = { ...(out[head] as Raw | undefined), [field]: value };
  }
  return out;
}

function parseHost(value: unknown, path: string, problems: Problems): string | undefined {
  if (typeof value === 'string' && (isIP(value) !== 0 || value === 'localhost')) return value;
  return problems.expected(path, 'an IP address or localhost', value);
}

function parsePort(value: unknown, path: string, problems: Problems): number | undefined {
  return parseInteger(value, path, { min: 0, max: 65_535 }, problems);
}

function parseEndpoint(
  value: unknown,
  path: string,
  fallback: Endpoint,
  extra: string[],
  problems: Problems,
): Endpoint {
  const fields = value === undefined ? {} : parseObject(value, path, ['host', 'port', ...extra], problems);
  const given = { ...fallback, ...fields };
  return {
    host: parseHost(given.host, `${path}.host`, problems) ?? fallback.host,
    port: parsePort(given.port, `${path}.port`, problems) ?? fallback.port,
  };
}

function parseStrings(value: unknown, path: string, what: string, problems: Problems): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string' || item === '')) {
    problems.expected(path, `an array of ${what}`, value);
    return [];
  }
  return value as string[];
}

function parsePeers(value: unknown, problems: Problems): Record<string, string[]> {
  const peers: Record<string, string[]> = {};
  if (value === undefined) return peers;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.expected('peers', 'an object of node key: [multiaddr, …]', value);
    return peers;
  }
  for (const [key, list] of Object.entries(value)) {
    const nodeKey = parseNodeKey(key, `peers.${key}`, problems);
    const addresses = parseStrings(list, `peers.${key}`, 'multiaddrs', problems);
    addresses.forEach((item, i) => {
      parseMultiaddr(item, `peers.${key}[${i}]`, nodeKey, problems);
    });
    if (nodeKey !== undefined) peers[nodeKey] = addresses;
  }
  return peers;
}

function parseAllowedPeers(value: unknown, problems: Problems): string[] {
  const list = parseStrings(value, 'allowedPeers', 'node keys, or "*"', problems);
  return list.map((key, i) => (key === '*' ? key : (parseNodeKey(key, `allowedPeers[${i}]`, problems) ?? key)));
}

function parsePool(value: unknown, problems: Problems): PoolSettings {
  const limits: { -readonly [K in keyof PoolSettings]: number } = { ...DEFAULT_CONFIG.pool };
  const keys = Object.keys(limits) as (keyof PoolSettings)[];
  const fields = value === undefined ? {} : (parseObject(value, 'pool', keys, problems) ?? {});
  const range = { min: 1, max: 2 ** 40 };
  for (const key of keys) {
    if (fields[key] !== undefined)
      limits[key] = parseInteger(fields[key], `pool.${key}`, range, problems) ?? limits[key];
  }
  return limits;
}

function parseSnapshotAfter(value: unknown, problems: Problems): number {
  if (value === undefined) return DEFAULT_CONFIG.snapshotAfter;
  return parseInteger(value, 'snapshotAfter', { min: 0, max: 2 ** 40 }, problems) ?? DEFAULT_CONFIG.snapshotAfter;
}

function parseLogLevel(value: unknown, problems: Problems): LogLevel {
  const level = LOG_LEVELS.find((known) => known === value);
  if (level === undefined && value !== undefined)
    problems.expected('logLevel', `one of ${LOG_LEVELS.join(', ')}`, value);
  return level ?? DEFAULT_CONFIG.logLevel;
}

function parseSwitch(value: unknown, path: string, problems: Problems): boolean {
  if (value !== undefined && typeof value !== 'boolean') problems.expected(path, 'true or false', value);
  return value === true;
}

function parseP2p(value: unknown, problems: Problems): NodeConfig['p2p'] {
  const endpoint = parseEndpoint(value, 'p2p', DEFAULT_CONFIG.p2p, ['announce'], problems);
  const list = (value as Raw | undefined)?.['announce'];
  if (list === undefined) return endpoint;
  const announce = parseStrings(list, 'p2p.announce', 'multiaddrs', problems);
  for (const [i, item] of announce.entries()) parseMultiaddr(item, `p2p.announce[${i}]`, undefined, problems);
  return { ...endpoint, announce };
}

/** Two listeners on one port of one host cannot both start; port 0 lets the system choose and never collides. */
function checkPorts(config: NodeConfig, problems: Problems): void {
  const seen = new Map<string, string>();
  for (const name of ['rpc', 'p2p', 'metrics'] as const) {
    const { host, port } = config[name];
    const key = `${host} ${port}`;
    const first = seen.get(key);
    if (port !== 0 && first !== undefined) problems.add(`${name}.port`, `${port} is already used by ${first}.port`);
    seen.set(key, name);
  }
}

/** Configuration from parsed JSON and overrides, weakest first. Throws one CONFIG_INVALID that lists every problem. */
export function parseConfig(
  value: unknown,
  overrides: readonly Overrides[] = [],
  source = 'the configuration',
): NodeConfig {
  const problems = new Problems();
  const own = ['pool', 'snapshotAfter', 'logLevel', 'rebuildStore', 'passwordFile'];
  const known = ['rpc', 'p2p', 'metrics', 'peers', 'allowedPeers', ...own];
  const file = parseObject(value, '', known, problems) ?? {};
  const fields = overrides.reduce<Raw>((below, above) => overlay(below, above), { ...file });
  const rpc = fields['rpc'] as Raw | undefined;
  const passwordFile = fields['passwordFile'];
  if (passwordFile !== undefined && (typeof passwordFile !== 'string' || passwordFile === '')) {
    problems.expected('passwordFile', 'a path', passwordFile);
  }
  const config: NodeConfig = {
    rpc: {
      ...parseEndpoint(rpc, 'rpc', DEFAULT_CONFIG.rpc, ['cors', 'allowedHosts'], problems),
      cors: parseStrings(rpc?.['cors'], 'rpc.cors', 'origins, or "*"', problems),
      allowedHosts: parseStrings(rpc?.['allowedHosts'], 'rpc.allowedHosts', 'host names', problems),
    },
    p2p: parseP2p(fields['p2p'], problems),
    metrics: parseEndpoint(fields['metrics'], 'metrics', DEFAULT_CONFIG.metrics, [], problems),
    peers: parsePeers(fields['peers'], problems),
    allowedPeers: parseAllowedPeers(fields['allowedPeers'], problems),
    pool: parsePool(fields['pool'], problems),
    snapshotAfter: parseSnapshotAfter(fields['snapshotAfter'], problems),
    logLevel: parseLogLevel(fields['logLevel'], problems),
    rebuildStore: parseSwitch(fields['rebuildStore'], 'rebuildStore', problems),
    ...(typeof passwordFile === 'string' && { passwordFile }),
  };
  checkPorts(config, problems);
  if (problems.list.length > 0) {
    throw new QuorateError('CONFIG_INVALID', `${source} is not valid: ${problems.list.join('; ')}`, {
      data: { problems: problems.list },
    });
  }
  return config;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * The configuration of a data folder. `file` names another file than its `config.json`; without any file the defaults
 * hold. A relative `passwordFile` in the file is relative to the file; in a variable or flag, to the working folder.
 */
export async function loadConfig(options: {
  readonly dataDir: string;
  readonly file?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly flags?: Overrides;
}): Promise<NodeConfig> {
  const path = options.file ?? join(options.dataDir, CONFIG_FILE);
  const text = await readText(path);
  if (text === undefined && options.file !== undefined) {
    throw new QuorateError('CONFIG_INVALID', `there is no configuration file ${path}; check --config`);
  }
  const value = text === undefined ? {} : parseJson(text, path);
  const above = [environmentOverrides(options.env ?? {}), options.flags ?? {}];
  const config = parseConfig(value, above, path);
  if (config.passwordFile === undefined) return config;
  const overridden = above.some((overrides) => overrides['passwordFile'] !== undefined);
  const passwordFile = overridden ? resolve(config.passwordFile) : resolve(dirname(path), config.passwordFile);
  return { ...config, passwordFile };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QuorateError('CONFIG_INVALID', `${path} is not JSON: ${errorMessage(cause)}`, { cause });
  }
}

/** The genesis a data folder runs on: its own copy, or the file named. */
export async function loadGenesis(dataDir: string, file?: string): Promise<Genesis> {
  const path = file ?? join(dataDir, GENESIS_FILE);
  const text = await readText(path);
  if (text === undefined) {
    throw new QuorateError('GENESIS_INVALID', `there is no genesis file ${path}; name the chain's with --genesis FILE`);
  }
  return parseGenesisText(text, path);
}
