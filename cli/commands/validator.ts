/** `quorate validator …`: who the validators are, and the proposals and votes that change it. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { loadGenesis } from '../../node/config.ts';
import { DESCRIPTOR_FILE } from '../../node/data-dir.ts';
import type { EpochView } from '../../node/epoch-view.ts';
import { proposeCall, voteCall, withdrawCall } from '../../node/governance-call.ts';
import { type PolicyFields, parsePolicyFields, type ValidatorChange } from '../../node/governance-change.ts';
import type { ProposalView } from '../../node/governance-proposals.ts';
import { QuorateError } from '../../primitives/errors.ts';
import { Problems } from '../../primitives/parse.ts';
import { addressArgument, parseHostAndPort, portNumber, splitPair, wholeNumber } from '../arguments.ts';
import { newCommand, newGroup, withJson, withList, withPassword, withRpc } from '../command.ts';
import { readDescriptor } from '../descriptor.ts';
import { type ActOptions, perform } from '../governance/act.ts';
import { createCandidate } from '../governance/create.ts';
import { proposalsText, validatorsText } from '../governance/texts.ts';
import { requireEmptyFolder } from '../network-files.ts';
import { fetchStatus } from '../node-status.ts';
import { clearProgress, pairs, printJson, printLine, progress, warn } from '../output.ts';
import { findPassword } from '../password.ts';
import { RpcClient } from '../rpc-client.ts';

type ReadOptions = { readonly rpc: string; readonly json?: boolean };

async function list(options: ReadOptions): Promise<void> {
  const rpc = new RpcClient(options.rpc);
  const [epoch, status] = await Promise.all([rpc.call('xft_getEpoch'), fetchStatus(rpc)]);
  if (options.json === true) return printJson(epoch);
  return printLine(validatorsText(epoch as EpochView, status));
}

async function proposals(options: ReadOptions): Promise<void> {
  const found = (await new RpcClient(options.rpc).call('xft_getProposals')) as readonly ProposalView[];
  return options.json === true ? printJson(found) : printLine(proposalsText(found));
}

type ProposeOptions = ActOptions & {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly replace?: readonly string[];
  readonly policy?: readonly string[];
};

/** `readyLag=512`, `evidenceRemoves=true`. */
function policyArgument(items: readonly string[]): PolicyFields | undefined {
  const fields = items.map((item) => {
    const [field, text] = splitPair(item, 'FIELD=VALUE');
    const value = text === 'true' || text === 'false' ? text === 'true' : /^\d{1,15}$/.test(text) ? Number(text) : text;
    return [field, value] as const;
  });
  const problems = new Problems();
  const policy = parsePolicyFields(Object.fromEntries(fields), '--policy', problems);
  if (problems.list.length > 0) throw new QuorateError('USAGE', problems.list.join('; '));
  return policy;
}

async function propose(options: ProposeOptions): Promise<void> {
  const pairsOf = (options.replace ?? []).map((item) => splitPair(item, 'ADDRESS=FILE'));
  const policy = policyArgument(options.policy ?? []);
  const change: Omit<ValidatorChange, 'policy'> = {
    additions: await Promise.all((options.add ?? []).map(readDescriptor)),
    removals: (options.remove ?? []).map((item) => addressArgument(item, '--remove')),
    replacements: await Promise.all(
      pairsOf.map(async ([address, file]) => ({
        validator: addressArgument(address, '--replace'),
        by: await readDescriptor(file),
      })),
    ),
  };
  const { additions, removals, replacements } = change;
  if (additions.length + removals.length + replacements.length === 0 && policy === undefined) {
    throw new QuorateError(
      'USAGE',
      'name what is to change: --add FILE, --remove ADDRESS, --replace ADDRESS=FILE or --policy FIELD=VALUE',
    );
  }
  await perform(
    {
      method: 'xft_proposeValidators',
      params: [{ add: additions, remove: removals, replace: replacements, ...(policy !== undefined && { policy }) }],
      // The fields of a policy that are not to change are only known from the node.
      encode: (found) =>
        proposeCall({ ...change, policy: policy === undefined ? undefined : { ...found.change.policy!, ...policy } }),
    },
    options,
  );
}

function proposalArgument(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new QuorateError('USAGE', 'a proposal is named by its number; quorate validator proposals lists them');
  return Number(text);
}

async function vote(proposal: string, options: ActOptions & { readonly reject?: boolean }): Promise<void> {
  const id = proposalArgument(proposal);
  const approve = options.reject !== true;
  await perform({ method: 'xft_voteProposal', params: [id, approve], encode: () => voteCall(id, approve) }, options);
}

async function withdraw(proposal: string, options: ActOptions): Promise<void> {
  const id = proposalArgument(proposal);
  await perform({ method: 'xft_withdrawProposal', params: [id], encode: () => withdrawCall(id) }, options);
}

type CreateOptions = {
  readonly genesis: string;
  readonly out: string;
  readonly operator?: string;
  readonly host?: string;
  readonly p2pPort?: number;
  readonly rpcPort?: number;
  readonly metricsPort?: number;
  readonly rpc?: string;
  readonly light?: boolean;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

/** Where the present validators are found, as a node of the chain says. */
async function peersFrom(url: string | undefined, genesisPath: string): Promise<Record<string, readonly string[]>> {
  if (url === undefined) return {};
  const rpc = new RpcClient(url);
  const { anchorOf } = await import('../../node/epoch-walk.ts');
  const { genesisHash } = anchorOf(await loadGenesis('', genesisPath));
  const first = (await rpc.call('eth_getBlockByNumber', ['0x0', false])) as { readonly hash: string };
  if (first.hash !== genesisHash) {
    const message = `the node at ${url} is of another chain: its block 0 is ${first.hash}, the genesis gives ${genesisHash}; name the right ones`;
    throw new QuorateError('GENESIS_MISMATCH', message);
  }
  const { validators } = (await rpc.call('xft_getEpoch')) as EpochView;
  const known = validators.flatMap(({ nodeKey, multiaddr }) =>
    multiaddr === null ? [] : [[nodeKey, [multiaddr]] as const],
  );
  return Object.fromEntries(known);
}

async function create(options: CreateOptions): Promise<void> {
  const operator = options.operator === undefined ? undefined : addressArgument(options.operator, '--operator');
  const host = options.host === undefined ? undefined : parseHostAndPort(options.host);
  await requireEmptyFolder(options.out, '--out');
  const peers = await peersFrom(options.rpc, options.genesis);
  const password = await findPassword({ file: options.passwordFile, fresh: true, what: 'the new keys' });
  if (password === '') warn('the password is empty: whoever reads the key files has the keys');
  progress('deriving the keys of the files from the password');
  const descriptor = await createCandidate({
    genesisPath: options.genesis,
    dir: options.out,
    operator,
    host,
    ports: { rpc: options.rpcPort, p2p: options.p2pPort, metrics: options.metricsPort },
    peers,
    password,
    strength: options.light === true ? 'light' : 'standard',
  });
  clearProgress();
  const file = join(options.out, DESCRIPTOR_FILE);
  if (options.json === true) return printJson({ dir: options.out, file, ...descriptor });
  printLine(pairs(Object.entries(descriptor)));
  printLine();
  printLine(`1. The operator of a validator proposes it: quorate validator propose --add ${file}`);
  printLine(
    `2. Start it; it follows the chain and says by itself when it is ready: quorate node --data-dir ${options.out}`,
  );
  printLine('3. When it is ready (quorate validator proposals), the others vote: quorate validator vote PROPOSAL');
}

/** Options of every command that signs a call to the contract. */
function acting(command: Command): Command {
  command
    .option('--key <file>', 'key file of the operator account (else the key in QUORATE_PRIVATE_KEY)')
    .option('--dry-run', 'say what would come of it, sign and send nothing')
    .option('--timeout <s>', 'seconds to wait for finality', wholeNumber(1, 86_400), 120);
  return withPassword(withRpc(withJson(command)));
}

function proposeCommand(): Command {
  const command = newCommand('propose', 'propose another set of validators, and approve it', [
    'quorate validator propose --add dave.json --key operators/operator-0.json',
    'quorate validator propose --add dave.json --remove 0xADDRESS --dry-run',
    'quorate validator propose --replace 0xADDRESS=new-keys/descriptor.json',
    'quorate validator propose --policy readyLag=512 --policy expirySeconds=86400',
  ]);
  withList(command, '--add <file>', 'descriptor of a new validator (repeatable)');
  withList(command, '--remove <address>', 'a validator that leaves (repeatable)');
  withList(command, '--replace <address=file>', 'a validator and the descriptor that takes its place (repeatable)');
  withList(command, '--policy <field=value>', 'a field of the policy (repeatable); the others stay as they are');
  return acting(command).action(propose);
}

function createCommand(): Command {
  const command = newCommand('create', 'make the folder of a new validator for a chain that runs', [
    'quorate validator create --genesis genesis.json --out validator-3 --operator 0xADDRESS --host 10.0.0.4',
  ])
    .requiredOption('--genesis <file>', "the chain's genesis")
    .requiredOption('--out <dir>', 'new or empty folder')
    .option('--operator <address>', 'the account that will cast its votes (default: one is made)')
    .option('--host <host[:port]>', 'where the others find it; it then listens on all interfaces')
    .option('--p2p-port <port>', 'port for peers', portNumber)
    .option('--rpc-port <port>', 'port of JSON-RPC', portNumber)
    .option('--metrics-port <port>', 'port of the metrics', portNumber)
    .option('--rpc <url>', 'a node of the chain, to ask where the present validators are found')
    .option('--light', 'key files that open fast and resist guessing less: for tests');
  return withPassword(withJson(command)).action(create);
}

export function validatorCommand(): Command {
  const listing = newCommand('list', 'the present validators', ['quorate validator list']);
  const showing = newCommand('proposals', 'open and past proposals, with votes and what they wait for', [
    'quorate validator proposals',
  ]);
  const voting = newCommand('vote', 'approve a proposal, or reject it', [
    'quorate validator vote 7 --key operators/operator-1.json',
    'quorate validator vote 7 --reject',
  ])
    .argument('<proposal>', 'its number')
    .option('--reject', 'vote against it');
  const withdrawing = newCommand('withdraw', 'take back a proposal of your own', ['quorate validator withdraw 7']);
  return newGroup('validator', 'validators, and the votes that change them', [
    withRpc(withJson(listing)).action(list),
    createCommand(),
    proposeCommand(),
    acting(voting).action(vote),
    acting(withdrawing.argument('<proposal>', 'its number')).action(withdraw),
    withRpc(withJson(showing)).action(proposals),
  ]);
}
