/** Descriptors: the file that tells others what they need to add a node as a validator, made from its data folder. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { multiaddrOf, parseMultiaddr } from '../genesis/peer-address.ts';
import { loadConfig, loadGenesis } from '../node/config.ts';
import {
  DESCRIPTOR_FILE,
  GENESIS_FILE,
  NODE_KEY_FILE,
  OPERATOR_KEY_FILE,
  VALIDATOR_KEY_FILE,
} from '../node/data-dir.ts';
import { parseDescriptor, type ValidatorCandidate } from '../node/governance-change.ts';
import { keyFileExists, openKeyFile, readKeyText, summarizeKey } from '../node/keystore.ts';
import { toHex } from '../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Address } from '../primitives/ids.ts';
import { Problems } from '../primitives/parse.ts';
import { publicKey } from '../primitives/secp256k1.ts';
import { addressArgument } from './arguments.ts';
import { findPassword } from './password.ts';

/** A candidate with the public key behind its address, for those who want to check a signature. */
export type Descriptor = ValidatorCandidate & { readonly publicKey: string };

export type DescriptorChoices = {
  readonly operator?: string | undefined;
  /** Multiaddr. */
  readonly address?: string | undefined;
  readonly passwordFile?: string | undefined;
};

export function descriptorText(descriptor: Descriptor): string {
  const { validator, publicKey: key, nodeKey, operator, multiaddr } = descriptor;
  return JSON.stringify({ validator, publicKey: key, nodeKey, operator, multiaddr }, undefined, 2) + '\n';
}

/** What is known without asking: the choices, then what the folder, its genesis and its configuration say. */
export async function describeFolder(dir: string, choices: DescriptorChoices): Promise<Descriptor> {
  const validatorKey = await publicKeyOf(join(dir, VALIDATOR_KEY_FILE), choices);
  const nodeKey = await publicKeyOf(join(dir, NODE_KEY_FILE), choices);
  const validator = validatorKey.address;
  const genesis = (await keyFileExists(join(dir, GENESIS_FILE))) ? await loadGenesis(dir) : undefined;
  const founder = genesis?.validators.find((known) => known.validator === validator);
  const made = await ownDescriptor(dir, validator);
  const operator =
    choices.operator === undefined
      ? (made?.operator ?? founder?.operator ?? (await ownOperator(dir)))
      : addressArgument(choices.operator, '--operator');
  const multiaddr =
    choices.address === undefined
      ? (made?.multiaddr ?? founder?.addresses?.[0] ?? (await listeningAddress(dir, nodeKey.key)))
      : choices.address;
  const problems = new Problems();
  parseMultiaddr(multiaddr, '--address', nodeKey.key, problems);
  if (problems.list.length > 0) throw new QuorateError('USAGE', problems.list.join('; '));
  return { validator, publicKey: validatorKey.key, nodeKey: nodeKey.key, operator, multiaddr };
}

/** Without the password where the file says its public key, as those written by this program do. */
async function publicKeyOf(
  path: string,
  { passwordFile }: DescriptorChoices,
): Promise<{ readonly address: Address; readonly key: string }> {
  const { address, publicKey: stated } = summarizeKey(await readKeyText(path), path);
  if (address === undefined)
    throw new QuorateError('KEY_INVALID', `${path} does not name its address; import the key anew`);
  if (stated !== undefined) return { address, key: stated };
  const password = await findPassword({ file: passwordFile, what: path });
  return { address, key: toHex(publicKey(await openKeyFile(path, password))) };
}

/** The descriptor that `quorate validator create` left, when it is this key's. */
async function ownDescriptor(dir: string, validator: Address): Promise<ValidatorCandidate | undefined> {
  const path = join(dir, DESCRIPTOR_FILE);
  if (!(await keyFileExists(path))) return undefined;
  const made = await readDescriptor(path);
  return made.validator === validator ? made : undefined;
}

async function ownOperator(dir: string): Promise<Address> {
  const path = join(dir, OPERATOR_KEY_FILE);
  const operator = (await keyFileExists(path)) ? summarizeKey(await readKeyText(path), path).address : undefined;
  if (operator === undefined)
    throw new QuorateError('USAGE', 'name the account that votes for this validator with --operator ADDRESS');
  return operator;
}

/** The listening address, when it is one that others can dial. */
async function listeningAddress(dir: string, nodeKey: string): Promise<string> {
  const { host, port } = (await loadConfig({ dataDir: dir, env: process.env })).p2p;
  if (host === '0.0.0.0' || host === '::') {
    throw new QuorateError('USAGE', 'name where the others find this node with --address /ip4/HOST/tcp/PORT');
  }
  return multiaddrOf({ host, port, nodeKey });
}

/** A descriptor from a file. Throws DESCRIPTOR_INVALID with every problem. */
export async function readDescriptor(path: string): Promise<ValidatorCandidate> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const message = `${path} is no descriptor of a validator: ${errorMessage(cause)}; its owner makes one with quorate key show --descriptor`;
    throw new QuorateError('DESCRIPTOR_INVALID', message, { cause });
  }
  const problems = new Problems();
  const candidate = parseDescriptor(value, '', problems);
  if (candidate !== undefined && problems.list.length === 0) return candidate;
  throw new QuorateError('DESCRIPTOR_INVALID', `${path} is no descriptor of a validator: ${problems.list.join('; ')}`);
}
