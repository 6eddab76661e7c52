/** The random draws of augmentation and order: each uniform over exactly its range, from a stream of its own. */
import { describe, expect, test } from 'vitest';
import { streamKey, uint32 } from '../util/random.ts';
import { createFill } from './fill.ts';
import { allocateImages } from './new-image-set.ts';
import { noAugmentation, type Augmentation } from './preprocessing.ts';
import { augmentationKeys, createTransform } from './transform.ts';

/** Leaves pixels as they are: standardization by constants that undo the division by 255. */
const identity = { type: 'channel', mean: [0], deviation: [1 / 255] } as const;
const count = 4000;
/** How far a mean of `count` draws may be from what is expected, in standard deviations: one in 150,000 is beyond it, and draws are fixed. */
const deviations = 4.5;

type Plane = readonly (readonly number[])[];

/** What the same image becomes at every position, after one augmentation. */
function outputs(plane: Plane, inputSize: number, changes: Partial<Augmentation>, { seed = 1, epoch = 0 } = {}): number[][] {
  const [height, width] = [plane.length, plane[0]!.length];
  const augmentation = { ...noAugmentation, ...changes };
  const transform = createTransform([1, height, width], { inputSize, standardization: identity, augmentation });
  const images = new Uint8Array(count * height * width);
  for (let position = 0; position < count; position++) images.set(plane.flat(), position * height * width);
  const keys = augmentationKeys(seed, epoch);
  const output = new Float32Array(transform.inputLength);
  return Array.from({ length: count }, (_, position) => {
    transform.training(images, position, keys, output, 0);
    return [...output];
  });
}

/** Pixel (y, x) is 10 y + x. */
const grid = (height: number, width: number): Plane =>
  Array.from({ length: height }, (_, y) => Array.from({ length: width }, (__, x) => 10 * y + x));

/** Reflected at the border pixels, which are not repeated, written as a table for planes of five. */
const reflected = (place: number): number => ({ [-2]: 2, [-1]: 1, 0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 3, 6: 2 })[place]!;

function expectUniform(values: readonly (number | string)[], possible: readonly (number | string)[]): void {
  const counts = new Map(possible.map((value) => [value, 0]));
  for (const value of values) {
    expect(counts.has(value), `${value} is possible`).toBe(true);
    counts.set(value, counts.get(value)! + 1);
  }
  const share = 1 / possible.length;
  const spread = deviations * Math.sqrt(values.length * share * (1 - share));
  for (const [value, seen] of counts) expect(Math.abs(seen - values.length * share), `${value}`).toBeLessThan(spread);
}

/** Uniform in [low, high): the ends are reached, each tenth is as likely, mean and variance are right. */
function expectUniformReal(values: readonly number[], low: number, high: number): void {
  const width = high - low;
  expect(Math.min(...values)).toBeGreaterThanOrEqual(low - 1e-3 * width);
  expect(Math.max(...values)).toBeLessThanOrEqual(high + 1e-3 * width);
  expect(Math.min(...values)).toBeLessThan(low + width / 100);
  expect(Math.max(...values)).toBeGreaterThan(high - width / 100);
  const tenths = values.map((value) => Math.min(9, Math.max(0, Math.floor((10 * (value - low)) / width))));
  expectUniform(tenths, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const mean = average(values);
  expect(Math.abs(mean - (low + high) / 2)).toBeLessThan((deviations * width) / Math.sqrt(12 * values.length));
  const variance = average(values.map((value) => (value - mean) ** 2));
  expect(variance / (width ** 2 / 12)).toBeCloseTo(1, 1);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [average(a), average(b)];
  const covariance = average(a.map((value, i) => (value - meanA) * (b[i]! - meanB)));
  const variance = (values: readonly number[], mean: number): number => average(values.map((value) => (value - mean) ** 2));
  return covariance / Math.sqrt(variance(a, meanA) * variance(b, meanB));
}

const pairs = (rows: readonly number[], columns: readonly number[]): string[] =>
  rows.flatMap((row) => columns.map((column) => `${row} ${column}`));

interface Drawn {
  readonly seed?: number;
  readonly epoch?: number;
}

/** The translation of each image, found by comparing with every possible one. */
function translations(drawn: Drawn = {}): { down: number; right: number }[] {
  const steps = [-2, -1, 0, 1, 2];
  const plane = grid(5, 5);
  const byOutput = new Map(
    steps.flatMap((down) =>
      steps.map((right) => {
        const moved = [0, 1, 2, 3, 4].flatMap((y) =>
          [0, 1, 2, 3, 4].map((x) => plane[reflected(y - down)]![reflected(x - right)]!),
        );
        return [moved.join(), { down, right }] as const;
      }),
    ),
  );
  expect(byOutput.size).toBe(25);
  return outputs(plane, 5, { translate: 2 }, drawn).map((output) => {
    const found = byOutput.get(output.map(Math.round).join());
    expect(found, output.join()).toBeDefined();
    return found!;
  });
}

function crops(drawn: Drawn = {}): { top: number; left: number }[] {
  const plane = grid(6, 7);
  return outputs(plane, 4, { randomCrop: true }, drawn).map((output) => {
    const corner = Math.round(output[0]!);
    const [top, left] = [Math.floor(corner / 10), corner % 10];
    const whole = [0, 1, 2, 3].flatMap((y) => [0, 1, 2, 3].map((x) => plane[top + y]![left + x]!));
    expect(output.map(Math.round)).toEqual(whole);
    return { top, left };
  });
}

/** 1 where the image is mirrored. */
function flips(flip: Augmentation['flip'], drawn: Drawn = {}): number[] {
  return outputs(grid(2, 2), 2, { flip }, drawn).map((output) => {
    const seen = output.map(Math.round).join();
    expect(['0,1,10,11', '1,0,11,10']).toContain(seen);
    return seen === '1,0,11,10' ? 1 : 0;
  });
}

function brightnesses(drawn: Drawn = {}): number[] {
  return outputs([[100]], 1, { brightness: 63 }, drawn).map(([pixel]) => pixel! - 100);
}

/** The mean of the image is 100, about which contrast scales. */
function contrasts(drawn: Drawn = {}): number[] {
  return outputs(
    [
      [50, 150],
      [150, 50],
    ],
    2,
    { contrast: [0.25, 2] },
    drawn,
  ).map(([a, b]) => {
    expect(a! + b!).toBeCloseTo(200, 2);
    return (b! - a!) / 100;
  });
}

/** Cut squares of one pixel are where their centre is. */
function cuts(drawn: Drawn = {}): { row: number; column: number }[] {
  return outputs(
    Array.from({ length: 5 }, () => Array<number>(5).fill(9)),
    5,
    { cutout: 1 },
    drawn,
  ).map((output) => {
    const zeros = [...output.keys()].filter((i) => output[i] === 0);
    expect(zeros).toHaveLength(1);
    return { row: Math.floor(zeros[0]! / 5), column: zeros[0]! % 5 };
  });
}

/** Every draw as numbers, by name. */
function everyDraw(drawn: Drawn = {}): Record<string, number[]> {
  const [moved, cropped, cut] = [translations(drawn), crops(drawn), cuts(drawn)];
  return {
    translateY: moved.map(({ down }) => down),
    translateX: moved.map(({ right }) => right),
    cropY: cropped.map(({ top }) => top),
    cropX: cropped.map(({ left }) => left),
    flip: flips('random', drawn),
    brightness: brightnesses(drawn),
    contrast: contrasts(drawn),
    cutoutY: cut.map(({ row }) => row),
    cutoutX: cut.map(({ column }) => column),
  };
}

describe('each draw', () => {
  test('translation: every step from -2 to 2, down and to the right alike', () => {
    expectUniform(
      translations().map(({ down, right }) => `${down} ${right}`),
      pairs([-2, -1, 0, 1, 2], [-2, -1, 0, 1, 2]),
    );
  });

  test('crop: every place of 4x4 in 6x7', () => {
    expectUniform(
      crops().map(({ top, left }) => `${top} ${left}`),
      pairs([0, 1, 2], [0, 1, 2, 3]),
    );
  });

  test('crop and translation together add up, and are drawn apart', () => {
    // A crop of 0 to 2 from which a translation of -1 to 1 is taken: -1 to 3, as likely as the sums of two dice with three sides.
    const plane = grid(5, 5);
    const seen = outputs(plane, 3, { randomCrop: true, translate: 1 });
    const place = (output: readonly number[]): string => output.map(Math.round).join();
    const places = new Map(
      [-1, 0, 1, 2, 3].flatMap((top) =>
        [-1, 0, 1, 2, 3].map((left) => {
          const shown = [0, 1, 2].flatMap((y) => [0, 1, 2].map((x) => plane[reflected(top + y)]![reflected(left + x)]!));
          return [shown.join(), { top, left }] as const;
        }),
      ),
    );
    const found = seen.map((output) => places.get(place(output))!);
    for (const side of ['top', 'left'] as const) {
      [-1, 0, 1, 2, 3].forEach((value, i) => {
        const share = [1, 2, 3, 2, 1][i]! / 9;
        const seenShare = found.filter((each) => each[side] === value).length / count;
        expect(Math.abs(seenShare - share)).toBeLessThan(deviations * Math.sqrt((share * (1 - share)) / count));
      });
    }
  });

  test('flip: half of the images; none without it', () => {
    expectUniform(flips('random'), [0, 1]);
    expectUniform(flips('alternating'), [0, 1]);
    expect(new Set(flips('none'))).toEqual(new Set([0]));
  });

  test('alternating flips begin with those of the first epoch, and turn around with each', () => {
    const first = flips('random');
    const turned = first.map((flip) => 1 - flip);
    expect(flips('alternating')).toEqual(first);
    expect(flips('alternating', { epoch: 1 })).toEqual(turned);
    expect(flips('alternating', { epoch: 2 })).toEqual(first);
    expect(flips('alternating', { epoch: 7 })).toEqual(turned);
  });

  test('brightness: added or taken away, up to 63', () => {
    expectUniformReal(brightnesses(), -63, 63);
  });

  test('contrast: a factor within its two ends', () => {
    expectUniformReal(contrasts(), 0.25, 2);
  });

  test('cutout: the centre anywhere; larger squares are around it, cut off at the border', () => {
    const centres = cuts();
    expectUniform(
      centres.map(({ row, column }) => `${row} ${column}`),
      pairs([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
    );
    const plane = Array.from({ length: 5 }, () => Array<number>(5).fill(9));
    for (const [side, before, behind] of [
      [2, 1, 0],
      [3, 1, 1],
      [4, 2, 1],
    ] as const) {
      outputs(plane, 5, { cutout: side })
        .slice(0, 100)
        .forEach((output, i) => {
          const { row, column } = centres[i]!;
          const isCut = (place: number, centre: number): boolean => place >= centre - before && place <= centre + behind;
          const expected = output.map((_, at) => (isCut(Math.floor(at / 5), row) && isCut(at % 5, column) ? 0 : 9));
          expect(output.map(Math.round)).toEqual(expected);
        });
    }
  });
});

describe('the draws are independent', () => {
  const draws = everyDraw();
  const names = Object.keys(draws);
  const negligible = deviations / Math.sqrt(count);

  test('of each other', () => {
    for (const [i, a] of names.entries()) {
      for (const b of names.slice(0, i)) {
        expect(Math.abs(correlation(draws[a]!, draws[b]!)), `${a} and ${b}`).toBeLessThan(negligible);
      }
    }
  });

  test.each([
    ['another epoch', { epoch: 1 }],
    ['another seed', { seed: 2 }],
  ] as const)('of those of %s', (_, drawn) => {
    const others = everyDraw(drawn);
    for (const a of names) {
      for (const b of names) {
        expect(Math.abs(correlation(draws[a]!, others[b]!)), `${a} and ${b}`).toBeLessThan(negligible);
      }
    }
  });

  test('of those of the image before', () => {
    for (const a of names) {
      for (const b of names) {
        expect(Math.abs(correlation(draws[a]!.slice(1), draws[b]!.slice(0, -1))), `${a} and ${b}`).toBeLessThan(negligible);
      }
    }
  });
});

test('each draw is that of its own stream at the position of the image: another one would change the results of every seed', () => {
  const drawn = { seed: 3, epoch: 2 };
  const keys = augmentationKeys(3, 2);
  const draws = everyDraw(drawn);
  const ofStream = (name: Exclude<keyof typeof keys, 'epoch'>, value: (share: number) => number): void => {
    const key = keys[name];
    draws[name]!.slice(0, 50).forEach((seen, position) => {
      // The top bits of a draw are its share of the range.
      expect(seen, name).toBeCloseTo(value(uint32(key, position) / 2 ** 32), 3);
    });
  };
  ofStream('translateY', (share) => Math.floor(5 * share) - 2);
  ofStream('translateX', (share) => Math.floor(5 * share) - 2);
  ofStream('cropY', (share) => Math.floor(3 * share));
  ofStream('cropX', (share) => Math.floor(4 * share));
  ofStream('flip', (share) => (share >= 0.5 ? 1 : 0));
  ofStream('brightness', (share) => -63 + 126 * share);
  ofStream('contrast', (share) => 0.25 + 1.75 * share);
  ofStream('cutoutY', (share) => Math.floor(5 * share));
  ofStream('cutoutX', (share) => Math.floor(5 * share));
});

describe('the order of the images', () => {
  const size = 5;
  const images = allocateImages(size, [1, 1, 1]);
  images.labels.set([0, 1, 2, 3, 4]);
  const preprocessing = { inputSize: 1, standardization: identity };

  /** Of each epoch, by labels. */
  function orders(seed: number, epochs: number): string[] {
    const task = { type: 'training', seed, firstStep: 0, rank: 0, worldSize: 1 } as const;
    const fill = createFill({ images, shape: [1, 1, 1], preprocessing, batchSize: size, task });
    const slot = { inputs: new Float32Array(size), labels: new Uint8Array(size) };
    return Array.from({ length: epochs }, (_, n) => {
      fill(n, slot);
      return slot.labels.join('');
    });
  }

  const all = (rest: string): string[] =>
    rest.length === 0 ? [''] : Array.from(rest).flatMap((first) => all(rest.replace(first, '')).map((others) => first + others));

  test('is every permutation alike', () => {
    expectUniform(orders(1, 12_000), all('01234'));
  });

  test('depends on the seed and the epoch, and on nothing else', () => {
    const [one, two] = [orders(1, 1200), orders(2, 1200)];
    expect(orders(1, 1200)).toEqual(one);
    const agreeing = (a: readonly string[], b: readonly string[]): number => a.filter((order, i) => order === b[i]).length;
    // One in 120 by chance.
    expect(agreeing(one, two)).toBeLessThan(25);
    expect(agreeing(one.slice(1), one)).toBeLessThan(25);
  });

  test('is not drawn from a stream of augmentation', () => {
    const keys = Object.values(augmentationKeys(1, 3)).slice(1);
    expect(keys).not.toContain(streamKey(1, 'shuffle', 3));
    // All streams differ, but for the flip of the first epoch, which another epoch only repeats.
    expect(new Set(keys).size).toBe(keys.length);
    expect(augmentationKeys(1, 0).flip).toBe(augmentationKeys(1, 3).firstFlip);
  });
});
