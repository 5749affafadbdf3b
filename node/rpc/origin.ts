/**
 * Who may talk to the server from a browser. The Host check stops DNS rebinding, which needs a name: localhost and IP
 * literals pass, other names only by configuration. CORS lets pages of the listed origins read replies; a WebSocket has
 * no CORS, so there the origin itself is checked (as geth does, pages served from this machine pass).
 */
import { isIP } from 'node:net';

export type OriginRules = {
  /** Further host names; '*' allows any. */
  readonly allowedHosts: readonly string[];
  /** Origins whose pages may read replies; '*' allows any. */
  readonly cors: readonly string[];
};

/** Name or address of a Host header, without port and brackets. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host);
  if (bracketed !== null) return bracketed[1]!;
  return host.replace(/:\d+$/, '').toLowerCase();
}

export function hostAllowed(host: string | undefined, rules: OriginRules): boolean {
  if (host === undefined || host === '') return true; // no browser leaves it out
  const name = hostName(host);
  if (name === 'localhost' || isIP(name) !== 0 || rules.allowedHosts.includes('*')) return true;
  return rules.allowedHosts.some((allowed) => allowed.toLowerCase() === name);
}

/** Value of Access-Control-Allow-Origin; undefined when the origin gets none. */
export function corsOrigin(origin: string | undefined, rules: OriginRules): string | undefined {
  if (origin === undefined) return undefined;
  if (rules.cors.includes('*')) return '*';
  return rules.cors.some((allowed) => allowed.toLowerCase() === origin.toLowerCase()) ? origin : undefined;
}

export function webSocketOriginAllowed(origin: string | undefined, rules: OriginRules): boolean {
  if (origin === undefined || corsOrigin(origin, rules) !== undefined) return true;
  try {
    const name = new URL(origin).hostname;
    return name === 'localhost' || name === '127.0.0.1' || name === '[::1]';
  } catch {
    return false; // "null" and other opaque origins
  }
}
