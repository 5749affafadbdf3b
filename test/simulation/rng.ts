/**
 * Randomness of a simulation: xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32 from the run's seed and a
 * label. Every part of the world draws from a stream of its own, so that switching one fault off leaves what the others
 * draw alone: that is what makes a failing seed shrink.
 */

function splitmix32(state: number): () => number {
  let x = state >>> 0;
  return () => {
    x = (x + 0x9e3779b9) >>> 0;
    let z = x;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

function labelHash(label: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

export class Rng {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, label = '') {
    this.#seed = seed;
    const high = Math.floor(seed / 0x1_0000_0000) >>> 0;
    const next = splitmix32((seed >>> 0) ^ Math.imul(high, 0x85ebca6b) ^ labelHash(label));
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next();
  }

  /** Another stream of the same seed. */
  stream(label: string): Rng {
    return new Rng(this.#seed, label);
  }

  /** 32 random bits. */
  next(): number {
    const b5 = Math.imul(this.#b, 5);
    const result = Math.imul((b5 << 7) | (b5 >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.next() / 0x1_0000_0000;
  }

  /** Uniform whole number in [0, bound). */
  int(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  /** Uniform in [min, max). */
  between(min: number, max: number): number {
    return min + this.float() * (max - min);
  }

  /** Log-uniform in [min, max): as likely between 1 and 10 as between 10 and 100. */
  scale(min: number, max: number): number {
    return min * (max / min) ** this.float();
  }

  chance(probability: number): boolean {
    return probability > 0 && this.float() < probability;
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.float()) * mean;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)]!;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() & 0xff);
  }
}
