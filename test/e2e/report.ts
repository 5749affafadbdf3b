/** Measured figures, printed as they come, for whoever reads the run's output. */

export function report(text: string): void {
  process.stdout.write(`      ${text}\n`);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
