/** What is explored, each scope within its bounds, to the end. */
import type { Limits } from './search.ts';
import type { Bounds } from './setting.ts';

export type Scope = Bounds & Limits & { readonly about: string };

const three = { validators: 3, heightMax: 1, viewMax: 1, statesMax: 8_000_000 } as const;

export const SCOPES = {
  'common-case': { ...three, about: 'two blocks in one view, every order', heightMax: 2, viewMax: 0 },
  asynchrony: { ...three, about: 'a block and a view change, every delay, loss, order' },
  'patient-primary': { ...three, about: 'as asynchrony; only the follower suspects', suspicious: 'follower' },
  'crash-0': { ...three, about: 'as asynchrony; the first primary crashes once, anywhere', crashes: { 0: 1 } },
  'crash-1': { ...three, about: 'as asynchrony; the first follower crashes once', crashes: { 1: 1 } },
  'crash-2': { ...three, about: 'as asynchrony; the second primary crashes once', crashes: { 2: 1 } },
  'slow-disk': {
    ...three,
    about: 'writes take time; the first primary crashes once, with any part of what was written',
    slowDisks: true,
    crashes: { 0: 1 },
    suspicious: 'follower',
    depthMax: 13,
  },
  'two-views': {
    ...three,
    about: 'two view changes; only followers suspect',
    viewMax: 2,
    suspicious: 'follower',
    depthMax: 15,
  },
  'two-blocks': {
    ...three,
    about: 'a block in each of two views; only followers suspect',
    heightMax: 2,
    firstHeightMax: 1,
    suspicious: 'follower',
  },
  'liar-0': { ...three, about: 'the first primary lies', liars: [0] },
  'liar-1': { ...three, about: 'the first follower lies', liars: [1] },
  'liar-2': { ...three, about: 'the second primary lies', liars: [2] },
  epochs: {
    ...three,
    about: 'a block that ends the epoch, and one in the next',
    heightMax: 2,
    viewMax: 0,
    closesAt: 1,
  },
  'epoch-and-view': {
    ...three,
    about: 'the same, with a view change in either epoch; only followers suspect',
    heightMax: 2,
    closesAt: 1,
    suspicious: 'follower',
    depthMax: 15,
  },
} as const satisfies Record<string, Scope>;

export type ScopeName = keyof typeof SCOPES;

const five = { validators: 5, heightMax: 2, viewMax: 3 } as const;

/** Of five validators two may fail: what random walks go through, in turn. */
export const WALKS = [
  { ...five, crashes: { 0: 1, 1: 1, 2: 1 }, slowDisks: true },
  { ...five, liars: [0], cutOff: [4] },
  { ...five, liars: [1], cutOff: [0] },
  { ...five, liars: [0, 3] },
  { ...five, viewMax: 2, heightMax: 3, closesAt: 1 },
] as const satisfies readonly Bounds[];
