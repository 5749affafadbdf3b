/** Which channel a message takes: large ones must not hold up votes. */
import type { Message } from '../consensus/message.ts';
import type { Channel } from '../p2p/transport.ts';

const OTHERS: Partial<Record<Message['kind'], Channel>> = {
  PROPOSAL: 'blocks',
  FINAL: 'blocks',
  BLOCKS: 'sync',
  'FETCH-FINAL': 'sync',
  'FETCH-BODIES': 'sync',
  EVIDENCE: 'sync',
};

export function channelOf({ kind }: Message): Channel {
  return OTHERS[kind] ?? 'consensus';
}
