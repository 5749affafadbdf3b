/**
 * What every client is put through, and how its script reports. A script names a check and does it with the client's own
 * means, its own waiting and its own errors; a check that its client has no means for is left out. Reports go to stdout,
 * one JSON object a line: first `{"version","untried"}`, then `{"check","ok","error"}`.
 */
import assert from 'node:assert/strict';

/** Checks by name, in the order in which they run: those that move the nonce of an account stand where others expect it. */
export const CHECKS = {
  chain: 'chain id and client version',
  account: 'balance, nonce, code',
  estimate: 'gas of a transfer',
  fees: 'fees it would offer',
  transfer: 'signed transfer, waited for by the client',
  repeated: 'five transfers one after another',
  block: 'block with its transactions',
  unknown: 'what does not exist is absent, not an error',
  polling: 'new blocks by polling',
  socket: 'new blocks by WebSocket',
  logs: 'logs and filters',
  contract: 'reads, a transaction, its events and a revert of the governance contract, by its ABI',
  funds: 'insufficient funds, as its own error',
  nonce: 'nonce too low, as its own error',
  replacement: 'underpriced replacement, as its own error',
};

/** A check that waits longer has hung: nothing on a devnet takes a second. */
const CHECK_TIMEOUT_MS = 60_000;

/** What `quorate devnet --json` printed; every script has a network of its own. */
export const devnet = JSON.parse(process.env['QUORATE_DEVNET'] ?? '{}');
export const http = devnet.validators?.[0].rpc;
/** Of another validator, so that what is heard there was agreed on. */
export const socket = devnet.validators?.[1].ws;
export const CHAIN_ID = devnet.chainId;
/** Sends; receives; has nothing. */
export const alice = devnet.accounts?.[0];
export const bob = devnet.accounts?.[1];
export const pauper = {
  address: '0xa8049bB68181799124F98E467DD749e120abFA64',
  privateKey: '0x' + '5a'.repeat(32),
};
/** May propose. */
export const operator = devnet.accounts?.find(({ address }) => same(address, devnet.validators[0].operator));
export const GOVERNANCE = '0x0000000000000000000000000000000000000100';
export const ABI = JSON.parse(process.env['QUORATE_ABI'] ?? '[]');
/** What is proposed: proposals that live for an hour. It stays open, as two of three operators have to approve. */
export const POLICY = {
  quorumBasisPoints: 5000,
  expirySeconds: 3600,
  evidenceRemoves: false,
  leastValidators: 1,
  readyLag: 1024,
  rejoinIntervalSeconds: 60,
  deltaMs: 0,
  suspicionTimeoutMs: 0,
  suspicionTimeoutMaxMs: 0,
};
/** Why a vote on a proposal that does not exist is refused. */
export const NO_PROPOSAL = /there is no proposal 99/;
export const COIN = 10n ** 18n;
export const NO_HASH = '0x' + '11'.repeat(32);

/** Whether two texts name one address. */
export function same(one, other) {
  return one.toLowerCase() === other.toLowerCase();
}

function report(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

async function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${CHECK_TIMEOUT_MS / 1000} s`)), CHECK_TIMEOUT_MS);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs a script's checks and ends the process: some clients keep sockets and timers. */
export async function run(version, checks) {
  process.on('unhandledRejection', (error) => report({ check: 'unhandled', ok: false, error: String(error) }));
  const untried = Object.entries(CHECKS).filter(([name]) => checks[name] === undefined);
  report({ version, untried: untried.map(([, title]) => title) });
  for (const name of Object.keys(checks)) assert(name in CHECKS, `there is no check ${name}`);
  for (const name of Object.keys(CHECKS)) {
    if (checks[name] === undefined) continue;
    try {
      await within(checks[name]());
      report({ check: name, ok: true });
    } catch (error) {
      report({
        check: name,
        ok: false,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }
  process.stdout.write('', () => process.exit(0));
}

/** Polls until `look` gives a value that is neither undefined nor false. */
export async function until(what, look, timeoutMs = 30_000) {
  for (const end = performance.now() + timeoutMs; ; ) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The error that a promise rejects with. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('was not refused');
}

/** A plain call, for what a check needs besides its client. */
export async function rpc(method, ...params) {
  const response = await fetch(http, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = await response.json();
  if (error !== undefined) throw new Error(error.message);
  return result;
}

/** The receipt of a transaction, by plain calls: for where a client's own waiting is not what is looked at. */
export function receiptOf(hash) {
  return until(`${hash} is final`, async () => (await rpc('eth_getTransactionReceipt', hash)) ?? undefined);
}

/**
 * Blocks that a client was told while it made transfers: each once, in order, none left out. `heard` grows by itself;
 * `transfer` gives the number of the block its transaction is in.
 */
export async function follow(heard, transfer) {
  await until('a first block is told', async () => {
    await transfer();
    return heard.length > 0;
  });
  let last = 0;
  for (let i = 0; i < 3; i++) last = Number(await transfer());
  await until(`block ${last} is told`, () => heard.includes(last));
  assert.deepEqual(
    heard,
    heard.map((_, i) => heard[0] + i),
  );
}
