/** The node's own host on a simulated machine, over the real ledger and pool: what runs in production, but for its ports. */
import { Ledger } from '../../ledger/ledger.ts';
import { Pool } from '../../ledger/pool.ts';
import { Host } from '../../node/host.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import type { OpenProcess } from './process.ts';
import { ledgerOptions, type Platform, sharedSetting } from './setting.ts';
import { traceText } from './trace-text.ts';
import { BASE_FEE, CHAIN_ID, decode, GAS_LIMIT } from './transactions.ts';

const open: OpenProcess = async (env) => {
  const ledger = await Ledger.open({ ...ledgerOptions(env.config.membershipHash), store: env.store });
  const commit = ledger.commit.bind(ledger);
  ledger.commit = (hash, proof, done) => {
    const block = ledger.block(hash);
    if (block !== undefined) env.onDeliver(block, proof);
    commit(hash, proof, done);
  };
  const account = (address: Address) => ledger.account(address, { final: true });
  const pool = new Pool({
    chainId: CHAIN_ID,
    gasLimit: GAS_LIMIT,
    baseFee: BASE_FEE,
    account,
    now: () => env.clock.monotonicMs(),
  });
  const { config } = env;
  const host = new Host({
    config,
    operators: config.validators,
    self: env.self,
    incarnation: env.incarnation,
    signer: { sign: env.sign, recover: env.recover },
    ledger,
    pool,
    decodeTransaction: decode,
    log: env.wal,
    network: { send: env.send },
    clock: {
      monotonicMs: () => env.clock.monotonicMs(),
      wallMs: () => env.clock.wallMs(),
      defer: (callback) => env.defer(callback),
    },
    settings: env.settings,
    nonce: env.nonce,
    onTrace: (trace) => env.log(trace.name, traceText(trace), trace.name === 'conflict' ? trace.signer : undefined),
  });
  return {
    start: () => host.start(env.records, env.walState === 'clean'),
    onMessage: (from, channel, payload) => host.onMessage(from, channel, payload),
    onConnected: (peer) => host.onConnected(peer),
    tick: () => host.tick(),
    submit: (raw: Bytes) => {
      const outcome = host.submit(raw);
      return 'hash' in outcome ? { ok: true } : { ok: false, message: outcome.message };
    },
    head: () => ledger.head,
    account,
  };
};

/** The whole node but for sockets, disks and clocks. */
export const HOST: Platform = { open, shared: sharedSetting };
