/** Checks of single arguments. A wrong one is wrong use: the message says what was expected, the exit code is 2. */
import { InvalidArgumentError } from 'commander';
import { parseAddress } from '../genesis/address.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Address } from '../primitives/ids.ts';
import { Problems } from '../primitives/parse.ts';

/** A parser of whole numbers for commander's options. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

export const portNumber = wholeNumber(1, 65_535);

/** Gathers a repeatable option. */
export function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** An address, checksum tested. */
export function addressArgument(text: string, name = 'the address'): Address {
  const problems = new Problems();
  const address = parseAddress(text, name, problems);
  if (address === undefined) throw new QuorateError('USAGE', problems.list.join('; '));
  return address;
}

/** `ADDRESS=AMOUNT` split; the amount is parsed by the caller. */
export function splitPair(text: string, shape: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new QuorateError('USAGE', `${JSON.stringify(text)} is not of the form ${shape}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

export type HostAndPort = { readonly host: string; readonly port?: number };

/** `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`. */
export function parseHostAndPort(text: string): HostAndPort {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (match === null || (port !== undefined && (port < 1 || port > 65_535))) {
    throw new QuorateError(
      'USAGE',
      `${JSON.stringify(text)} is not HOST or HOST:PORT (an IPv6 address stands in [brackets])`,
    );
  }
  return { host: (match[1] ?? match[2])!, ...(port !== undefined && { port }) };
}
