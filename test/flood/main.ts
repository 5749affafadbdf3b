/**
 * `npm run flood`: three honest validators are flooded, with one thing after the other: by a malicious validator, by clients
 * of their JSON-RPC ports, and by strangers at their p2p ports.
 *
 *   npm run flood                            every flood for 10 s
 *   npm run flood -- --seconds 60            longer
 *   npm run flood -- FETCH transactions      only floods with one of these words in their names
 */
import { parseArgs } from 'node:util';
import { FLOODS } from './all.ts';
import { Ground } from './ground.ts';

const MIB = 1024 * 1024;

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '10' } },
  allowPositionals: true,
});
const seconds = Number(values.seconds);
const floods = FLOODS.filter(({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)));
if (!(seconds > 0) || floods.length === 0) {
  process.stdout.write('usage: npm run flood -- [--seconds N] [word in the name of a flood …]\n');
  process.exit(2);
}

const ground = await Ground.create();
let failed = false;
try {
  process.stdout.write('sent        blocks  longest gap  highest memory  flood\n');
  for (const flood of floods) {
    const { sent, blocks, gapMs, highestBytes } = await ground.endure(flood, seconds * 1000);
    const columns = [
      String(sent).padEnd(12),
      String(blocks).padEnd(8),
      `${(gapMs / 1000).toFixed(1)} s`.padEnd(13),
      `${(highestBytes / MIB).toFixed(0)} MiB`.padEnd(16),
    ];
    process.stdout.write(`${columns.join('')}${flood.name}\n`);
  }
  process.stdout.write(`nothing acknowledged is lost: ${await ground.end()} blocks, the same on all\n`);
} catch (error) {
  failed = true;
  process.stdout.write(`failed: ${error instanceof Error ? error.message : error}\n`);
  for (const { name, log } of ground.honest) process.stdout.write(`--- ${name}\n${log.slice(-3000)}\n`);
} finally {
  await ground.stop();
}
process.exitCode = failed ? 1 : 0;
