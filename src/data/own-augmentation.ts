/**
 * Augmentation by a function of the user's: what it is given, and what it may do to an image. It is called once for each training image,
 * in the threads that prepare batches.
 */
import { ConfigurationError, messageOf } from '../util/errors.ts';
import { createDraws } from '../util/random.ts';
import { showValue } from '../util/show-value.ts';

/** A training image, after the crop, translation and flip of the configuration, before its brightness, contrast, standardization and cutout. */
export interface AugmentationImage {
  /** `[C, H, W]`, row after row of each channel, on the scale of bytes (0 to 255): change them in place. They may leave the scale, and are not cut off at its ends. */
  readonly pixels: Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Draws that are a function of the run's seed, the epoch and the image, one after the other: an image gets the same ones whatever the number of threads and
 * processes, and in a run that is resumed.
 */
export interface AugmentationRandom {
  /** Uniform in [low, high); default from 0 to 1. */
  uniform(low?: number, high?: number): number;
  /** An integer uniform in [0, bound). */
  integer(bound: number): number;
  /** From a normal distribution; default the standard one. */
  normal(mean?: number, deviation?: number): number;
  /** True with this probability; default one half. */
  chance(probability?: number): boolean;
}

/** Changes `image.pixels` in place and returns nothing, or returns other pixels, as many. */
export type ApplyAugmentation = (image: AugmentationImage, random: AugmentationRandom) => unknown;

/** Changes the pixels of one image, with the draws of a stream. Throws what the function throws, and for what it must not do. */
export type PixelStep = (pixels: Float32Array, key: number) => void;

/** What is wrong with what the function did, not with how it is written: no line of it is to blame. */
export class AugmentationResultError extends ConfigurationError {}

/**
 * Calls a function of the user's, and checks what it does.
 *
 * @param sides `[C, H, W]` of its images
 */
export function createPixelStep(
  apply: ApplyAugmentation,
  [channels, height, width]: readonly [channels: number, height: number, width: number],
): PixelStep {
  const length = channels * height * width;
  const shape = `${channels}x${height}x${width}`;
  return (pixels, key) => {
    const image = Object.freeze({ pixels, channels, height, width });
    const result = withoutOtherDraws(() => apply(image, drawsOf(key)));
    if (result !== undefined && result !== pixels) {
      if (!(result instanceof Float32Array) || result.length !== length) {
        throw new AugmentationResultError(
          `apply returned ${describeResult(result)}; it must change image.pixels in place and return nothing, or return a Float32Array of ${length} pixels, as the image of ${shape} has`,
        );
      }
      pixels.set(result);
    }
    const wrong = pixels.findIndex((value) => !Number.isFinite(value));
    if (wrong < 0) return;
    const [channel, y, x] = [Math.floor(wrong / (height * width)), Math.floor(wrong / width) % height, wrong % width];
    throw new AugmentationResultError(
      `apply made a pixel ${pixels[wrong]} (channel ${channel}, row ${y}, column ${x} of an image of ${shape}); all must be finite numbers`,
    );
  };
}

function describeResult(result: unknown): string {
  if (result instanceof Promise) return 'a promise (it must not be async)';
  if (result instanceof Float32Array) return `a Float32Array of ${result.length} pixels`;
  if (Array.isArray(result)) return `a list of ${result.length} elements`;
  if (ArrayBuffer.isView(result)) return 'a typed array of another kind';
  return ['function', 'symbol', 'bigint'].includes(typeof result) ? `a ${typeof result}` : showValue(result);
}

/** What the program itself draws from must be left alone: whatever else is drawn differs from thread to thread. */
function withoutOtherDraws<T>(work: () => T): T {
  const { random } = Math;
  Math.random = () => {
    throw new Error(
      'apply must not use Math.random, which differs from thread to thread and in a run that is resumed: use random.uniform(), its second argument',
    );
  };
  try {
    return work();
  } finally {
    Math.random = random;
  }
}

function drawsOf(key: number): AugmentationRandom {
  const draws = createDraws(key);
  return {
    uniform(low = 0, high = 1) {
      requireNumber('low', low);
      requireNumber('high', high);
      return low + (high - low) * draws.uniform();
    },
    integer(bound) {
      if (!Number.isInteger(bound) || bound < 1)
        throw new RangeError(`bound (=${showValue(bound)}) of random.integer must be an integer of at least 1`);
      return draws.integer(bound);
    },
    normal(mean = 0, deviation = 1) {
      requireNumber('mean', mean);
      requireNumber('deviation', deviation);
      return mean + deviation * draws.normal();
    },
    chance(probability = 0.5) {
      requireNumber('probability', probability);
      return draws.uniform() < probability;
    },
  };
}

function requireNumber(name: string, value: number): void {
  if (!Number.isFinite(value)) throw new RangeError(`${name} (=${showValue(value)}) of a draw must be a finite number`);
}

/** What a thread is told of a file of the user's: all that runs. */
export interface AugmentationCode {
  /** A module that exports its definition as its default. */
  readonly code: string;
  readonly settings: Readonly<Record<string, boolean | number | string>>;
}

/** How a failure of the user's function travels from a thread. */
export interface AugmentationFailure {
  readonly augmentation: { readonly message: string; readonly stack: string | undefined; readonly hasPlace: boolean };
}

export function failureOf(error: unknown): AugmentationFailure {
  const stack = error instanceof Error ? error.stack : undefined;
  return { augmentation: { message: messageOf(error), stack, hasPlace: !(error instanceof AugmentationResultError) } };
}

/** The error again, as it was thrown there. */
export function errorOf({ augmentation: { message, stack, hasPlace } }: AugmentationFailure): Error {
  const error = new Error(message);
  error.stack = hasPlace ? (stack ?? '') : '';
  return error;
}
