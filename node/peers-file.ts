/**
 * `peers.json` in the data folder: what peers have signed as their addresses (p2p/address-store.ts). It may be deleted at
 * any time; a node without it finds its peers by configuration and genesis. Replaced as a whole, so that a kill leaves
 * the old one or the new one.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { AddressStorage } from '../p2p/transport.ts';
import { PEERS_FILE, syncFolder } from './data-dir.ts';

/** Rejects with the system's error; the transport logs it and goes on. */
export function peersFile(dataDir: string): AddressStorage {
  const path = join(dataDir, PEERS_FILE);
  return {
    load: async () => {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    save: async (text) => {
      const next = `${path}.next`;
      const file = await open(next, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(next, path);
      await syncFolder(dataDir);
    },
  };
}
