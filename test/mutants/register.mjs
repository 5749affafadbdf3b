/** Preloaded into a process under mutation: reads what is changed from the file named by QUORATE_MUTATION. */
import { readFileSync } from 'node:fs';
import { register } from 'node:module';

register('./hooks.mjs', import.meta.url, { data: JSON.parse(readFileSync(process.env.QUORATE_MUTATION, 'utf8')) });
