/** What both Hardhats are put through: their provider, and hardhat-ethers on top of it. */
import assert from 'node:assert/strict';
import {
  ABI,
  alice,
  bob,
  CHAIN_ID,
  COIN,
  follow,
  GOVERNANCE,
  NO_HASH,
  NO_PROPOSAL,
  POLICY,
  receiptOf,
  refusal,
} from './checks.mjs';

/**
 * `ethers` is hardhat-ethers on a network with three keys, `provider` that network's. `more` is done besides, among the
 * transfers.
 */
export async function hardhatChecks({ ethers, provider, more }) {
  const [signer, poor, proposer] = await ethers.getSigners();

  async function transfer(value = 1n) {
    return (await signer.sendTransaction({ to: bob.address, value })).wait();
  }

  return {
    chain: async () => {
      assert.equal((await ethers.provider.getNetwork()).chainId, BigInt(CHAIN_ID));
      assert.match(await provider.request({ method: 'web3_clientVersion' }), /^quorate\//);
      const [first] = await provider.request({ method: 'eth_accounts' });
      assert.equal(first, alice.address.toLowerCase());
    },
    account: async () => {
      assert.equal(await ethers.provider.getBalance(alice.address), BigInt(alice.balance));
      assert.equal(await ethers.provider.getTransactionCount(alice.address), 0);
      assert.equal(await ethers.provider.getCode(alice.address), '0x');
      assert.equal(await ethers.provider.getStorage(alice.address, 0), '0x' + '0'.repeat(64));
      assert.equal(await ethers.provider.call({ to: bob.address, data: '0x12345678' }), '0x');
    },
    estimate: async () => {
      assert.equal(await signer.estimateGas({ to: bob.address, value: 1n }), 21_000n);
    },
    fees: async () => {
      const { gasPrice } = await ethers.provider.getFeeData();
      assert.equal(gasPrice, 0n);
    },
    transfer: async () => {
      const before = await ethers.provider.getBalance(bob.address);
      const receipt = await transfer(COIN);
      assert.deepEqual([receipt.status, receipt.gasUsed, receipt.from], [1, 21_000n, signer.address]);
      assert.equal(await ethers.provider.getBalance(bob.address), before + COIN);
    },
    repeated: async () => {
      for (let i = 0; i < 5; i++) assert.equal((await transfer()).status, 1);
      // By Hardhat's own signing of eth_sendTransaction, without ethers.
      const request = { from: alice.address, to: bob.address, value: '0x1' };
      const hash = await provider.request({ method: 'eth_sendTransaction', params: [request] });
      assert.equal((await receiptOf(hash)).status, '0x1');
      await more();
    },
    block: async () => {
      const block = await ethers.provider.getBlock('latest', true);
      assert.equal(block.prefetchedTransactions[0].from, signer.address);
      assert.equal((await ethers.provider.getBlock(block.hash)).number, block.number);
      for (const tag of ['finalized', 'safe', 'pending', 'earliest']) {
        assert.notEqual(await ethers.provider.getBlock(tag), null);
      }
    },
    unknown: async () => {
      assert.equal(await ethers.provider.getBlock(10 ** 9), null);
      assert.equal(await ethers.provider.getTransaction(NO_HASH), null);
      assert.equal(await ethers.provider.getTransactionReceipt(NO_HASH), null);
    },
    polling: async () => {
      const heard = [];
      await ethers.provider.on('block', (height) => heard.push(height));
      // Not by `wait`: it adds a listener of its own, and with every listener hardhat-ethers begins anew at the head.
      await follow(heard, async () => {
        const { hash } = await signer.sendTransaction({ to: bob.address, value: 1n });
        return (await receiptOf(hash)).blockNumber;
      });
      await ethers.provider.off('block');
    },
    logs: async () => {
      assert.deepEqual(await ethers.provider.getLogs({ fromBlock: 0, toBlock: 'latest' }), []);
      const filter = await provider.request({ method: 'eth_newBlockFilter' });
      const { blockHash } = await transfer();
      assert((await provider.request({ method: 'eth_getFilterChanges', params: [filter] })).includes(blockHash));
    },
    contract: async () => {
      const governance = await ethers.getContractAt(ABI, GOVERNANCE, proposer);
      assert.deepEqual([await governance.epoch(), (await governance.validators()).length], [0n, 3]);
      const receipt = await (await governance.propose([], [], [], POLICY)).wait();
      const names = receipt.logs.map(({ fragment }) => fragment.name);
      assert.deepEqual([receipt.status, names], [1, ['Proposed', 'Voted']]);
      const [found] = await governance.queryFilter('Proposed', 0, 'latest');
      assert.deepEqual([found.transactionHash, found.args.id], [receipt.hash, 1n]);
      for (const failing of [governance.vote.staticCall(99, true), governance.vote(99, true)]) {
        assert.match((await refusal(failing)).message, NO_PROPOSAL);
      }
    },
    funds: async () => {
      const request = { to: bob.address, value: COIN };
      assert.match((await refusal(poor.sendTransaction(request))).message, /insufficient funds/);
      assert.match(
        (await refusal(poor.sendTransaction({ ...request, gasLimit: 21_000 }))).message,
        /insufficient funds/,
      );
    },
    nonce: async () => {
      const error = await refusal(signer.sendTransaction({ to: bob.address, value: 2n, nonce: 0 }));
      assert.match(error.message, /nonce too low/i);
    },
    replacement: async () => {
      const nonce = await ethers.provider.getTransactionCount(alice.address);
      const later = { to: bob.address, nonce: nonce + 1, gasLimit: 21_000, gasPrice: 100n };
      await signer.sendTransaction({ ...later, value: 1n });
      const error = await refusal(signer.sendTransaction({ ...later, value: 2n }));
      assert.match(error.message, /replacement transaction underpriced/);
      const better = await signer.sendTransaction({ ...later, gasPrice: 200n, value: 3n });
      const first = await signer.sendTransaction({ to: bob.address, value: 4n, nonce });
      assert.equal((await first.wait()).status, 1);
      assert.equal((await better.wait()).status, 1);
    },
  };
}
