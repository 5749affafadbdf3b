/** The last lines of what happened in a run, for a person to read after it failed; all of them when asked. */
export class Transcript {
  readonly #lines: string[] = [];
  readonly #max: number;
  readonly #print: ((line: string) => void) | undefined;

  constructor(max: number, print?: (line: string) => void) {
    this.#max = max;
    this.#print = print;
  }

  add(nowMs: number, who: number | 'world', text: string): void {
    const line = `${nowMs.toFixed(1).padStart(10)} ${(who === 'world' ? 'world' : `r${who}`).padEnd(5)} ${text}`;
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#max) this.#lines.splice(0, this.#lines.length - this.#max);
    this.#print?.(line);
  }

  get tail(): readonly string[] {
    return this.#lines.slice(-this.#max);
  }
}
