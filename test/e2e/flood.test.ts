/**
 * A validator with a valid key floods the others (`npm run flood` has every kind, floods by clients and strangers too, and
 * longer): memory stays bounded, blocks become final, the log says who it is, and nothing acknowledged is lost.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FLOODS } from '../flood/all.ts';
import { Ground } from '../flood/ground.ts';
import { report, seconds } from './report.ts';
import { oneStory } from './story.ts';

oneStory();

const FLOOD_MS = 2000;
const MIB = 1024 * 1024;
/** Of one node, on any machine: it holds some 150 MiB without a flood. */
const RESIDENT_MAX = 700 * MIB;

let ground: Ground;

beforeAll(async () => {
  ground = await Ground.create();
});

afterAll(async () => {
  await ground?.stop();
});

test.each([
  'FETCH-FINAL from the first block on',
  'noise on consensus',
  'FINAL of a large block that is none',
  'transactions of one byte, a hundred thousand in a frame',
])('%s', async (name) => {
  const flood = FLOODS.find((known) => known.name === name)!;
  const { sent, blocks, gapMs, highestBytes } = await ground.endure(flood, FLOOD_MS);
  const memory = `${(highestBytes / MIB).toFixed(0)} MiB`;
  report(`${name}: ${sent} sent, ${blocks} blocks meanwhile, none for ${seconds(gapMs)} at worst, at most ${memory}`);
  expect(sent).toBeGreaterThan(0);
  expect(highestBytes).toBeLessThan(RESIDENT_MAX);
});

test('the logs say from whom the floods came, with what, and why it was not read', () => {
  const log = ground.honest.map((member) => member.log).join('');
  const { validator } = ground.network.members[3]!.seat;
  expect(log).toMatch(
    new RegExp(`rejected from="3 \\(${validator}\\)" message=FETCH-FINAL reason=too-often count=\\d+`),
  );
  expect(log).toMatch(new RegExp(`rejected from="3 \\(${validator}\\)" message=undecodable reason=`));
  expect(log).toMatch(new RegExp(`rejected from="3 \\(${validator}\\)" message=anything reason=too-many-wrong`));
});

test('nothing acknowledged is lost, and all agree', async () => {
  report(`${await ground.end()} blocks, the same on all`);
});
