/** A trace as a line of a transcript. */
import type { Trace } from '../../consensus/effect.ts';

function shortHash(hash: string): string {
  return hash.slice(2, 10);
}

export function traceText(trace: Trace): string {
  switch (trace.name) {
    case 'started':
      return `may sign (${trace.answers} answers)`;
    case 'amnesia':
      return `forgot what it signed: ${trace.held}`;
    case 'halted':
      return `halted: ${trace.reason}`;
    case 'suspect':
      return `suspects ${trace.accused.map((member) => `r${member}`)} in view ${trace.view}: ${trace.reason}`;
    case 'view-entered':
      return `enters view ${trace.view} (r${trace.by} accused ${trace.accused.map((member) => `r${member}`)})`;
    case 'view-installed':
    case 'proposed':
    case 'certified':
    case 'final':
      return `${trace.name} ${trace.height} ${shortHash(trace.hash)} in view ${trace.view}`;
    case 'fetching':
      return `fetches ${trace.from}..${trace.to} from r${trace.peer}`;
    case 'conflict':
      return `says r${trace.signer} lies: ${trace.what}`;
    case 'rejected':
      return `rejects ${trace.message} of r${trace.from}: ${trace.reason}`;
  }
}
