/**
 * The accounts of every devnet, from the mnemonic that Hardhat and Foundry use (BIP-39, path m/44'/60'/0'/0/i), so that
 * wallets and scripts made for those work unchanged. Their keys are public: they are for tests alone.
 */
import { fromHex } from '../../primitives/bytes.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import { COIN } from '../amount.ts';

const DEVNET_MNEMONIC = 'test test test test test test test test test test test junk';
/** Accounts before the operators'. */
export const PLAIN_ACCOUNTS = 10;
export const DEVNET_BALANCE = 1000n * COIN;

export type DevnetAccount = { readonly address: Address; readonly privateKey: string; readonly key: Bytes };

/** The first `count` accounts. */
export async function devnetAccounts(count: number): Promise<DevnetAccount[]> {
  const { HDNodeWallet } = await import('ethers');
  const parent = HDNodeWallet.fromPhrase(DEVNET_MNEMONIC, undefined, "m/44'/60'/0'/0");
  return Array.from({ length: count }, (_, i) => {
    const { address, privateKey } = parent.deriveChild(i);
    return { address: address.toLowerCase(), privateKey, key: fromHex(privateKey)! };
  });
}
