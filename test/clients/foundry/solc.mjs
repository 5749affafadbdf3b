#!/usr/bin/env node
/** The Solidity compiler as forge calls it: forge would download a binary, and the npm package is a library. */
import { readFileSync } from 'node:fs';
import solc from 'solc';

const answer = process.argv.includes('--version')
  ? `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`
  : solc.compile(readFileSync(0, 'utf8'));
process.stdout.write(answer);
