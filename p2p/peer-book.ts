/** What is known of each peer across its links: for status, metrics and log lines. Strangers are forgotten when they leave. */
import type { Link } from './link.ts';
import { CHANNELS, type Channel, type ChannelStats, type PeerStats, type Role } from './transport.ts';

type Entry = {
  link: Link | undefined;
  upSince: number | undefined;
  timesUp: number;
  failures: number;
  lastError: string | undefined;
  /** Totals of links that are gone, so that counters do not go back. */
  readonly past: Record<Channel, { bytesIn: number; bytesOut: number }>;
};

function newEntry(): Entry {
  const zero = () => ({ bytesIn: 0, bytesOut: 0 });
  const past = { consensus: zero(), blocks: zero(), transactions: zero(), sync: zero() };
  return { link: undefined, upSince: undefined, timesUp: 0, failures: 0, lastError: undefined, past };
}

export class PeerBook {
  readonly #entries = new Map<string, Entry>();

  /** The link that is up. */
  link(peer: string): Link | undefined {
    return this.#entries.get(peer)?.link;
  }

  connected(): string[] {
    return [...this.#entries].filter(([, entry]) => entry.link !== undefined).map(([peer]) => peer);
  }

  links(): Link[] {
    return [...this.#entries.values()].flatMap((entry) => entry.link ?? []);
  }

  onUp(link: Link, nowMs: number): void {
    const entry = this.#entry(link.peer);
    entry.link = link;
    entry.upSince = nowMs;
    entry.timesUp++;
    entry.failures = 0;
    entry.lastError = undefined;
  }

  onDown(link: Link, reason: string): void {
    const entry = this.#entry(link.peer);
    for (const channel of CHANNELS) {
      const { bytesIn, bytesOut } = link.channelStats(channel);
      entry.past[channel].bytesIn += bytesIn;
      entry.past[channel].bytesOut += bytesOut;
    }
    entry.link = undefined;
    entry.upSince = undefined;
    entry.lastError = reason;
  }

  onFailure(peer: string, reason: string): void {
    const entry = this.#entry(peer);
    entry.failures++;
    entry.lastError = reason;
  }

  lastError(peer: string): string | undefined {
    return this.#entries.get(peer)?.lastError;
  }

  /** Drops everyone without a link who is not in the set. */
  forgetStrangers(isKnown: (peer: string) => boolean): void {
    for (const [peer, entry] of this.#entries) {
      if (entry.link === undefined && !isKnown(peer)) this.#entries.delete(peer);
    }
  }

  stats(role: (peer: string) => Role): PeerStats[] {
    return [...this.#entries].map(([peer, entry]) => ({
      peer,
      role: role(peer),
      up: entry.link !== undefined,
      upSince: entry.upSince,
      rttMs: entry.link?.rttMs,
      reconnects: Math.max(0, entry.timesUp - 1),
      failures: entry.failures,
      lastError: entry.lastError,
      channels: {
        consensus: channelStats(entry, 'consensus'),
        blocks: channelStats(entry, 'blocks'),
        transactions: channelStats(entry, 'transactions'),
        sync: channelStats(entry, 'sync'),
      },
    }));
  }

  #entry(peer: string): Entry {
    let entry = this.#entries.get(peer);
    if (entry === undefined) {
      entry = newEntry();
      this.#entries.set(peer, entry);
    }
    return entry;
  }
}

function channelStats(entry: Entry, channel: Channel): ChannelStats {
  const past = entry.past[channel];
  const live = entry.link?.channelStats(channel) ?? { queuedBytes: 0, bytesIn: 0, bytesOut: 0 };
  return {
    queuedBytes: live.queuedBytes,
    bytesIn: past.bytesIn + live.bytesIn,
    bytesOut: past.bytesOut + live.bytesOut,
  };
}
