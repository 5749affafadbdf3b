/** Real peers that are no good as sources of a snapshot: they dial a node and answer its questions with lies, or not at all. */
import { randomBytes } from 'node:crypto';
import {
  decodeSyncMessage,
  encodeSyncMessage,
  type Request,
  type SyncMessage,
} from '../../node/state-sync/messages.ts';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import type { Transport } from '../../p2p/transport.ts';

/** Undefined: no answer. */
type Habit = (request: Request) => SyncMessage | undefined;

const FAR = 1_000_000;
const RUBBISH = Buffer.from('c3010203', 'hex');

const isProbe = (request: Request): boolean => request.kind === 'FETCH-HISTORY' && request.to < request.from;

export const HABITS = {
  /** Says that it has a long chain and makes blocks up. */
  forger: (request) => {
    if (request.kind !== 'FETCH-HISTORY') return undefined;
    const blocks = isProbe(request) ? [] : [{ block: RUBBISH, receipts: RUBBISH, proof: RUBBISH }];
    return { kind: 'HISTORY', nonce: request.nonce, final: FAR, blocks };
  },
  /** Has no blocks, and makes up the state. */
  painter: (request) => {
    const { nonce } = request;
    if (request.kind === 'FETCH-HISTORY') return { kind: 'HISTORY', nonce, final: 0, blocks: [] };
    if (request.kind === 'FETCH-CONTRACT') return { kind: 'CONTRACT', nonce, bytes: RUBBISH };
    return { kind: 'STATE', nonce, records: request.paths.map(() => RUBBISH) };
  },
  /** Promises everything and says nothing more. */
  mute: (request) => (isProbe(request) ? { kind: 'HISTORY', nonce: request.nonce, final: FAR, blocks: [] } : undefined),
} as const satisfies Record<string, Habit>;

export class BadSource {
  /** Questions it was asked, the first about how far it is included. */
  asked = 0;
  isLinked = false;
  readonly #transport: Transport;

  private constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Dials `target` until it answers. */
  static async start(
    habit: Habit,
    chain: { readonly chainId: number; readonly genesisHash: string },
    target: { readonly peer: string; readonly address: string },
  ): Promise<BadSource> {
    const transport = createLibp2pTransport({
      privateKey: randomBytes(32),
      listen: { host: '127.0.0.1', port: 0 },
      ...chain,
      validators: [{ peer: target.peer, addresses: [target.address] }],
      allowedPeers: [],
      log: () => undefined,
    });
    const source = new BadSource(transport);
    transport.setHandlers({
      onUp: () => {
        source.isLinked = true;
      },
      onMessage: (peer, channel, payload) => {
        const request = channel === 'sync' ? decodeSyncMessage(payload) : undefined;
        if (request === undefined || !request.kind.startsWith('FETCH')) return;
        source.asked++;
        const answer = habit(request as Request);
        if (answer !== undefined) transport.send(peer, 'sync', encodeSyncMessage(answer));
      },
    });
    await transport.start();
    return source;
  }

  stop(): Promise<void> {
    return this.#transport.stop();
  }
}
