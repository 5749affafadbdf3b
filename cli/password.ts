/**
 * Where the password of a key comes from: `--password-file`, the `passwordFile` that a node's configuration names for
 * just these keys, `QUORATE_PASSWORD`, or a prompt that does not show it. Never an argument: arguments are seen by every
 * user of the machine.
 */
import { readFile } from 'node:fs/promises';
import { errorMessage, QuorateError } from '../primitives/errors.ts';

export type PasswordSource = {
  /** `--password-file`. */
  readonly file?: string | undefined;
  /** The configuration's `passwordFile`. The variable may be meant for other keys, so this is stronger. */
  readonly configuredFile?: string | undefined;
  /** A new password is asked twice. */
  readonly fresh?: boolean;
  /** What the prompt asks for. */
  readonly what?: string;
};

async function readPasswordFile(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (cause) {
    throw new QuorateError('KEY_PASSWORD', `the password file ${path} cannot be read: ${errorMessage(cause)}`, {
      cause,
    });
  }
}

/** The password, from the strongest source that has one. */
export async function findPassword(source: PasswordSource): Promise<string> {
  if (source.file !== undefined) return readPasswordFile(source.file);
  if (source.configuredFile !== undefined) return readPasswordFile(source.configuredFile);
  const variable = process.env['QUORATE_PASSWORD'];
  if (variable !== undefined) return variable;
  if (!process.stdin.isTTY) {
    throw new QuorateError('KEY_PASSWORD', 'no password: set QUORATE_PASSWORD or give --password-file FILE');
  }
  const what = source.what ?? 'the keys';
  const password = await promptHidden(source.fresh === true ? `New password for ${what}: ` : `Password of ${what}: `);
  if (source.fresh === true) {
    if (password === '') throw new QuorateError('USAGE', 'the password is empty; choose one');
    if ((await promptHidden('The same again: ')) !== password) {
      throw new QuorateError('USAGE', 'the two passwords differ; run the command again');
    }
  }
  return password;
}

/** Asks at the first call and remembers. */
export function passwordOnce(source: PasswordSource): () => Promise<string> {
  let found: Promise<string> | undefined;
  return () => {
    found ??= findPassword(source);
    return found;
  };
}

const ENTER = /[\r\n]/;
const CONTROL_C = '\x03';
const CONTROL_D = '\x04';
const BACKSPACES = ['\b', '\x7f'];

/** Reads a line from the terminal without showing it. */
export function promptHidden(question: string): Promise<string> {
  const { stdin, stderr } = process;
  return new Promise((resolve, reject) => {
    let text = '';
    const finish = (done: () => void) => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      done();
    };
    const onData = (chunk: string) => {
      for (const letter of chunk) {
        if (ENTER.test(letter) || letter === CONTROL_D) return finish(() => resolve(text));
        if (letter === CONTROL_C) return finish(() => reject(new QuorateError('USAGE', 'cancelled')));
        text = BACKSPACES.includes(letter) ? text.slice(0, -1) : text + letter;
      }
      return undefined;
    };
    // Before the question: what is typed the moment it appears must not be echoed.
    stdin.setEncoding('utf8').setRawMode(true).resume().on('data', onData);
    stderr.write(question);
  });
}
