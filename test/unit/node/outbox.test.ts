/** What may leave when (consensus.md section 10). */
import { describe, expect, it } from 'vitest';
import { Outbox } from '../../../node/outbox.ts';

function make(): { outbox: Outbox; left: string[]; send: (...names: string[]) => void } {
  const outbox = new Outbox();
  const left: string[] = [];
  const send = (...names: string[]): void => {
    for (const name of names) outbox.push(() => left.push(name));
  };
  return { outbox, left, send };
}

describe('the outbox', () => {
  it('lets out at once what waits for nothing, and in order what waits for the log', () => {
    const { outbox, left, send } = make();
    send('a');
    outbox.raise(1);
    send('b');
    outbox.raise(3);
    send('c', 'd');
    expect(left).toEqual(['a']);
    outbox.onDurable(2);
    expect(left).toEqual(['a', 'b']);
    outbox.onDurable(3);
    expect(left).toEqual(['a', 'b', 'c', 'd']);
  });

  it('shut, holds back what comes from then on until it is opened, and nothing from before', () => {
    const { outbox, left, send } = make();
    outbox.raise(1);
    send('a');
    const open = outbox.shut();
    send('b');
    outbox.onDurable(1);
    expect(left).toEqual(['a']);
    open();
    expect(left).toEqual(['a', 'b']);
    send('c');
    expect(left).toEqual(['a', 'b', 'c']);
  });

  it('shut and opened early, still waits for the log', () => {
    const { outbox, left, send } = make();
    outbox.raise(1);
    const open = outbox.shut();
    send('a');
    open();
    expect(left).toEqual([]);
    outbox.onDurable(1);
    expect(left).toEqual(['a']);
  });

  it('shut twice, waits for both', () => {
    const { outbox, left, send } = make();
    const first = outbox.shut();
    send('a');
    const second = outbox.shut();
    send('b');
    second();
    expect(left).toEqual([]);
    first();
    expect(left).toEqual(['a', 'b']);
  });
});
