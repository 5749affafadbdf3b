/** Hardhat 2: its network provider and hardhat-ethers. */
import { createRequire } from 'node:module';
import { alice, http, operator, pauper, run } from '../checks.mjs';
import { hardhatChecks } from '../hardhat-checks.mjs';

process.env['QUORATE_HARDHAT'] = [http, ...[alice, pauper, operator].map(({ privateKey }) => privateKey)].join(' ');
process.env['HARDHAT_CONFIG'] = `${import.meta.dirname}/hardhat.config.cjs`;
const require = createRequire(import.meta.url);
const { version } = require('hardhat/package.json');
const { ethers, network } = require('hardhat');

await run(version, await hardhatChecks({ ethers, provider: network.provider, more: () => undefined }));
