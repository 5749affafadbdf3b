/** This program's version, from its package. */
import { readFileSync } from 'node:fs';

/** From the sources this is ../package.json, from the build one folder higher. */
function packageVersion(): string {
  for (const candidate of ['../package.json', '../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(candidate, import.meta.url), 'utf8')) as { version?: string };
      if (parsed.version !== undefined) return parsed.version;
    } catch {
      // The other place is tried next.
    }
  }
  return '0.0.0';
}

export const VERSION = packageVersion();
