/** `quorate genesis create`: the files of a new network. */
import type { Command } from 'commander';
import { consensusForDelta } from '../../genesis/create.ts';
import { CHAIN_ID_MAX, type Genesis } from '../../genesis/genesis.ts';
import { fieldsHash } from '../../genesis/hash.ts';
import { peerIdOf } from '../../genesis/peer-address.ts';
import { DEFAULT_P2P_PORT } from '../../node/config.ts';
import { QuorateError } from '../../primitives/errors.ts';
import type { Address } from '../../primitives/ids.ts';
import { faultsTolerated, VALIDATORS_MAX } from '../../primitives/membership.ts';
import { parseAmount } from '../amount.ts';
import { addressArgument, type HostAndPort, parseHostAndPort, splitPair, wholeNumber } from '../arguments.ts';
import { newCommand, newGroup, withJson, withList, withPassword } from '../command.ts';
import { requireEmptyFolder, validatorFolder, writeNetwork } from '../network-files.ts';
import { clearProgress, printJson, printLine, progress, table, warn } from '../output.ts';
import { findPassword } from '../password.ts';

type Options = {
  readonly validators: number;
  readonly out: string;
  readonly chainId: number;
  readonly alloc?: readonly string[];
  readonly host?: readonly string[];
  readonly delta?: number;
  readonly gasPriceFloor?: string;
  readonly gasLimit?: number;
  readonly emptyBlockPeriod?: number;
  readonly light?: boolean;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

function parseAllocs(list: readonly string[]): Map<Address, bigint> {
  const alloc = new Map<Address, bigint>();
  for (const item of list) {
    const [left, right] = splitPair(item, 'ADDRESS=AMOUNT');
    const address = addressArgument(left, '--alloc');
    if (alloc.has(address)) throw new QuorateError('USAGE', `--alloc names ${address} twice`);
    alloc.set(address, parseAmount(right));
  }
  return alloc;
}

function parseHosts(list: readonly string[], validators: number): HostAndPort[] {
  if (list.length !== validators) {
    throw new QuorateError('USAGE', `give --host once per validator: ${validators} times, not ${list.length}`);
  }
  const hosts = list.map(parseHostAndPort);
  const places = new Set(hosts.map(({ host, port }) => `${host.toLowerCase()} ${port ?? DEFAULT_P2P_PORT}`));
  if (places.size < hosts.length) throw new QuorateError('USAGE', 'two validators have the same --host and port');
  return hosts;
}

/** Said wherever a set of validators is made: what it survives. */
export function warnOfFaults(validators: number): void {
  if (faultsTolerated(validators) > 0) return;
  const many = validators === 1 ? '1 validator tolerates' : `${validators} validators tolerate`;
  warn(`${many} no fault: if one is lost, the chain stops for good; three tolerate one`);
}

function report(options: Options, genesis: Genesis): void {
  const validators = genesis.validators.map((item, index) => ({
    index,
    address: item.validator,
    peerId: peerIdOf(item.nodeKey),
    operator: item.operator,
    p2p: item.addresses?.[0],
    dataDir: validatorFolder(options.out, index),
  }));
  if (options.json === true) {
    printJson({ chainId: genesis.chainId, dir: options.out, genesisFieldsHash: fieldsHash(genesis), validators });
    return;
  }
  printLine(
    `Chain ${genesis.chainId} in ${options.out}, tolerates ${faultsTolerated(validators.length)} of ${validators.length} faulty.`,
  );
  printLine(
    table(
      ['folder', 'validator', 'found at'],
      validators.map((v) => [`validator-${v.index}`, v.address, v.p2p ?? '']),
    ),
  );
  printLine(`Copy each folder to its host and run there: quorate node --data-dir validator-K`);
}

async function create(options: Options): Promise<void> {
  const alloc = parseAllocs(options.alloc ?? []);
  const hosts = options.host === undefined ? undefined : parseHosts(options.host, options.validators);
  const gasPriceFloor = options.gasPriceFloor === undefined ? undefined : parseAmount(options.gasPriceFloor);
  await requireEmptyFolder(options.out, '--out');
  const password = await findPassword({ file: options.passwordFile, fresh: true, what: 'the new keys' });
  if (password === '') warn('the password is empty: whoever reads the key files has the keys');
  const consensus = options.delta === undefined ? {} : consensusForDelta(options.delta);
  const genesis = await writeNetwork(
    {
      dir: options.out,
      chainId: options.chainId,
      timestamp: Math.floor(Date.now() / 1000),
      validators: options.validators,
      alloc,
      password,
      strength: options.light === true ? 'light' : 'standard',
      consensus: {
        ...consensus,
        ...(options.emptyBlockPeriod !== undefined && { emptyBlockPeriodMs: options.emptyBlockPeriod }),
      },
      ...(hosts !== undefined && { hosts }),
      ...(gasPriceFloor !== undefined && { gasPriceFloor }),
      ...(options.gasLimit !== undefined && { gasLimit: options.gasLimit }),
    },
    progress,
  );
  clearProgress();
  warnOfFaults(options.validators);
  report(options, genesis);
}

export function genesisCommand(): Command {
  const command = newCommand('create', 'write genesis, keys and configuration of a new network', [
    'quorate genesis create --validators 3 --out network --alloc 0x70997970C51812dc3A010C7d01b50e0d17dc79C8=1000',
    'quorate genesis create --validators 3 --out network --host 10.0.0.1 --host 10.0.0.2 --host 10.0.0.3',
  ])
    .requiredOption('--validators <n>', 'how many validators', wholeNumber(1, VALIDATORS_MAX))
    .requiredOption('--out <dir>', 'new or empty folder')
    .option('--chain-id <id>', 'EIP-155 chain id', wholeNumber(1, CHAIN_ID_MAX), 1337);
  withList(command, '--alloc <address=amount>', 'balance at genesis, in coins or wei (repeatable)');
  withList(command, '--host <host[:port]>', 'where the others find a validator, once per validator');
  command
    .option('--delta <ms>', 'bound on message delay; 250 in one site, 1250 worldwide', wholeNumber(10, 60_000))
    .option('--gas-price-floor <amount>', 'constant base fee per gas, for example 1000000000wei')
    .option('--gas-limit <gas>', 'gas limit of a block', wholeNumber(21_000, 2 ** 40))
    .option(
      '--empty-block-period <ms>',
      'make a block after this long without transactions',
      wholeNumber(0, 86_400_000),
    )
    .option('--light', 'key files that open fast and resist guessing less: for tests');
  withPassword(withJson(command)).action(create);
  return newGroup('genesis', 'found a network', [command]);
}
