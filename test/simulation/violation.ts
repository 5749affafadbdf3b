/** What a checker found: which property broke, and how. Ends the run that shows it. */

export type Property =
  | 'agreement'
  | 'order'
  | 'durability'
  | 'double-sign'
  | 'view-promise'
  | 'membership'
  | 'epoch'
  | 'proof'
  | 'execution'
  | 'client'
  | 'accuracy'
  | 'anarchy'
  | 'liveness'
  | 'convergence'
  | 'determinism'
  | 'crash';

/** What is promised only as long as the run has never been in anarchy; all else holds always. */
export const PROMISED: ReadonlySet<Property> = new Set<Property>([
  'agreement',
  'proof',
  'epoch',
  'execution',
  'liveness',
  'convergence',
]);

export class Violation extends Error {
  override readonly name = 'Violation';
  readonly property: Property;

  constructor(property: Property, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.property = property;
  }
}
