/**
 * What people and scripts see. Results go to stdout, everything said on the way to stderr, so that a pipe carries the
 * result alone. Progress is one line rewritten on a terminal, and a line per change elsewhere.
 */

/** A line of result. */
export function printLine(text = ''): void {
  process.stdout.write(text + '\n');
}

/** One line of JSON; bigints become decimal strings. */
export function printJson(value: unknown): void {
  printLine(jsonLine(value));
}

export function jsonLine(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item));
}

/** A remark that is not the result. */
export function remark(text: string): void {
  clearProgress();
  process.stderr.write(text + '\n');
}

export function warn(text: string): void {
  remark(`warning: ${text}`);
}

let shown = '';

/** Says what is being done now. */
export function progress(text: string): void {
  if (text === shown) return;
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
  else process.stderr.write(text + '\n');
  shown = text;
}

/** Takes the progress line away before something else is written. */
export function clearProgress(): void {
  if (shown !== '' && process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  shown = '';
}

/** Lines of aligned `name  value` pairs. */
export function pairs(entries: readonly (readonly [string, unknown])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${String(value)}`).join('\n');
}

/** Rows under a heading, columns as wide as their widest cell. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
