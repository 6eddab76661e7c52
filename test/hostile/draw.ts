import { integer, streamKey, uniform } from '../../src/util/random.ts';

/** Random choices that are the same for the same seed and purpose. */
export class Draw {
  readonly #key: number;
  #drawn = 0;

  constructor(seed: number, purpose: string, ...coordinates: readonly number[]) {
    this.#key = streamKey(seed, purpose, ...coordinates);
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return integer(this.#key, this.#drawn++, bound);
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return uniform(this.#key, this.#drawn++);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}
