/** One line per event on standard error: time, level, what happened, and its data as key=value. */
import type { LogLevel } from './config.ts';

export type LogData = Readonly<Record<string, string | number | boolean | undefined>>;
export type Log = Readonly<Record<LogLevel, (message: string, data?: LogData) => void>>;

const ORDER: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

function valueText(value: string | number | boolean): string {
  const text = String(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}

/** Writes what is at `level` or more urgent. */
export function createLog(level: LogLevel, write: (line: string) => void = (line) => process.stderr.write(line)): Log {
  const shown = ORDER.indexOf(level);
  const at = (name: LogLevel) => {
    if (ORDER.indexOf(name) > shown) return () => undefined;
    return (message: string, data: LogData = {}) => {
      const pairs = Object.entries(data).flatMap(([key, value]) =>
        value === undefined ? [] : [`${key}=${valueText(value)}`],
      );
      write(`${[new Date().toISOString(), name.toUpperCase().padEnd(5), message, ...pairs].join(' ')}\n`);
    };
  };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}
