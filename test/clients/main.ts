/**
 * `npm run clients`: Ethereum's own clients, each on a devnet of its own. Installs them into a temporary folder (they are
 * heavy, and none is needed to build or to test), runs their scripts, and prints what passed as a table.
 *
 *   npm run clients                   all of them; a few minutes, most of it downloads
 *   npm run clients -- viem foundry   some, by folder
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Devnet } from '../e2e/devnet.ts';
import { type Outcome, runClient, toEnd } from './session.ts';

const HERE = import.meta.dirname;

type Manifest = {
  readonly description: string;
  readonly engines?: { readonly node: string };
};

type Row = Outcome & { readonly title: string };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Into its folder, without the install scripts of anybody's package. */
async function install(folder: string): Promise<string | undefined> {
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--loglevel=error'];
  const { code, errors } = await toEnd(spawn('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }));
  return code === 0 ? undefined : `npm install failed:\n${errors}`;
}

/** A client says in its manifest which Node it needs, when that is a newer one than ours. */
function tooOld({ engines }: Manifest): string | undefined {
  const needed = Number(/^>=(\d+)$/.exec(engines?.node ?? '>=0')![1]);
  return Number(process.versions.node.split('.')[0]) < needed ? `needs Node ${needed}` : undefined;
}

async function tryClient(name: string, folder: string): Promise<Row> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  const row = { title: manifest.description, version: '', passed: [], failed: new Map(), untried: [] };
  const old = tooOld(manifest);
  if (old !== undefined) return { ...row, problem: old };
  say(`${name}: installing`);
  const problem = await install(folder);
  if (problem !== undefined) return { ...row, problem };
  say(`${name}: checking`);
  const devnet = await Devnet.start();
  try {
    return { ...row, ...(await runClient(folder, devnet.line)) };
  } finally {
    await devnet.stop();
  }
}

function table(rows: readonly Row[]): string {
  const line = ({ title, version, passed, failed, untried, problem }: Row): string => {
    const all = passed.length + failed.size;
    const result = problem === undefined ? `${passed.length} of ${all}` : problem.split('\n', 1)[0];
    return `| ${title} | ${version} | ${result} | ${untried.join(', ')} |`;
  };
  return [
    '| client | version | checks passed | has no means for |',
    '| --- | --- | --- | --- |',
    ...rows.map(line),
  ].join('\n');
}

const all = readdirSync(HERE, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
const words = process.argv.slice(2);
const unknown = words.find((word) => !all.includes(word));
if (unknown !== undefined) {
  say(`there is no client ${unknown}; there are ${all.join(', ')}`);
  process.exit(2);
}
const temporary = mkdtempSync(join(tmpdir(), 'quorate-clients-'));
const rows: Row[] = [];
try {
  cpSync(HERE, temporary, { recursive: true });
  for (const name of all) {
    if (words.length > 0 && !words.includes(name)) continue;
    const row = await tryClient(name, join(temporary, name));
    for (const [check, error] of row.failed) say(`  FAILED ${check}: ${error}`);
    if (row.problem !== undefined) say(`${name}: ${row.problem}`);
    rows.push(row);
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
say(`\n${table(rows)}\n`);
const bad = rows.filter(({ failed, problem }) => failed.size > 0 || problem !== undefined);
process.exitCode = bad.length === 0 ? 0 : 1;
