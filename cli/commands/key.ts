/** `quorate key …`: accounts and validator keys in keystore v3 files, and the descriptor others need to add a validator. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { checksumAddress } from '../../genesis/address.ts';
import { peerIdOf } from '../../genesis/peer-address.ts';
import { makeFolder, NODE_KEY_FILE, OPERATOR_KEY_FILE, VALIDATOR_KEY_FILE, writeNewFile } from '../../node/data-dir.ts';
import { keyFileExists, openKeyFile, readKeyText, summarizeKey, writeKeyFile } from '../../node/keystore.ts';
import { fromHex, toHex } from '../../primitives/bytes.ts';
import { QuorateError } from '../../primitives/errors.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { isPrivateKey, privateKeyAddress, publicKey, randomPrivateKey } from '../../primitives/secp256k1.ts';
import { addressArgument } from '../arguments.ts';
import { newCommand, newGroup, withJson, withPassword } from '../command.ts';
import { describeFolder, descriptorText } from '../descriptor.ts';
import { clearProgress, pairs, printJson, printLine, progress, remark, warn } from '../output.ts';
import { findPassword, promptHidden } from '../password.ts';
import { writeValidatorKeys } from '../validator-folder.ts';

type WriteOptions = {
  readonly out?: string;
  readonly validator?: boolean;
  readonly dataDir?: string;
  readonly operator?: string;
  readonly light?: boolean;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

function strengthOf(options: WriteOptions) {
  return { strength: options.light === true ? 'light' : 'standard' } as const;
}

async function newPassword(options: WriteOptions): Promise<string> {
  const password = await findPassword({ file: options.passwordFile, fresh: true, what: 'the new key' });
  if (password === '') warn('the password is empty: whoever reads the key file has the key');
  return password;
}

function requireDataDir(options: { readonly dataDir?: string }): string {
  if (options.dataDir === undefined)
    throw new QuorateError('USAGE', 'name the data folder of the node with --data-dir DIR');
  return options.dataDir;
}

async function writeAccount(privateKey: Bytes, options: WriteOptions): Promise<void> {
  if (options.dataDir !== undefined)
    throw new QuorateError('USAGE', '--data-dir goes with --validator; name a file with --out');
  const address = privateKeyAddress(privateKey);
  const file = options.out ?? `${address}.json`;
  const password = await newPassword(options);
  progress('deriving the key of the file from the password');
  await writeKeyFile(file, privateKey, password, strengthOf(options));
  clearProgress();
  if (options.json === true) printJson({ address, file });
  else
    printLine(
      pairs([
        ['address', checksumAddress(address)],
        ['file', file],
      ]),
    );
}

/** A validator's folder: keys, and an operator account unless there is one. */
async function writeValidator(privateKey: Bytes, made: boolean, options: WriteOptions): Promise<void> {
  if (options.out !== undefined)
    throw new QuorateError('USAGE', '--validator writes a folder; name it with --data-dir, not --out');
  const dir = requireDataDir(options);
  const operator = options.operator === undefined ? undefined : addressArgument(options.operator, '--operator');
  if (await keyFileExists(join(dir, VALIDATOR_KEY_FILE))) {
    throw new QuorateError('DATA_DIR_INVALID', `${dir} has a validator key already; choose another folder`);
  }
  const password = await newPassword(options);
  await makeFolder(dir);
  progress('deriving the keys of the files from the password');
  const operatorKey = randomPrivateKey();
  if (operator === undefined)
    await writeKeyFile(join(dir, OPERATOR_KEY_FILE), operatorKey, password, strengthOf(options));
  const keys = { validator: privateKey, node: randomPrivateKey() };
  await writeValidatorKeys(dir, keys, { password, ...strengthOf(options), made });
  clearProgress();
  if (!made) {
    remark('An imported validator key may have signed before: it signs again only after the epoch that readmits it.');
  }
  const nodeKey = await nodeKeyOf(join(dir, NODE_KEY_FILE), password);
  const validator = privateKeyAddress(privateKey);
  const result = { validator, nodeKey, operator: operator ?? privateKeyAddress(operatorKey), dataDir: dir };
  if (options.json === true) printJson(result);
  else printLine(pairs(Object.entries(result)));
}

/** One that was in the folder before may not state its public key. */
async function nodeKeyOf(path: string, password: string): Promise<string> {
  const stated = summarizeKey(await readKeyText(path), path).publicKey;
  return stated ?? toHex(publicKey(await openKeyFile(path, password)));
}

async function create(options: WriteOptions): Promise<void> {
  const privateKey = randomPrivateKey();
  await (options.validator === true ? writeValidator(privateKey, true, options) : writeAccount(privateKey, options));
}

/** The key to import: from a file of hex, the variable, or a prompt; never from an argument. */
async function readPlainKey(file: string | undefined): Promise<Bytes> {
  if (file !== undefined && /^(0x)?[0-9a-fA-F]{64}$/.test(file)) {
    throw new QuorateError(
      'USAGE',
      'a private key must not stand in the command line, where others see it; name a file',
    );
  }
  const text =
    file !== undefined ? await readTextFile(file) : (process.env['QUORATE_PRIVATE_KEY'] ?? (await promptForKey()));
  const digits = text.trim();
  const privateKey = fromHex(digits.startsWith('0x') ? digits : '0x' + digits);
  if (privateKey === undefined || !isPrivateKey(privateKey)) {
    throw new QuorateError('KEY_INVALID', `${file ?? 'what was given'} is not a private key of 64 hex digits`);
  }
  return privateKey;
}

async function readTextFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new QuorateError('NOT_FOUND', `the file ${path} cannot be read`, { cause });
  }
}

function promptForKey(): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new QuorateError('USAGE', 'name a file with the private key, or set QUORATE_PRIVATE_KEY');
  }
  return promptHidden('Private key (hex): ');
}

async function importKey(file: string | undefined, options: WriteOptions): Promise<void> {
  const privateKey = await readPlainKey(file);
  await (options.validator === true ? writeValidator(privateKey, false, options) : writeAccount(privateKey, options));
}

type ShowOptions = {
  readonly dataDir?: string;
  readonly descriptor?: boolean;
  readonly operator?: string;
  readonly address?: string;
  readonly out?: string;
  readonly private?: boolean;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

async function show(file: string | undefined, options: ShowOptions): Promise<void> {
  if (options.descriptor === true) {
    const result = await describeFolder(requireDataDir(options), options);
    if (options.out !== undefined) {
      await writeNewFile(options.out, descriptorText(result), 'public');
      return remark(`written to ${options.out}`);
    }
    return options.json === true ? printJson(result) : printLine(descriptorText(result).trimEnd());
  }
  const path = file ?? join(requireDataDir(options), VALIDATOR_KEY_FILE);
  const summary = summarizeKey(await readKeyText(path), path);
  const privateKey = options.private === true ? await openShown(path, options) : undefined;
  const address = privateKey === undefined ? summary.address : privateKeyAddress(privateKey);
  const result = {
    address,
    file: path,
    ...publicPart(path, summary.publicKey),
    ...(privateKey !== undefined && { privateKey: toHex(privateKey) }),
  };
  if (options.json === true) printJson(result);
  else
    printLine(
      pairs(Object.entries({ ...result, address: address === undefined ? 'not stated' : checksumAddress(address) })),
    );
}

/** A node's key is its name on the network. */
function publicPart(path: string, key: string | undefined): Record<string, string> {
  if (key === undefined) return {};
  return basename(path) === NODE_KEY_FILE ? { nodeKey: key, peerId: peerIdOf(key) } : { publicKey: key };
}

async function openShown(path: string, options: ShowOptions): Promise<Bytes> {
  const password = await findPassword({ file: options.passwordFile, what: path });
  progress('opening the key file');
  const key = await openKeyFile(path, password);
  clearProgress();
  return key;
}

function writing(command: Command): Command {
  command
    .option('--out <file>', 'key file of the account (default: ADDRESS.json)')
    .option('--validator', 'a validator: its key, a node key and an operator account in a data folder')
    .option('--data-dir <dir>', 'the data folder of the validator')
    .option('--operator <address>', "the validator's operator account, when there is one already")
    .option('--light', 'a file that opens fast and resists guessing less: for tests');
  return withPassword(withJson(command));
}

export function keyCommand(): Command {
  const creating = newCommand('create', 'make a new key', [
    'quorate key create --out alice.json',
    'quorate key create --validator --data-dir my-node',
  ]);
  const importing = newCommand('import', 'put an existing private key into a key file', [
    'quorate key import private-key.txt --out alice.json',
  ]).argument('[file]', 'file with the private key in hex (else QUORATE_PRIVATE_KEY, else a prompt)');
  const showing = newCommand('show', 'show a key file, or the descriptor of a validator', [
    'quorate key show alice.json',
    'quorate key show --descriptor --data-dir my-node --address /dns/node.example/tcp/30300 --out my-node.json',
  ])
    .argument('[file]', 'key file')
    .option('--data-dir <dir>', "a node's data folder, instead of a file")
    .option('--descriptor', 'what others need to add this node as a validator')
    .option('--operator <address>', 'operator account for the descriptor')
    .option('--address <multiaddr>', 'where the others find the node, for the descriptor')
    .option('--out <file>', 'write the descriptor to a file')
    .option('--private', 'show the private key too');
  return newGroup('key', 'accounts and validator keys in keystore v3 files', [
    writing(creating).action(create),
    writing(importing).action(importKey),
    withPassword(withJson(showing)).action(show),
  ]);
}
