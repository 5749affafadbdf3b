/** The split of a control run (anarchy-options.ts), and which half a machine is in. */
import type { SplitOptions } from './anarchy-options.ts';
import type { SimNetwork } from './network.ts';
import type { Timeline } from './timeline.ts';

/** Cuts the sides off from each other, and heals that again, unless the run has ended its faults by then. */
export function startSplit(
  split: SplitOptions,
  world: { readonly network: SimNetwork; readonly timeline: Timeline; readonly note: (text: string) => void },
): void {
  const { network, timeline } = world;
  const [left, right] = split.sides;
  const cuts = left.flatMap((a) =>
    right.flatMap((b): [number, number][] => [
      [a, b],
      [b, a],
    ]),
  );
  timeline.after(split.fromMs, () => {
    world.note(`split ${left} | ${right} for ${Math.round(split.untilMs - split.fromMs)} ms`);
    for (const [from, to] of cuts) network.cut(from, to);
  });
  timeline.after(split.untilMs, () => {
    world.note(`healed: split ${left} | ${right}`);
    for (const [from, to] of cuts) network.heal(from, to);
  });
}

/** 0 or 1 once the split has begun; undefined before, and for a liar, which is on both. */
export function sideOf(split: SplitOptions, machine: number, nowMs: number): number | undefined {
  if (nowMs < split.fromMs) return undefined;
  const side = split.sides.findIndex((members) => members.includes(machine));
  return side < 0 ? undefined : side;
}
