/** Foundry: cast, and forge with a script of transfers. Their library decodes strictly: a missing field is an error. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  alice,
  bob,
  CHAIN_ID,
  COIN,
  GOVERNANCE,
  http,
  NO_HASH,
  NO_PROPOSAL,
  operator,
  POLICY,
  pauper,
  refusal,
  rpc,
  run,
  socket,
} from '../checks.mjs';

const execute = promisify(execFile);

/** What a command prints; rejects with what it complains about (as a package of npm it exits with 0 all the same). */
async function tool(name, ...args) {
  const options = { cwd: import.meta.dirname, env: { ...process.env, NO_COLOR: '1' }, timeout: 50_000 };
  const { stdout, stderr } = await execute(`./node_modules/.bin/${name}`, args, options);
  if (/^Error: /m.test(stderr)) throw new Error(stderr.trim());
  return stdout.trim();
}

const cast = (...args) => tool('cast', ...args, '--rpc-url', http);
const read = async (...args) => JSON.parse(await cast(...args, '--json'));
const send = (...args) => read('send', bob.address, '--private-key', alice.privateKey, ...args);

const version = /Version: (\S+)/.exec(await tool('cast', '--version'))[1];

await run(version, {
  chain: async () => {
    assert.equal(await cast('chain-id'), String(CHAIN_ID));
    assert.match(await cast('client'), /^quorate\//);
  },
  account: async () => {
    assert.equal(await cast('balance', alice.address), alice.balance);
    assert.equal(await cast('nonce', alice.address), '0');
    assert.equal(await cast('code', alice.address), '0x');
    assert.equal(await cast('storage', alice.address, '0'), '0x' + '0'.repeat(64));
    assert.equal(await cast('call', bob.address, '0x12345678'), '0x');
  },
  estimate: async () => {
    assert.equal(await cast('estimate', bob.address, '--value', '1', '--from', alice.address), '21000');
  },
  fees: async () => {
    assert.deepEqual([await cast('gas-price'), await cast('base-fee')], ['0', '0']);
  },
  transfer: async () => {
    const before = BigInt(await cast('balance', bob.address));
    const receipt = await send('--value', String(COIN));
    assert.deepEqual([receipt.status, receipt.gasUsed, receipt.type], ['0x1', '0x5208', '0x2']);
    assert.equal(BigInt(await cast('balance', bob.address)), before + COIN);
    assert.equal((await read('receipt', receipt.transactionHash)).blockHash, receipt.blockHash);
    assert.equal((await read('tx', receipt.transactionHash)).blockHash, receipt.blockHash);
  },
  repeated: async () => {
    for (let i = 0; i < 5; i++) assert.equal((await send('--value', '1')).status, '0x1');
    // Without a price it would bid 1 wei, which who has nothing but the value cannot pay.
    const free = ['--gas-price', '0', '--priority-gas-price', '0'];
    assert.equal((await send('--value', '1', ...free)).effectiveGasPrice, '0x0');
    assert.equal((await send('--value', '1', '--legacy')).type, '0x0');
    const script = ['script', 'script/Pay.s.sol', '--sig', 'run(address)', bob.address, '--use', './solc.mjs'];
    const before = BigInt(await cast('balance', bob.address));
    await tool('forge', ...script, '--rpc-url', http, '--broadcast', '--private-key', alice.privateKey);
    assert.equal(BigInt(await cast('balance', bob.address)), before + 3n * COIN);
  },
  block: async () => {
    const block = await read('block', 'latest', '--full');
    assert.equal(block.transactions[0].from, alice.address.toLowerCase());
    assert.equal(await tool('cast', 'keccak', await cast('block', 'latest', '--raw')), block.hash);
    for (const tag of ['finalized', 'safe', 'pending', 'earliest', block.hash]) await read('block', tag);
  },
  unknown: async () => {
    assert.match((await refusal(cast('block', '1000000000'))).message, /not found/);
    assert.match((await refusal(cast('tx', NO_HASH))).message, /not found/);
    assert.match((await refusal(cast('receipt', NO_HASH, '--async'))).message, /not found/);
  },
  socket: async () => {
    // Over WebSocket it waits for a receipt by newHeads.
    const from = Number(await tool('cast', 'block-number', '--rpc-url', socket));
    const args = ['send', bob.address, '--value', '1', '--private-key', alice.privateKey, '--json'];
    for (let i = 0; i < 3; i++) {
      const receipt = JSON.parse(await tool('cast', ...args, '--rpc-url', socket));
      assert.equal(receipt.status, '0x1');
      assert(Number(receipt.blockNumber) > from + i);
    }
  },
  logs: async () => {
    assert.deepEqual(await read('logs', '--from-block', '0', '--to-block', 'latest', '--address', bob.address), []);
  },
  contract: async () => {
    assert.equal(await cast('call', GOVERNANCE, 'epoch()(uint64)'), '0');
    assert.equal((await cast('call', GOVERNANCE, 'validators()((address,bytes,address)[])')).match(/\(0x/g).length, 3);
    const candidate = '(address,bytes,address,string)';
    const propose = `propose(${candidate}[],address[],(address,${candidate})[],(uint16,uint32,bool,uint16,uint32,uint32,uint32,uint32,uint32))`;
    const policy = `(${Object.values(POLICY).join(',')})`;
    const by = ['--private-key', operator.privateKey];
    const { status, logs } = await read('send', GOVERNANCE, propose, '[]', '[]', '[]', policy, ...by);
    assert.deepEqual([status, logs.length], ['0x1', 2]);
    const event = 'Voted(uint256 indexed,address indexed,address indexed,bool)';
    const [found] = await read('logs', event, '--from-block', '0', '--address', GOVERNANCE);
    assert.deepEqual(found.topics, logs[1].topics);
    const vote = [GOVERNANCE, 'vote(uint256,bool)', '99', 'true'];
    assert.match((await refusal(cast('call', ...vote, '--from', operator.address))).message, NO_PROPOSAL);
    assert.match((await refusal(cast('send', ...vote, ...by))).message, NO_PROPOSAL);
  },
  funds: async () => {
    const poor = ['send', bob.address, '--value', '1ether', '--private-key', pauper.privateKey];
    assert.match((await refusal(cast(...poor))).message, /insufficient funds/);
    assert.match((await refusal(cast(...poor, '--gas-limit', '21000'))).message, /insufficient funds/);
  },
  nonce: async () => {
    assert.match((await refusal(send('--value', '2', '--nonce', '0'))).message, /nonce too low/);
  },
  replacement: async () => {
    const nonce = Number(await rpc('eth_getTransactionCount', alice.address, 'latest'));
    const later = ['--nonce', String(nonce + 1), '--gas-limit', '21000', '--gas-price', '100', '--legacy'];
    await cast('send', bob.address, '--private-key', alice.privateKey, '--value', '1', '--async', ...later);
    assert.match((await refusal(send('--value', '2', ...later))).message, /replacement transaction underpriced/);
    assert.equal((await send('--value', '3', '--nonce', String(nonce))).status, '0x1');
  },
});
