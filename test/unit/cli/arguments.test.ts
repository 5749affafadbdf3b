import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCoins, parseAmount } from '../../../cli/amount.ts';
import { addressArgument, parseHostAndPort, splitPair, wholeNumber } from '../../../cli/arguments.ts';
import { table } from '../../../cli/output.ts';

describe('amounts', () => {
  it.each([
    ['1', 10n ** 18n],
    ['0', 0n],
    ['1.5', 1_500_000_000_000_000_000n],
    ['0.000000000000000001', 1n],
    ['100wei', 100n],
    ['100 wei', 100n],
  ])('%s', (text, wei) => {
    expect(parseAmount(text)).toBe(wei);
  });

  it.each(['', '-1', '1.', '.5', '1e18', '0x10', '1.0000000000000000001', '1.5wei', '1 coin', `${2n ** 256n}wei`])(
    'refuses %s',
    (text) => {
      expect(() => parseAmount(text)).toThrow(/is not an amount/);
    },
  );

  it('are read back as they are shown', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 200n }), (wei) => {
        expect(parseAmount(formatCoins(wei))).toBe(wei);
        expect(parseAmount(`${wei}wei`)).toBe(wei);
      }),
    );
  });
});

describe('hosts', () => {
  it.each([
    ['10.0.0.1', { host: '10.0.0.1' }],
    ['node.example:30400', { host: 'node.example', port: 30400 }],
    ['[::1]', { host: '::1' }],
    ['[::1]:1', { host: '::1', port: 1 }],
  ])('%s', (text, expected) => {
    expect(parseHostAndPort(text)).toEqual(expected);
  });

  it.each(['', '::1', 'a:0', 'a:65536', 'a:b', 'http://a', 'a b'])('refuses %s', (text) => {
    expect(() => parseHostAndPort(text)).toThrow(/is not HOST or HOST:PORT/);
  });
});

describe('single arguments', () => {
  it('are checked', () => {
    expect(wholeNumber(1, 5)('5')).toBe(5);
    for (const text of ['0', '6', '1.5', '', 'x', '1e0']) expect(() => wholeNumber(1, 5)(text)).toThrow(/whole number/);
    expect(splitPair('a=b=c', 'A=B')).toEqual(['a', 'b=c']);
    expect(() => splitPair('=b', 'A=B')).toThrow(/form A=B/);
    expect(() => addressArgument('0x12')).toThrow(/expected an address/);
  });
});

describe('tables', () => {
  it('have columns as wide as their widest cell, and no trailing blanks', () => {
    expect(
      table(
        ['a', 'b'],
        [
          ['long', 'x'],
          ['', ''],
        ],
      ),
    ).toBe('a     b\nlong  x\n');
  });
});
