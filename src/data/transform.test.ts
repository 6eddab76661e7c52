import { expect, test } from 'vitest';
import { noAugmentation, augmentation2017, type Augmentation, type Preprocessing } from './preprocessing.ts';
import { augmentationKeys, createTransform, plainView } from './transform.ts';

/** Leaves pixels as they are: standardization by constants that undo the division by 255. */
const identity = { type: 'channel', mean: [0], deviation: [1 / 255] } as const;

function grid(height: number, width: number): Uint8Array {
  return Uint8Array.from({ length: height * width }, (_, i) => i);
}

function evaluate(height: number, width: number, inputSize: number, view = plainView): number[] {
  const transform = createTransform([1, height, width], { inputSize, standardization: identity });
  const output = new Float32Array(transform.inputLength);
  transform.evaluation(grid(height, width), 0, view, output, 0);
  return [...output].map(Math.round);
}

/** The input of one training image. */
function train(
  images: Uint8Array,
  shape: [number, number, number],
  preprocessing: Preprocessing,
  position = 0,
  epoch = 0,
): number[] {
  const transform = createTransform(shape, preprocessing);
  const output = new Float32Array(transform.inputLength);
  transform.training(images, position, augmentationKeys(1, epoch), output, 0);
  return [...output];
}

function augmented(changes: Partial<Augmentation>, inputSize = 4): Preprocessing {
  return { inputSize, standardization: identity, augmentation: { ...noAugmentation, ...changes } };
}

test('evaluation takes the centre crop', () => {
  expect(evaluate(4, 4, 2)).toEqual([5, 6, 9, 10]);
  expect(evaluate(4, 6, 2)).toEqual([8, 9, 14, 15]);
});

test('an evaluation view mirrors and shifts with reflection', () => {
  expect(evaluate(3, 3, 3, { mirror: true, shift: [0, 0] })).toEqual([2, 1, 0, 5, 4, 3, 8, 7, 6]);
  expect(evaluate(3, 3, 3, { mirror: false, shift: [1, 0] })).toEqual([3, 4, 5, 0, 1, 2, 3, 4, 5]);
  expect(evaluate(3, 3, 3, { mirror: false, shift: [0, -1] })).toEqual([1, 2, 1, 4, 5, 4, 7, 8, 7]);
});

test('per-image standardization: mean 0 and deviation 1 over all pixels and channels', () => {
  // Two channels of one pixel each: mean 20, deviation 10.
  const transform = createTransform([2, 1, 1], { inputSize: 1, standardization: { type: 'image' } });
  const output = new Float32Array(4);
  transform.evaluation(Uint8Array.of(0, 0, 10, 30), 1, plainView, output, 2);
  expect([...output]).toEqual([0, 0, -1, 1]);
});

test('per-image standardization divides by no less than 1/sqrt(n)', () => {
  // n = 16 and one pixel is 1 above the others: deviation sqrt(15)/16 = 0.242 < 1/4.
  const images = new Uint8Array(16).fill(100);
  images[0] = 101;
  const output = train(images, [1, 4, 4], { inputSize: 4, standardization: { type: 'image' } });
  expect(output[0]).toBeCloseTo((15 / 16) * 4, 5);
  expect(output[1]).toBeCloseTo((-1 / 16) * 4, 5);
  expect(train(new Uint8Array(16).fill(77), [1, 4, 4], { inputSize: 4, standardization: { type: 'image' } })[5]).toBeCloseTo(
    0,
    6,
  );
});

test('per-channel standardization uses the constants', () => {
  const standardization = { type: 'channel', mean: [0.5, 0.25], deviation: [0.5, 0.125] } as const;
  const output = train(Uint8Array.of(255, 51), [2, 1, 1], { inputSize: 1, standardization });
  expect(output[0]).toBeCloseTo(1, 6);
  expect(output[1]).toBeCloseTo((0.2 - 0.25) / 0.125, 6);
});

test('contrast scales each channel about its own mean, brightness adds the same everywhere', () => {
  const images = Uint8Array.of(10, 20, 30, 40, 100, 100, 200, 200);
  const standardization = { type: 'channel', mean: [0, 0], deviation: [1 / 255, 1 / 255] } as const;
  const preprocess = (changes: Partial<Augmentation>): number[] =>
    train(images, [2, 2, 2], { inputSize: 2, standardization, augmentation: { ...noAugmentation, ...changes } });
  preprocess({ contrast: [0.5, 0.5] }).forEach((value, i) => {
    expect(value).toBeCloseTo([17.5, 22.5, 27.5, 32.5, 125, 125, 175, 175][i]!, 4);
  });
  const brighter = preprocess({ brightness: 63 });
  const added = brighter[0]! - 10;
  expect(Math.abs(added)).toBeLessThanOrEqual(63);
  expect(added).not.toBeCloseTo(0, 3);
  brighter.forEach((value, i) => expect(value - images[i]!).toBeCloseTo(added, 3));
});

test('the augmentation of 2017 equals its definition, computed step by step', () => {
  const images = Uint8Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const output = train(images, [3, 32, 32], {
    inputSize: 24,
    standardization: { type: 'image' },
    augmentation: augmentation2017,
  });
  const matches: string[] = [];
  // The draws are not repeated here: one of the 81 crops and two flips, with some factor, must give the output.
  for (let place = 0; place < 162; place++) {
    const [top, left, mirror] = [Math.floor(place / 18), Math.floor(place / 2) % 9, place % 2 === 1];
    const crop = Array.from({ length: 3 * 576 }, (_, i) => {
      const [channel, y, x] = [Math.floor(i / 576), Math.floor((i % 576) / 24), i % 24];
      return images[channel * 1024 + (top + y) * 32 + left + (mirror ? 23 - x : x)]!;
    });
    const first = crop.slice(0, 576);
    const correlation = first.reduce((sum, value, i) => sum + (value - mean(first)) * output[i]!, 0) / 576;
    const scaleTimesDeviation = correlation / (deviation(first) * deviation(output.slice(0, 576)));
    if (scaleTimesDeviation < 0.999) continue;
    matches.push(`${top} ${left} ${mirror}`);
    const within = Math.sqrt([0, 1, 2].reduce((sum, c) => sum + deviation(crop.slice(c * 576, c * 576 + 576)) ** 2, 0) / 3);
    const between = deviation([0, 1, 2].map((c) => mean(crop.slice(c * 576, c * 576 + 576))));
    // scale = f / sqrt(f^2 within^2 + between^2), so f follows from the scale that is seen.
    const scale = deviation(output.slice(0, 576)) / deviation(first);
    const factor = (scale * between) / Math.sqrt(1 - (scale * within) ** 2);
    expect(factor).toBeGreaterThan(0.2);
    expect(factor).toBeLessThan(1.8);
    const changed = crop.map((value, i) => {
      const c = Math.floor(i / 576);
      const channelMean = mean(crop.slice(c * 576, c * 576 + 576));
      return (value - channelMean) * factor + channelMean;
    });
    const [m, d] = [mean(changed), deviation(changed)];
    output.forEach((value, i) => {
      if (i % 97 === 0) expect(value).toBeCloseTo((changed[i]! - m) / d, 3);
    });
  }
  expect(matches).toHaveLength(1);
});

test('random crops reach every place, and an image gets the same place in the same epoch', () => {
  const images = new Uint8Array(400 * 9);
  for (let image = 0; image < 400; image++) images.set(grid(3, 3), image * 9);
  const corner = (position: number, epoch: number): number =>
    Math.round(train(images, [1, 3, 3], augmented({ randomCrop: true }, 2), position, epoch)[0]!);
  const corners = Array.from({ length: 400 }, (_, position) => corner(position, 0));
  const counts = [0, 1, 3, 4].map((place) => corners.filter((value) => value === place).length);
  expect(counts.reduce((sum, count) => sum + count)).toBe(400);
  for (const count of counts) expect(count).toBeGreaterThan(60);
  expect(corner(17, 0)).toBe(corners[17]);
  expect(corners.filter((value, position) => value !== corner(position, 1)).length).toBeGreaterThan(200);
});

test('translation moves by at most the given pixels and fills by reflection', () => {
  const row = Uint8Array.of(0, 1, 2, 3);
  const images = new Uint8Array(300 * 16);
  for (let i = 0; i < images.length; i += 4) images.set(row, i);
  const seen = new Set<string>();
  for (let position = 0; position < 300; position++) {
    seen.add(
      train(images, [1, 4, 4], augmented({ translate: 2 }), position)
        .slice(0, 4)
        .map(Math.round)
        .join(''),
    );
  }
  expect([...seen].sort()).toEqual(['0123', '1012', '1232', '2101', '2321']);
});

test('alternating flip: random in the first epoch, then the other way every epoch', () => {
  const images = new Uint8Array(200 * 4);
  for (let image = 0; image < 200; image++) images.set([0, 1, 2, 3], image * 4);
  const mirrored = (flip: Augmentation['flip'], position: number, epoch: number): boolean =>
    Math.round(train(images, [1, 2, 2], augmented({ flip }, 2), position, epoch)[0]!) === 1;
  let first = 0;
  let randomRepeats = 0;
  for (let position = 0; position < 200; position++) {
    const epochs = [0, 1, 2, 3].map((epoch) => mirrored('alternating', position, epoch));
    expect(epochs).toEqual([epochs[0], !epochs[0], epochs[0], !epochs[0]]);
    if (epochs[0]) first++;
    if (mirrored('random', position, 0) === mirrored('random', position, 1)) randomRepeats++;
    expect(mirrored('none', position, 0)).toBe(false);
  }
  expect(first).toBeGreaterThan(70);
  expect(first).toBeLessThan(130);
  expect(randomRepeats).toBeGreaterThan(70);
  expect(randomRepeats).toBeLessThan(130);
});

test('cutout sets a square of every channel to zero, cut off at the border', () => {
  const images = new Uint8Array(100 * 2 * 64).fill(9);
  const standardization = { type: 'channel', mean: [0, 0], deviation: [1, 1] } as const;
  const areas = new Set<number>();
  for (let position = 0; position < 100; position++) {
    const augmentation = { ...noAugmentation, cutout: 4 };
    const output = train(images, [2, 8, 8], { inputSize: 8, standardization, augmentation }, position);
    const zeros = (channel: number): number[] =>
      [...output.keys()].filter((i) => output[i] === 0 && i >> 6 === channel).map((i) => i & 63);
    expect(zeros(0)).toEqual(zeros(1));
    const rows = new Set(zeros(0).map((i) => i >> 3));
    const columns = new Set(zeros(0).map((i) => i & 7));
    expect(zeros(0).length).toBe(rows.size * columns.size);
    areas.add(zeros(0).length);
  }
  expect(Math.max(...areas)).toBe(16);
  expect(Math.min(...areas)).toBeLessThan(9);
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  return Math.sqrt(mean(values.map((value) => value * value)) - mean(values) ** 2);
}
