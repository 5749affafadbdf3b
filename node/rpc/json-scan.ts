/**
 * Looks at JSON text before it is parsed. JSON.parse itself takes half a second for a megabyte of brackets, and whatever
 * walks the result would overflow the stack (reliability.md, "Node-specific DoS facts"): so depth and number of
 * elements are bounded first. Strings, most of a request, are skipped with indexOf.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Position of the quote that ends the string which begins at `start`, or the end of the text. */
function stringEnd(text: string, start: number): number {
  let at = start;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at;
  }
}

/** Why the text must not be parsed, or undefined. Says nothing about whether it is JSON. */
export function tooComplex(
  text: string,
  limits: { readonly depthMax: number; readonly elementsMax: number },
): string | undefined {
  let depth = 0;
  let elements = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = stringEnd(text, i);
    else if (c === OPEN_LIST || c === OPEN_OBJECT) {
      if (++depth > limits.depthMax) return `nested deeper than ${limits.depthMax}`;
    } else if (c === CLOSE_LIST || c === CLOSE_OBJECT) depth--;
    else if (c === COMMA && ++elements > limits.elementsMax) return `more than ${limits.elementsMax} elements`;
  }
  return undefined;
}

const NUMBER_AFTER_COLON = /\s*:\s*(-?[0-9][0-9.eE+-]*)/y;

/**
 * The literal text of numeric `id` members, one slot per call of the (already parsed) request: a number that a double
 * cannot hold must still be echoed digit by digit.
 */
export function literalIds(text: string): readonly (string | undefined)[] {
  const ids: (string | undefined)[] = [];
  const callDepth = /^\s*\[/.test(text) ? 2 : 1;
  let depth = 0;
  let index = 0;
  let last = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const end = stringEnd(text, i);
      if (depth === callDepth && last !== COLON && text.slice(i + 1, end) === 'id') {
        NUMBER_AFTER_COLON.lastIndex = end + 1;
        ids[index] = NUMBER_AFTER_COLON.exec(text)?.[1];
      }
      i = end;
    } else if (c === OPEN_LIST || c === OPEN_OBJECT) depth++;
    else if (c === CLOSE_LIST || c === CLOSE_OBJECT) depth--;
    else if (c === COMMA && depth === 1 && callDepth === 2) index++;
    if (c === COMMA || c === COLON || c === OPEN_OBJECT) last = c;
  }
  return ids;
}
