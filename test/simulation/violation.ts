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
  | 'liveness'
  | 'convergence'
  | 'determinism'
  | 'crash';

export class Violation extends Error {
  override readonly name = 'Violation';
  readonly property: Property;

  constructor(property: Property, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.property = property;
  }
}
