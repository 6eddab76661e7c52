/**
 * Counter-based random numbers: every draw is a pure function of (seed, purpose, counters...), so nothing has to be saved to
 * resume a run exactly, and the same seed gives the same data order and augmentation whatever else a program draws.
 *
 * A stream is a 32-bit key hashed from its coordinates; draw `i` of the stream hashes (key, i). The mixing function is the
 * two-round multiply-xorshift finalizer "triple32" of C. Wellons, "Prospecting for Hash Functions" (2018): bias 0.020.
 */

/** Mixes 32 bits; a bijection whose every output bit depends on every input bit. */
export function mix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 17), 0xed5ad4bb);
  x = Math.imul(x ^ (x >>> 11), 0xac4c1b51);
  x = Math.imul(x ^ (x >>> 15), 0x31848bab);
  return (x ^ (x >>> 14)) >>> 0;
}

/** A 32-bit key for the stream named by `seed`, `purpose` and any further integer coordinates (epoch, index, ...). */
export function streamKey(seed: number, purpose: string, ...coordinates: readonly number[]): number {
  let key = mix32((seed | 0) ^ 0x9e3779b9);
  // Seeds beyond 32 bits keep all their bits.
  key = mix32(key ^ Math.floor(seed / 0x1_0000_0000));
  for (let i = 0; i < purpose.length; i++) key = mix32((key + purpose.charCodeAt(i)) | 0);
  for (const coordinate of coordinates) key = mix32((mix32(key ^ 0x85ebca6b) + coordinate) | 0);
  return key;
}

/** Draw `index` of a stream: an integer uniform in [0, 2^32). */
export function uint32(key: number, index: number): number {
  return mix32((mix32(key ^ Math.imul(index, 0x9e3779b9)) + index) | 0);
}

/** Draw `index` of a stream: uniform in [0, 1). */
export function uniform(key: number, index: number): number {
  return uint32(key, index) / 0x1_0000_0000;
}

/** Draw `index` of a stream: an integer uniform in [0, bound). */
export function integer(key: number, index: number, bound: number): number {
  return Math.floor(uniform(key, index) * bound);
}

/** Draw `index` of a stream: standard normal, by Box and Muller (1958). Uses draws 2*index and 2*index + 1. */
export function normal(key: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(key, 2 * index)));
  return radius * Math.cos(2 * Math.PI * uniform(key, 2 * index + 1));
}

/** The draws of one stream, one after the other. */
export interface Draws {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** An integer uniform in [0, bound). */
  integer(bound: number): number;
  /** Standard normal, by Box and Muller (1958). */
  normal(): number;
}

/** Begins with draw 0 of the stream. */
export function createDraws(key: number): Draws {
  let index = 0;
  const next = (): number => uniform(key, index++);
  return {
    uniform: next,
    integer: (bound) => Math.floor(next() * bound),
    normal() {
      const radius = Math.sqrt(-2 * Math.log(1 - next()));
      return radius * Math.cos(2 * Math.PI * next());
    },
  };
}

/**
 * From the symmetric beta distribution Beta(shape, shape), in [0, 1]: X / (X + Y) of two gamma variates. Of their logarithms, so that small shapes, whose variates
 * are below every float, are right too.
 *
 * @param shape above 0
 */
export function beta(draws: Draws, shape: number): number {
  const x = logGammaVariate(draws, shape);
  const y = logGammaVariate(draws, shape);
  return 1 / (1 + Math.exp(y - x));
}

/** The logarithm of a draw from Gamma(shape, 1), by Marsaglia and Tsang (2000): of Gamma(shape + 1), and a power of a uniform draw. */
function logGammaVariate(draws: Draws, shape: number): number {
  const d = shape + 2 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = draws.normal();
    const v = (1 + c * x) ** 3;
    const u = 1 - draws.uniform();
    if (v > 0 && Math.log(u) < (x * x) / 2 + d - d * v + d * Math.log(v)) {
      return Math.log(d * v) + Math.log(1 - draws.uniform()) / shape;
    }
  }
}

/** A uniformly random permutation of 0 .. length-1 (Fisher-Yates). */
export function permutation(key: number, length: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = integer(key, i, i + 1);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}
