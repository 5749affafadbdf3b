/**
 * A second, much simpler ledger: balances and nonces of plain transfers and of calls that move nothing, applied to the one
 * global chain. What the real one computed must agree with it (reliability.md P4, P9, P10, P11).
 */
import type { Block } from '../../../ledger/block.ts';
import { governanceGas } from '../../../ledger/governance/contract.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { type Address, GOVERNANCE_ADDRESS, type Hash } from '../../../primitives/ids.ts';
import { BASE_FEE, CHAIN_ID, FUNDED, START_BALANCE } from '../transactions.ts';

type Account = { nonce: number; balance: bigint };

function gasOf({ to, data, intrinsicGas, gasLimit }: Transaction): number {
  return to === GOVERNANCE_ADDRESS ? Math.min(gasLimit, intrinsicGas + governanceGas(data)) : intrinsicGas;
}

function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

export class LedgerModel {
  readonly #accounts = new Map<Address, Account>(
    FUNDED.map((address) => [address, { nonce: 0, balance: START_BALANCE }]),
  );
  readonly #executed = new Set<Hash>();
  #burnt = 0n;

  /** Applies the next block; what is wrong with it, or undefined. */
  apply(block: Block): string | undefined {
    let gasUsed = 0;
    for (const tx of block.transactions) {
      const sender = this.#account(tx.from);
      if (this.#executed.has(tx.hash)) return `transaction ${tx.hash} is executed twice`;
      this.#executed.add(tx.hash);
      if (tx.chainId !== CHAIN_ID) return `transaction ${tx.hash} is another chain's`;
      if (tx.nonce !== sender.nonce) return `nonce ${tx.nonce} of ${tx.from}, expected ${sender.nonce}`;
      const tip = smaller(tx.maxPriorityFeePerGas, tx.maxFeePerGas - BASE_FEE);
      if (tip < 0n) return `transaction ${tx.hash} pays less than the base fee`;
      const used = gasOf(tx);
      const gas = BigInt(used);
      const cost = tx.value + gas * (BASE_FEE + tip);
      if (sender.balance < cost) return `${tx.from} cannot pay for ${tx.hash}`;
      sender.nonce++;
      sender.balance -= cost;
      if (tx.to !== GOVERNANCE_ADDRESS) this.#account(tx.to!).balance += tx.value;
      this.#account(block.header.miner).balance += gas * tip;
      this.#burnt += gas * BASE_FEE;
      gasUsed += used;
    }
    if (gasUsed !== block.header.gasUsed) return `gas used ${block.header.gasUsed}, expected ${gasUsed}`;
    return this.#conservation();
  }

  #conservation(): string | undefined {
    let sum = this.#burnt;
    for (const account of this.#accounts.values()) sum += account.balance;
    const expected = START_BALANCE * BigInt(FUNDED.length);
    return sum === expected ? undefined : `balances and burnt fees add up to ${sum}, not to ${expected}`;
  }

  #account(address: Address): Account {
    let account = this.#accounts.get(address);
    if (account === undefined) {
      account = { nonce: 0, balance: 0n };
      this.#accounts.set(address, account);
    }
    return account;
  }

  get addresses(): Iterable<Address> {
    return this.#accounts.keys();
  }

  nonceAndBalance(address: Address): Account {
    return this.#account(address);
  }
}
