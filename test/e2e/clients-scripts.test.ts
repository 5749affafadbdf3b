/**
 * The scripts of `npm run clients` whose clients are installed with the project anyway: what a maintainer runs with all
 * clients before a release, these run always.
 */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runClient } from '../clients/session.ts';
import { Devnet } from './devnet.ts';

test.each(['ethers6'])('%s passes every check', async (client) => {
  const devnet = await Devnet.start();
  try {
    const outcome = await runClient(fileURLToPath(new URL(`../clients/${client}`, import.meta.url)), devnet.line);
    expect(outcome).toEqual({ version: expect.any(String), passed: expect.any(Array), failed: new Map(), untried: [] });
    expect(outcome.passed.length).toBeGreaterThan(10);
  } finally {
    await devnet.stop();
  }
});
