/** Hardhat 3: its network connection, hardhat-ethers, and Ignition with a module that only sends. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import hardhatEthers from '@nomicfoundation/hardhat-ethers';
import { buildModule } from '@nomicfoundation/hardhat-ignition/modules';
import hardhatIgnition from '@nomicfoundation/hardhat-ignition-ethers';
import { createHardhatRuntimeEnvironment } from 'hardhat/hre';
import { alice, bob, CHAIN_ID, COIN, http, operator, pauper, run } from '../checks.mjs';
import { hardhatChecks } from '../hardhat-checks.mjs';

const { version } = createRequire(import.meta.url)('hardhat/package.json');
const hardhat = await createHardhatRuntimeEnvironment({
  plugins: [hardhatEthers, hardhatIgnition],
  networks: {
    quorate: {
      type: 'http',
      chainType: 'l1',
      chainId: CHAIN_ID,
      url: http,
      accounts: [alice, pauper, operator].map(({ privateKey }) => privateKey),
    },
  },
  // Five by default, and there are no blocks without transactions to count.
  ignition: { requiredConfirmations: 1 },
});
const { ethers, ignition, provider } = await hardhat.network.create('quorate');

/** Ignition: nonces, fees and waiting of its own. */
async function deploy() {
  const balance = () => ethers.provider.getBalance(bob.address);
  const before = await balance();
  const pay = buildModule('Pay', (m) => {
    // With calldata: of "0x" Hardhat 3.18 signs one zero byte, for which the estimate is too low on any chain.
    m.send('first', bob.address, COIN, '0xc0de');
    m.send('second', bob.address, COIN, '0xc0de');
    return {};
  });
  await ignition.deploy(pay);
  assert.equal(await balance(), before + 2n * COIN);
}

await run(version, await hardhatChecks({ ethers, provider, more: deploy }));
