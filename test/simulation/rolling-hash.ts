/**
 * A running digest of everything that happens in a run. Two runs of one seed must end with the same digest; a clock, a
 * random number or a map order that leaked into the code under test makes them differ.
 */
export class RollingHash {
  #a = 0x9e3779b9;
  #b = 0x85ebca6b;

  number(value: number): void {
    const whole = Math.floor(value);
    this.#mix(whole >>> 0);
    this.#mix(((value - whole) * 0x1_0000_0000) >>> 0);
    if (whole >= 0x1_0000_0000) this.#mix(Math.floor(whole / 0x1_0000_0000));
  }

  text(value: string): void {
    let hash = 0;
    for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193);
    this.#mix(hash >>> 0);
  }

  /** Length and every 8th byte: signatures and hashes make any difference show in many of them. */
  bytes(value: Uint8Array): void {
    let hash = value.length;
    for (let i = 0; i < value.length; i += 8) hash = Math.imul(hash ^ value[i]!, 0x01000193);
    this.#mix(hash >>> 0);
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x2c1b3c6d);
    this.#a = (this.#a << 13) | (this.#a >>> 19);
    this.#b = (Math.imul(this.#b, 5) + this.#a + 0x38b34ae5) | 0;
  }

  get digest(): string {
    return [this.#a, this.#b].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
