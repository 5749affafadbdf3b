/** Amounts as people give and read them: whole coins (`1.5`), or wei when they end in `wei` (`100wei`). */
import { QuorateError } from '../primitives/errors.ts';

export const COIN = 10n ** 18n;

const AMOUNT = /^(\d{1,60})(?:\.(\d{1,18}))?$/;
const WEI = /^(\d{1,78}) ?wei$/;

/** Wei of an amount. Throws USAGE when it is not one. */
export function parseAmount(text: string): bigint {
  const wei = WEI.exec(text);
  const coins = AMOUNT.exec(text);
  const amount = wei !== null ? BigInt(wei[1]!) : coins !== null ? coinsToWei(coins[1]!, coins[2] ?? '') : undefined;
  if (amount === undefined || amount >= 2n ** 256n) {
    throw new QuorateError(
      'USAGE',
      `${JSON.stringify(text)} is not an amount; give coins such as 1.5, or wei such as 100wei`,
    );
  }
  return amount;
}

function coinsToWei(whole: string, fraction: string): bigint {
  return BigInt(whole) * COIN + BigInt(fraction.padEnd(18, '0'));
}

/** Wei as coins, without trailing zeros. */
export function formatCoins(wei: bigint): string {
  const fraction = (wei % COIN).toString().padStart(18, '0').replace(/0+$/, '');
  return (wei / COIN).toString() + (fraction === '' ? '' : `.${fraction}`);
}
