/** `quorate epoch …`: who decided when, proven by the signatures of those who decided before, with nobody to be trusted. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseGenesisText } from '../../genesis/parse.ts';
import { writeNewFile } from '../../node/data-dir.ts';
import type { Anchor, BrokenOff, ProvenBlock, WalkedEpoch } from '../../node/epoch-walk.ts';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import { newCommand, newGroup, withJson, withList, withRpc } from '../command.ts';
import { printJson, printLine, remark, warn } from '../output.ts';
import { quantity, RpcClient, toQuantity } from '../rpc-client.ts';

type ReadOptions = { readonly rpc: string; readonly json?: boolean };
type VerifyOptions = ReadOptions & {
  readonly genesis?: string;
  readonly file?: string;
  readonly acceptBreak?: readonly string[];
};
type ExportOptions = ReadOptions & { readonly out: string };

/** What a walk needs, from a node or from a file: `xft_getEpoch` by number, and `xft_getFinalityProof` of the last block. */
type Answers = {
  readonly number: number;
  readonly epoch: (epoch: number) => Promise<unknown>;
  readonly proof: () => Promise<unknown>;
};

function blockArgument(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new QuorateError('USAGE', 'name a block by its number');
  return Number(text);
}

async function fromNode(rpc: RpcClient, block: number | undefined): Promise<Answers> {
  const number = block ?? quantity(await rpc.call('eth_blockNumber'));
  return {
    number,
    epoch: (epoch) => rpc.call('xft_getEpoch', [epoch]),
    proof: () => rpc.call('xft_getFinalityProof', [toQuantity(number)]),
  };
}

/** Version of the file that `epoch export` writes. */
const FILE_VERSION = 1;

function invalidFile(path: string, why: string, cause?: unknown): QuorateError {
  return new QuorateError(
    'CHAIN_FILE_INVALID',
    `${path} holds no epoch proofs: ${why}; write it with quorate epoch export`,
    {
      cause,
    },
  );
}

async function fromFile(path: string, block: number | undefined): Promise<Answers> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw invalidFile(path, errorMessage(cause), cause);
  }
  const { version, number, epochs, proof } = (value ?? {}) as Record<string, unknown>;
  if (version !== FILE_VERSION || typeof number !== 'number' || !Array.isArray(epochs)) {
    throw invalidFile(path, `expected version ${FILE_VERSION}, a number, epochs and a proof`);
  }
  if (block !== undefined && block !== number) {
    throw new QuorateError('NOT_FOUND', `${path} has the proof of block ${number}, not ${block}`);
  }
  return { number, epoch: async (epoch) => epochs[epoch], proof: async () => proof };
}

async function anchor(options: VerifyOptions): Promise<Anchor> {
  if (options.genesis !== undefined) {
    const { anchorOf } = await import('../../node/epoch-walk.ts');
    return anchorOf(parseGenesisText(await readGenesis(options.genesis), options.genesis));
  }
  if (options.file !== undefined) {
    throw new QuorateError('USAGE', 'a file is checked against the genesis of its chain; name it with --genesis FILE');
  }
  const { anchorFromNode } = await import('../../node/epoch-anchor.ts');
  const rpc = new RpcClient(options.rpc);
  const [chainId, block, first] = await Promise.all([
    rpc.call('eth_chainId'),
    rpc.call('eth_getBlockByNumber', ['0x0', false]),
    rpc.call('xft_getEpoch', [0]),
  ]);
  const { validators } = (first ?? {}) as { readonly validators?: unknown };
  const found = anchorFromNode({ chainId: quantity(chainId), block, validators });
  warn(`no --genesis: everything rests on ${found.genesisHash} being the genesis hash of your chain; compare it`);
  return found;
}

async function readGenesis(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new QuorateError(
      'GENESIS_INVALID',
      `there is no genesis file ${path}; name the chain's with --genesis FILE`,
      {
        cause,
      },
    );
  }
}

/** Unproven until the walk has come there: it only says how far to go. */
function epochIn(proof: unknown): number {
  const { epoch } = (proof ?? {}) as { readonly epoch?: unknown };
  return typeof epoch === 'number' && Number.isSafeInteger(epoch) && epoch >= 0 ? epoch : 0;
}

type Verified = { readonly epochs: readonly WalkedEpoch[]; readonly block: ProvenBlock | undefined };

/** Digests of recoveries that the caller vouches for. */
function acceptedBreaks({ acceptBreak = [] }: VerifyOptions): ReadonlySet<string> {
  const digests = acceptBreak.map((text) => text.toLowerCase());
  if (digests.every((digest) => /^0x[0-9a-f]{64}$/.test(digest))) return new Set(digests);
  throw new QuorateError('USAGE', '--accept-break takes the digest of a recovery: 0x and 64 hex digits');
}

async function walk(
  { genesisHash, ...founders }: Anchor,
  answers: Answers,
  accepted: ReadonlySet<string>,
  onEpoch: (epoch: WalkedEpoch) => void,
): Promise<Verified> {
  const { EpochWalk } = await import('../../node/epoch-walk.ts');
  const walked = new EpochWalk({ genesisHash, ...founders }, accepted);
  const epochs = [walked.present];
  onEpoch(walked.present);
  // Block 0 is proven by being the genesis.
  if (answers.number === 0) return { epochs, block: undefined };
  const proof = await answers.proof();
  if (proof === null || proof === undefined) {
    throw new QuorateError('NOT_FOUND', `there is no final block ${answers.number} yet; name one that is final`);
  }
  for (let epoch = 1; epoch <= epochIn(proof); epoch++) {
    const entered = walked.enter(await answers.epoch(epoch));
    epochs.push(entered);
    onEpoch(entered);
  }
  return { epochs, block: walked.block(proof, answers.number) };
}

/** Who came and who went. */
function changeText(before: readonly string[], after: readonly string[]): string {
  const came = after.filter((address) => !before.includes(address)).map((address) => `+${address}`);
  const went = before.filter((address) => !after.includes(address)).map((address) => `-${address}`);
  return came.length + went.length === 0 ? 'the same' : [...came, ...went].join(' ');
}

/** Not a hand-over, and nobody shall take it for one. */
function brokenText({ number, statement, signedBy, stayed, confirmedBy, forced }: BrokenOff): string {
  const word = `NOT handed over: broken off after block ${number} by statement ${statement}`;
  const who = `signed by ${signedBy.join(', ')}, of whom ${stayed.length} were validators before, confirmed by ${confirmedBy.join(', ')}`;
  return `${word}, ${who}${forced ? ', FORCED' : ''}; accepted because you said so`;
}

function epochText(
  { epoch, validators, t, closing, broken }: WalkedEpoch,
  before: readonly string[],
  genesisHash: string,
): string {
  const set = `${validators.length} validator${validators.length === 1 ? '' : 's'}, t = ${t}`;
  if (broken !== undefined) return `epoch ${epoch}: ${set}, ${brokenText(broken)}: ${changeText(before, validators)}`;
  if (closing === undefined) return `epoch ${epoch}: ${set}, founded by ${genesisHash}: ${validators.join(' ')}`;
  const change = changeText(before, validators);
  return `epoch ${epoch}: ${set}, after block ${closing.number} signed by ${closing.signedBy.join(', ')}: ${change}`;
}

async function verify(block: string | undefined, options: VerifyOptions): Promise<void> {
  const wanted = blockArgument(block);
  const accepted = acceptedBreaks(options);
  const start = await anchor(options);
  const { genesisHash } = start;
  const answers =
    options.file === undefined
      ? await fromNode(new RpcClient(options.rpc), wanted)
      : await fromFile(options.file, wanted);
  let before: readonly string[] = [];
  const show = (epoch: WalkedEpoch) => {
    if (options.json !== true) printLine(epochText(epoch, before, genesisHash));
    before = epoch.validators;
  };
  const verified = await walk(start, answers, accepted, show);
  const { epochs, block: proven } = verified;
  if (options.json === true) {
    const { chainId } = start;
    printJson({ chainId, genesisHash, epochs, block: proven ?? { number: 0, hash: genesisHash, epoch: 0 } });
    return;
  }
  if (proven === undefined) return printLine(`block 0 ${genesisHash} is the genesis`);
  const { number, hash, epoch, view, signedBy } = proven;
  return printLine(`block ${number} ${hash} is final: epoch ${epoch}, view ${view}, signed by ${signedBy.join(', ')}`);
}

async function exportTo(block: string | undefined, options: ExportOptions): Promise<void> {
  const answers = await fromNode(new RpcClient(options.rpc), blockArgument(block));
  const { number } = answers;
  const proof = number === 0 ? null : await answers.proof();
  if (proof === null && number > 0) throw new QuorateError('NOT_FOUND', `the node has no final block ${number}`);
  const epochs: unknown[] = [];
  for (let epoch = 0; epoch <= epochIn(proof); epoch++) epochs.push(await answers.epoch(epoch));
  await writeNewFile(options.out, JSON.stringify({ version: FILE_VERSION, number, epochs, proof }) + '\n', 'public');
  if (options.json === true) printJson({ file: options.out, number, epochs: epochs.length });
  else remark(`written to ${options.out}: block ${number}, ${epochs.length} epoch${epochs.length === 1 ? '' : 's'}`);
}

function verifyCommand(): Command {
  const command = newCommand('verify', 'walk from the genesis to a block on hand-over proofs alone', [
    'quorate epoch verify --genesis genesis.json --rpc http://10.0.0.2:8546',
    'quorate epoch verify 1200 --genesis genesis.json',
    'quorate epoch verify --genesis genesis.json --file epochs.json',
  ])
    .argument('[block]', 'number of the block (default: the newest)')
    .option('--genesis <file>', "the chain's genesis: all that is trusted")
    .option('--file <file>', 'what `quorate epoch export` has written, instead of a node');
  withList(command, '--accept-break <digest>', 'recovery that you know to be in order, where the chain was broken');
  return withRpc(withJson(command)).action(verify);
}

function exportCommand(): Command {
  const command = newCommand('export', 'write the proofs up to a block to a file, to be verified without a node', [
    'quorate epoch export --out epochs.json',
  ])
    .argument('[block]', 'number of the block (default: the newest)')
    .requiredOption('--out <file>', 'file to write; it must not exist');
  return withRpc(withJson(command)).action(exportTo);
}

export function epochCommand(): Command {
  return newGroup('epoch', 'the validator sets of a chain, one after the other', [verifyCommand(), exportCommand()]);
}
