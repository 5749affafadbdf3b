/**
 * A validator cheats over the real protocol, with its own key: the others convict it, every node shows it, a stranger
 * verifies it from a file, an operator hands it in, and the culprit is no member of the next epoch.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EpochConfig, NO_TIMING } from '../../consensus/config.ts';
import type { Vote } from '../../consensus/message.ts';
import { encodeMessage } from '../../consensus/message-codec.ts';
import { statementDigest } from '../../consensus/statement.ts';
import { peerIdOf } from '../../genesis/peer-address.ts';
import type { EpochView } from '../../node/epoch-view.ts';
import type { EvidenceSummary } from '../../node/evidence-view.ts';
import { loadNodeKeys } from '../../node/node-keys.ts';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import { utf8 } from '../../primitives/bytes.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import { DEFAULT_POLICY } from '../../primitives/policy.ts';
import { sign } from '../../primitives/secp256k1.ts';
import { Devnet, temporaryFolder } from './devnet.ts';
import { Governance } from './governance.ts';
import { founders, type Member } from './members.ts';
import { run, runJson } from './processes.ts';
import { until } from './until.ts';

/** Primary of view 0. */
const CHEAT = 0;
const HONEST = [1, 2];

let devnet: Devnet;
let members: Member[];
let folder: string;

beforeAll(async () => {
  devnet = await Devnet.start();
  members = founders(devnet);
  folder = await temporaryFolder();
});

afterAll(async () => {
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const genesisPath = (): string => join(devnet.dir, 'genesis.json');

/** What the signatures of an epoch bind, as any node tells it. */
async function configOf(epoch: number): Promise<EpochConfig> {
  const { rpc } = members[HONEST[0]!]!;
  const view = await rpc.call<EpochView>('xft_getEpoch', [epoch]);
  const genesis = await rpc.call<{ hash: string }>('eth_getBlockByNumber', ['0x0', false]);
  return {
    chainId: devnet.line.chainId,
    genesisHash: genesis.hash,
    epoch,
    validators: view.validators.map(({ address }) => address),
    membershipHash: view.membershipHash,
    root: { height: Math.max(0, view.firstBlock - 1), hash: genesis.hash },
    parameters: NO_TIMING,
  };
}

/** Two PREPAREs for one height, to everybody, from the cheat's own address and with its own keys. */
async function equivocate(config: EpochConfig, height: number): Promise<void> {
  const { dataDir } = devnet.line.validators[CHEAT]!;
  const keys = await loadNodeKeys(dataDir, async () => 'devnet');
  const validator = keys.validator!;
  const file = JSON.parse(readFileSync(genesisPath(), 'utf8')) as {
    validators: { nodeKey: string; addresses: string[] }[];
  };
  const peers = file.validators.map(({ nodeKey, addresses }) => ({ peer: peerIdOf(nodeKey), addresses }));
  const transport = createLibp2pTransport({
    privateKey: keys.nodePrivateKey,
    listen: { host: '127.0.0.1', port: 0 },
    genesisHash: config.genesisHash,
    chainId: config.chainId,
    validators: peers,
    allowedPeers: [],
    log: () => undefined,
  });
  const prepare = (hash: string): Vote => {
    const fields = { kind: 'PREPARE', epoch: config.epoch, view: 0, viewCertificate: '', height, hash } as const;
    const vote = { ...fields, signer: CHEAT, incarnation: '0x' + '5a'.repeat(16) };
    return { ...vote, signature: sign(statementDigest(config, vote), validator.privateKey) };
  };
  const lies = ['one', 'another'].map((text) =>
    encodeMessage({ kind: 'PROPOSAL', prepare: prepare(keccakHash(utf8(text))), block: utf8('no block') }),
  );
  await transport.start();
  try {
    const honest = HONEST.map((index) => peers[index]!.peer);
    await until('the cheat is linked with the others', async () =>
      honest.every((peer) => transport.connected().includes(peer)),
    );
    await until('it is convicted', async () => {
      for (const peer of honest) for (const lie of lies) transport.send(peer, 'blocks', lie);
      return (await held(HONEST[0]!)).some(({ kind }) => kind === 'equivocation');
    });
  } finally {
    await transport.stop();
  }
}

function held(index: number): Promise<readonly EvidenceSummary[]> {
  return members[index]!.rpc.call<readonly EvidenceSummary[]>('xft_getEvidence', []);
}

test('a validator that equivocates is convicted everywhere, shown, verified from a file, and removed', async () => {
  const [, second, third] = members as [Member, Member, Member];
  const governance = new Governance(second.rpc.url);
  const policy = { ...DEFAULT_POLICY, evidenceRemoves: true };
  const { id } = await governance.propose(second.operator, { policy });
  const { epoch } = await governance.vote(third.operator, id);
  expect(epoch).toBe(1);
  await until('all are in epoch 1', async () =>
    (await Promise.all(members.map((member) => member.status()))).every((status) => status.epoch === 1),
  );
  const config = await configOf(1);
  const culprit = config.validators[CHEAT]!;

  await members[CHEAT]!.kill();
  await equivocate(config, (await second.rpc.blockNumber()) + 1);
  await until('everybody knows', async () =>
    (await Promise.all(HONEST.map(held))).every((list) => list.some(({ kind }) => kind === 'equivocation')),
  );

  const rpc = ['--rpc', second.rpc.url];
  const listed = await runJson<readonly EvidenceSummary[]>(['evidence', 'list', ...rpc, '--json']);
  const found = listed.find(({ kind }) => kind === 'equivocation')!;
  expect(found).toMatchObject({ epoch: 1, view: 0, culprit, index: CHEAT });
  const status = await second.status();
  expect(status.validators.map(({ provenFaulty }) => provenFaulty)).toEqual([true, false, false]);
  const metrics = await (await fetch(devnet.line.validators[1]!.metrics)).text();
  expect(metrics).toContain(`quorate_proven_fault{culprit="${culprit}",kind="equivocation",epoch="1",view="0"} 1`);
  await until('the log names it', async () => second.log.includes('proven fault') && second.log.includes(culprit));

  const whole = await run(['evidence', 'show', found.id, ...rpc, '--json']);
  const file = join(folder, 'fault.json');
  writeFileSync(file, whole.stdout);
  const verified = await runJson(['evidence', 'verify', file, '--genesis', genesisPath(), '--json']);
  expect(verified).toMatchObject({ id: found.id, kind: 'equivocation', epoch: 1, culprit });
  // Against somebody else, or about another epoch, the same bytes prove nothing.
  const parsed = JSON.parse(whole.stdout) as { evidence: string; epochs: unknown[] };
  const other = join(folder, 'other.json');
  writeFileSync(other, JSON.stringify({ ...parsed, epochs: [] }));
  expect((await run(['evidence', 'verify', other, '--genesis', genesisPath()])).code).toBe(1);

  // It survives a restart of the node that keeps it.
  await second.kill();
  await second.start();
  expect((await held(1)).map(({ id: kept }) => kept)).toContain(found.id);

  const done = await governance.reportEvidence(second.operator, parsed.evidence);
  expect(done).toMatchObject({ events: ['EvidenceRecorded', 'EpochClosed'], epoch: 2 });
  // The others go on without it.
  await governance.propose(second.operator, { policy: { ...policy, readyLag: 7 } });
  expect(await governance.validators()).toEqual(config.validators.slice(1));
  expect(await governance.epoch()).toBe(2);
});
