/** Runs a command line in this process and collects what it wrote. */
import { main } from '../../../cli/main.ts';

export type Outcome = { readonly code: number; readonly out: string; readonly err: string };

export async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const written = { out: '', err: '' };
  const original = { out: process.stdout.write, err: process.stderr.write };
  const before = { ...process.env };
  Object.assign(process.env, env);
  const collect = (into: 'out' | 'err') => (text: string) => {
    written[into] += text;
    return true;
  };
  process.stdout.write = collect('out') as typeof process.stdout.write;
  process.stderr.write = collect('err') as typeof process.stderr.write;
  try {
    const code = await main(args);
    return { code, ...written };
  } finally {
    process.stdout.write = original.out;
    process.stderr.write = original.err;
    for (const name of Object.keys(env)) delete process.env[name];
    Object.assign(process.env, before);
    process.exitCode = undefined;
  }
}
