/** The node's own host on a simulated machine, over the real ledger and pool: what runs in production, but for its ports. */
import { encodeMessage } from '../../consensus/message-codec.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { Pool } from '../../ledger/pool.ts';
import { EvidenceDesk } from '../../node/evidence-desk.ts';
import { EvidenceShelf } from '../../node/evidence-shelf.ts';
import { Host } from '../../node/host.ts';
import { Readiness } from '../../node/readiness.ts';
import { hexBytes } from '../../primitives/bytes.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import { sign } from '../../primitives/secp256k1.ts';
import { signTransaction } from '../../primitives/sign-transaction.ts';
import type { SubmitResult } from './clients.ts';
import type { OpenProcess, ProcessEnvironment } from './process.ts';
import { ledgerOptions, type Platform, sharedSetting } from './setting.ts';
import { traceText } from './trace-text.ts';
import { BASE_FEE, CHAIN_ID, decode, GAS_LIMIT } from './transactions.ts';

/** The ledger, telling the world of what is final and of what would close an epoch. */
async function openLedger(env: ProcessEnvironment): Promise<Ledger> {
  const ledger = await Ledger.open({ ...ledgerOptions(env.founding), store: env.store });
  const commit = ledger.commit.bind(ledger);
  ledger.commit = (hash, proof, done) => {
    const block = ledger.block(hash);
    if (block !== undefined) env.onDeliver(block, proof);
    commit(hash, proof, done);
  };
  const build = ledger.build.bind(ledger);
  ledger.build = (request) => {
    const built = build(request);
    if (built.closes) env.onClosing(built.block);
    return built;
  };
  const execute = ledger.execute.bind(ledger);
  ledger.execute = (block, judge, expect) => {
    const result = execute(block, judge, expect);
    if (result.ok && result.closes) env.onClosing(block);
    return result;
  };
  return ledger;
}

/** As the node does it: READYs are signed with the validator key and handed to the node itself. */
function makeReadiness(
  env: ProcessEnvironment,
  secret: Bytes,
  node: { readonly submit: (raw: Bytes) => SubmitResult; readonly nextNonce: (address: Address) => number },
): Readiness {
  return new Readiness({
    chainId: CHAIN_ID,
    genesisHash: env.chain.genesisHash,
    validator: env.machines[env.self]!.validator,
    incarnation: env.incarnation,
    baseFee: BASE_FEE,
    sign: (digest) => sign(digest, secret),
    submit: (fields) => {
      const result = node.submit(hexBytes(signTransaction(fields, secret).raw));
      return result.ok ? undefined : result.message;
    },
    nextNonce: node.nextNonce,
    nowMs: () => env.clock.monotonicMs(),
    wallMs: () => env.clock.wallMs(),
    onTold: (text, refused) => env.log('readiness', refused === undefined ? text : `${text} failed: ${refused}`),
  });
}

const open: OpenProcess = async (env) => {
  const ledger = await openLedger(env);
  const account = (address: Address) => ledger.account(address, { final: true });
  const pool = new Pool({
    chainId: CHAIN_ID,
    gasLimit: GAS_LIMIT,
    baseFee: BASE_FEE,
    account,
    now: () => env.clock.monotonicMs(),
  });
  const numberOf = new Map(env.machines.map(({ nodeKey }, number) => [nodeKey, number]));
  const numberOfMember = (index: number) => numberOf.get(host.epoch.members[index]?.nodeKey ?? '');
  const submit = (raw: Bytes): SubmitResult => {
    const outcome = host.submit(raw);
    return 'hash' in outcome ? { ok: true } : { ok: false, message: outcome.message };
  };
  const nextNonce = (address: Address): number =>
    pool.pendingNonce(address, ledger.account(address, { tip: true })?.nonce);
  const { validatorSecret } = env;
  const readiness = validatorSecret && makeReadiness(env, validatorSecret, { submit, nextNonce });
  const host: Host = new Host({
    chain: env.chain,
    identity: env.machines[env.self]!,
    incarnation: env.incarnation,
    signer: { sign: env.sign, recover: env.recover },
    ledger,
    pool,
    decodeTransaction: decode,
    log: env.wal,
    network: {
      send: (to, channel, payload) => env.send(numberOf.get(to)!, channel, payload),
      toObservers: (channel, payload) => {
        const members = new Set(host.epoch.members.map(({ nodeKey }) => nodeKey));
        for (const [nodeKey, number] of numberOf) if (!members.has(nodeKey)) env.send(number, channel, payload);
      },
    },
    clock: {
      monotonicMs: () => env.clock.monotonicMs(),
      wallMs: () => env.clock.wallMs(),
      defer: (callback) => env.defer(callback),
    },
    settings: env.settings,
    nonce: env.nonce,
    onTrace: (trace) => {
      const machine = trace.name === 'conflict' || trace.name === 'proven' ? numberOfMember(trace.signer) : undefined;
      const block = trace.name === 'certified' ? trace.hash : undefined;
      const view = trace.name === 'view-entered' ? trace.view : undefined;
      env.log(trace.name, traceText(trace, numberOfMember), { machine, block, view });
    },
    onProof: (proof) => {
      const block = env.gossips ? ledger.rawBlock(proof.height) : undefined;
      if (block === undefined) return;
      const payload = encodeMessage({ kind: 'FINAL', block, proof });
      for (const number of numberOf.values()) env.send(number, 'gossip', payload);
    },
    ...(readiness && { readiness }),
    evidence: new EvidenceDesk(
      { chain: env.chain, ledger, recover: env.recover, nowMs: () => env.clock.monotonicMs() },
      new EvidenceShelf(() => undefined),
    ),
    onEpoch: ({ epoch, members }, self) => {
      if (epoch > 0)
        env.log(
          'epoch',
          `is in epoch ${epoch} of ${members.length}, ${self < 0 ? 'no validator' : `validator ${self}`}`,
          { epoch },
        );
    },
  });
  let isStarted = false;
  return {
    start: () => {
      host.start(env.records, { clean: env.walState === 'clean', afterLoss: env.afterLoss });
      isStarted = true;
    },
    onMessage: (from, channel, payload) => {
      if (channel === 'gossip') host.onGossipedBlock(payload);
      else host.onMessage(env.machines[from]!.nodeKey, channel, payload);
    },
    onConnected: (peer) => host.onConnected(env.machines[peer]!.nodeKey),
    tick: () => host.tick(),
    submit,
    head: () => ledger.head,
    account,
    governance: () => ledger.governance({ final: true }),
    standing: () => ({ config: host.config, self: host.self, phase: host.status.phase }),
    takesPart: () => isStarted && (host.status.phase === 'running' || host.status.phase === 'ended'),
  };
};

/** The whole node but for sockets, disks and clocks. */
export const HOST: Platform = { open, shared: sharedSetting };
