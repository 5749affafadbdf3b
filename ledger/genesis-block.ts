/** Block 0 and its state: the balances of the genesis and the governance contract with the first validator list. */
import { hexBytes } from '../primitives/bytes.ts';
import { type Address, type Bytes, GOVERNANCE_ADDRESS, ZERO_ADDRESS, ZERO_HASH } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { membershipHash } from '../primitives/membership.ts';
import { type Account, EMPTY_CODE } from './account.ts';
import { EMPTY_BLOOM, EMPTY_UNCLES, makeBlock, ZERO_NONCE } from './block.ts';
import type { ChainRules, GenesisInput } from './chain-rules.ts';
import type { Executed } from './executor.ts';
import { genesisState } from './governance/state.ts';
import { governanceAccount, sealGovernance } from './governance/storage.ts';
import { EMPTY_ROOT } from './ordered-root.ts';
import type { Trie } from './trie.ts';
import { toNibbles } from './trie-codec.ts';

function keyOf(address: Address): Bytes {
  return toNibbles(keccak256(hexBytes(address)));
}

/** Accounts with nothing in them are left out (EIP-161). */
export function executeGenesis(rules: ChainRules, trie: Trie<Account>, input: GenesisInput): Executed {
  const governance = sealGovernance(genesisState(input.validators, input.policy));
  const edit = trie.edit(trie.empty());
  for (const [address, balance] of input.alloc) {
    if (balance === 0n) continue;
    edit.put(keyOf(address), { nonce: 0, balance, storageRoot: EMPTY_ROOT, codeHash: EMPTY_CODE });
  }
  const balance = input.alloc.get(GOVERNANCE_ADDRESS) ?? 0n;
  edit.put(keyOf(GOVERNANCE_ADDRESS), governanceAccount(governance, balance));
  const root = edit.seal();
  const block = makeBlock(
    {
      parentHash: ZERO_HASH,
      sha3Uncles: EMPTY_UNCLES,
      miner: ZERO_ADDRESS,
      stateRoot: root.hash,
      transactionsRoot: EMPTY_ROOT,
      receiptsRoot: EMPTY_ROOT,
      logsBloom: EMPTY_BLOOM,
      difficulty: 0,
      number: 0,
      gasLimit: rules.gasLimit,
      gasUsed: 0,
      timestamp: input.timestamp,
      extraData: Uint8Array.from(input.extraData),
      mixHash: membershipHash(input.validators),
      nonce: ZERO_NONCE,
      baseFeePerGas: rules.baseFee,
    },
    [],
  );
  return { block, receipts: [], root, undo: new Map(), governance };
}
