/** A trace as a line of a transcript. */
import type { Trace } from '../../consensus/effect.ts';

function shortHash(hash: string): string {
  return hash.slice(2, 10);
}

/** `machineOf`: the number of the machine that a validator of the epoch runs on. */
export function traceText(trace: Trace, machineOf: (index: number) => number | undefined): string {
  const named = (index: number): string => `r${machineOf(index) ?? '?'}`;
  switch (trace.name) {
    case 'started':
      return `may sign (${trace.answers} answers)`;
    case 'amnesia':
      return `forgot what it signed: ${trace.held}`;
    case 'halted':
      return `halted: ${trace.reason}`;
    case 'suspect':
      return `suspects ${trace.accused.map(named)} in view ${trace.view}, on to ${trace.target}: ${trace.reason}`;
    case 'suspicion':
      return `notes that ${named(trace.by)} suspects ${trace.of.map(named)}: ${trace.reason}`;
    case 'generation':
      return `begins generation ${trace.generation} of suspicions`;
    case 'view-entered':
      return `enters view ${trace.view} (${named(trace.by)} accused ${trace.accused.map(named)})`;
    case 'view-installed':
    case 'proposed':
    case 'certified':
    case 'final':
      return `${trace.name} ${trace.height} ${shortHash(trace.hash)} in view ${trace.view}`;
    case 'epoch-ended':
      return `ends epoch ${trace.epoch} with block ${trace.height} ${shortHash(trace.hash)}`;
    case 'fetching':
      return `fetches ${trace.from}..${trace.to} from ${named(trace.peer)}`;
    case 'proven':
      return `has proven ${trace.kind} of ${named(trace.signer)} in view ${trace.view}`;
    case 'conflict':
      return `says ${named(trace.signer)} lies: ${trace.what}`;
    case 'rejected':
      return `rejects ${trace.message} of ${named(trace.from)}: ${trace.reason}`;
  }
}
