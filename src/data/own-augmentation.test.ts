/** A function of the user's in the pipeline of images: what it sees, what it draws, and what it must not do. */
import { describe, expect, test } from 'vitest';
import { createPixelStep, errorOf, failureOf, type ApplyAugmentation, type AugmentationRandom } from './own-augmentation.ts';
import { noAugmentation, type Augmentation } from './preprocessing.ts';
import { augmentationKeys, createTransform } from './transform.ts';

const shape = [2, 2, 3] as const;

function step(apply: ApplyAugmentation): number[] {
  const pixels = Float32Array.from({ length: 12 }, (_, i) => i);
  createPixelStep(apply, shape)(pixels, 7);
  return [...pixels];
}

describe('a function', () => {
  test('is given the pixels and their shape, and changes them in place or returns others', () => {
    step((image) => {
      const { pixels, ...sides } = image;
      expect(sides).toEqual({ channels: 2, height: 2, width: 3 });
      expect([...pixels]).toEqual([...Array(12).keys()]);
    });
    const doubled = [...Array(12).keys()].map((i) => 2 * i);
    const inPlace: ApplyAugmentation = ({ pixels }) => {
      pixels.forEach((value, i) => (pixels[i] = 2 * value));
    };
    expect(step(inPlace)).toEqual(doubled);
    expect(step(({ pixels }) => pixels.map((value) => 2 * value))).toEqual(doubled);
    expect(step(({ pixels }) => pixels)).toEqual([...Array(12).keys()]);
  });

  test.each<[string, () => unknown, string]>([
    [
      'fewer pixels',
      () => new Float32Array(11),
      'apply returned a Float32Array of 11 pixels; it must change image.pixels in place and return nothing, or return a Float32Array of 12 pixels, as the image of 2x2x3 has',
    ],
    ['a list', () => Array.from({ length: 12 }, () => 1), 'apply returned a list of 12 elements;'],
    ['bytes', () => new Uint8Array(12), 'apply returned a typed array of another kind;'],
    ['a promise', () => Promise.resolve(), 'apply returned a promise (it must not be async);'],
    ['something else', () => ({ pixels: 1 }), 'apply returned {"pixels":1};'],
    ['a function', () => () => 1, 'apply returned a function;'],
    ['null', () => null, 'apply returned null;'],
  ])('that returns %s is refused', (_, apply, message) => {
    expect(() => step(apply)).toThrow(message);
  });

  test.each([NaN, Infinity, -Infinity])('that makes a pixel %f is refused, with its place', (value) => {
    const wrong: ApplyAugmentation = ({ pixels }) => void (pixels[10] = value);
    expect(() => step(wrong)).toThrow(
      `apply made a pixel ${value} (channel 1, row 1, column 1 of an image of 2x2x3); all must be finite numbers`,
    );
  });

  test('cannot put other pixels in the place of its own, nor draw from Math.random, which others may', () => {
    const { random } = Math;
    expect(() => step((image) => void ((image as { pixels: unknown }).pixels = new Float32Array(12)))).toThrow(TypeError);
    expect(() => step(() => void Math.random())).toThrow('must not use Math.random');
    expect(Math.random).toBe(random);
  });

  test('tells from another thread what it has thrown, and from where; of what it did, not from where', () => {
    const thrown = new RangeError('no');
    expect(errorOf(structuredClone(failureOf(thrown)))).toMatchObject({ message: 'no', stack: thrown.stack });
    let refused: unknown;
    try {
      step(() => 5);
    } catch (error) {
      refused = error;
    }
    expect(errorOf(failureOf(refused))).toMatchObject({
      message: expect.stringContaining('apply returned 5') as string,
      stack: '',
    });
    expect(errorOf(failureOf('text')).message).toBe('text');
  });
});

describe('draws', () => {
  /** `count` draws of images of their own, each the first of its stream. */
  function first(draw: (random: AugmentationRandom) => number, count = 4000): number[] {
    return Array.from({ length: count }, (_, key) => {
      let value = NaN;
      createPixelStep((__, random) => void (value = draw(random)), shape)(new Float32Array(12), key);
      return value;
    });
  }

  const moments = (values: readonly number[]): [number, number] => {
    const mean = values.reduce((sum, value) => sum + value / values.length, 0);
    return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2 / values.length, 0)];
  };

  test.each<[string, (random: AugmentationRandom) => number, number, number]>([
    ['uniform()', (random) => random.uniform(), 0.5, 1 / 12],
    ['uniform(-2, 4)', (random) => random.uniform(-2, 4), 1, 3],
    ['integer(5)', (random) => random.integer(5), 2, 2],
    ['normal()', (random) => random.normal(), 0, 1],
    ['normal(3, 2)', (random) => random.normal(3, 2), 3, 4],
    ['chance()', (random) => Number(random.chance()), 0.5, 0.25],
    ['chance(0.1)', (random) => Number(random.chance(0.1)), 0.1, 0.09],
    ['the second uniform()', (random) => (random.uniform(), random.uniform()), 0.5, 1 / 12],
  ])('%s has its mean and variance', (_, draw, mean, variance) => {
    const values = first(draw);
    const [seenMean, seenVariance] = moments(values);
    expect(Math.abs(seenMean - mean)).toBeLessThan(4.5 * Math.sqrt(variance / values.length));
    expect(seenVariance / variance).toBeGreaterThan(0.9);
    expect(seenVariance / variance).toBeLessThan(1.1);
  });

  test('stay within their ranges', () => {
    expect(first((random) => random.uniform(2, 3)).every((value) => value >= 2 && value < 3)).toBe(true);
    expect(new Set(first((random) => random.integer(3)))).toEqual(new Set([0, 1, 2]));
    expect(new Set(first((random) => Number(random.chance(0))))).toEqual(new Set([0]));
    expect(new Set(first((random) => Number(random.chance(1))))).toEqual(new Set([1]));
  });

  test.each<[string, (random: AugmentationRandom) => unknown, string]>([
    ['integer(0)', (random) => random.integer(0), 'bound (=0) of random.integer must be an integer of at least 1'],
    ['integer(1.5)', (random) => random.integer(1.5), 'bound (=1.5)'],
    ['uniform(0, NaN)', (random) => random.uniform(0, NaN), 'high (=NaN) of a draw must be a finite number'],
    ['uniform(NaN)', (random) => random.uniform(NaN), 'low (=NaN)'],
    ['normal(NaN)', (random) => random.normal(NaN), 'mean (=NaN)'],
    ['normal(0, Infinity)', (random) => random.normal(0, Infinity), 'deviation (=Infinity)'],
    ['chance(NaN)', (random) => random.chance(NaN), 'probability (=NaN)'],
  ])('%s is refused', (_, draw, message) => {
    expect(() => step((__, random) => void draw(random))).toThrow(message);
  });
});

describe('among the other changes of an image', () => {
  const standardization = { type: 'channel', mean: [0], deviation: [1 / 255] } as const;
  const image = Uint8Array.from({ length: 36 }, (_, i) => i);

  function transformed(
    changes: Partial<Augmentation> | undefined,
    own?: ApplyAugmentation,
    { position = 0, epoch = 0, type = 'channel' } = {},
  ): number[] {
    const preprocessing = {
      inputSize: 4,
      standardization: type === 'channel' ? standardization : ({ type: 'image' } as const),
      ...(changes && { augmentation: { ...noAugmentation, ...changes } }),
    };
    const transform = createTransform([1, 6, 6], preprocessing, own);
    const images = new Uint8Array(36 * (position + 1));
    images.set(image, 36 * position);
    const output = new Float32Array(transform.inputLength + 3);
    transform.training(images, position, augmentationKeys(3, epoch), output, 3);
    return [...output.subarray(3)];
  }

  const nothing: ApplyAugmentation = () => undefined;
  const close = (values: readonly number[]): unknown[] => values.map((value) => expect.closeTo(value, 3) as unknown);

  test.each<[string, Partial<Augmentation> | undefined]>([
    ['none', undefined],
    ['all', { translate: 1, randomCrop: true, flip: 'random', brightness: 20, contrast: [0.5, 1.5], cutout: 2 }],
  ])('one that does nothing changes nothing: %s', (_, changes) => {
    for (const type of ['channel', 'image']) {
      for (let position = 0; position < 5; position++) {
        const where = { position, type };
        expect(transformed(changes, nothing, where)).toEqual(close(transformed(changes, undefined, where)));
      }
    }
  });

  test('it sees the crop, flipped, before brightness, contrast, standardization and cutout', () => {
    const seen: number[][] = [];
    const look: ApplyAugmentation = ({ pixels }) => void seen.push([...pixels]);
    const geometry = { translate: 1, randomCrop: true, flip: 'random' } as const;
    for (let position = 0; position < 5; position++) {
      transformed({ ...geometry, brightness: 20, contrast: [0.5, 1.5], cutout: 2 }, look, { position, type: 'image' });
      expect(seen.pop()).toEqual(transformed(geometry, undefined, { position }).map(Math.round));
    }
  });

  test('what follows is that of the changed pixels', () => {
    // Per-image statistics are those of the result; brightness is added to it.
    const spread: ApplyAugmentation = ({ pixels }) => {
      pixels.forEach((value, i) => (pixels[i] = i === 3 ? 1000.5 : 2 * value - 7));
    };
    const output = transformed({}, spread, { type: 'image' });
    const crop = transformed({}).map((value, i) => (i === 3 ? 1000.5 : 2 * Math.round(value) - 7));
    const mean = crop.reduce((sum, value) => sum + value / 16, 0);
    const deviation = Math.sqrt(crop.reduce((sum, value) => sum + (value - mean) ** 2 / 16, 0));
    expect(output).toEqual(close(crop.map((value) => (value - mean) / deviation)));
    const brighter = transformed({ brightness: 30 }, spread);
    const added = brighter[0]! - crop[0]!;
    expect(Math.abs(added)).toBeGreaterThan(0.1);
    expect(brighter).toEqual(close(crop.map((value) => value + added)));
  });

  test('draws are another for each image and epoch, and leave those of the others as they are', () => {
    const draws: number[] = [];
    const drawing: ApplyAugmentation = (_, random) => void draws.push(random.uniform());
    const all = { translate: 1, randomCrop: true, flip: 'random', cutout: 2 } as const;
    for (const position of [0, 1, 2]) {
      for (const epoch of [0, 1, 2]) {
        expect(transformed(all, drawing, { position, epoch })).toEqual(close(transformed(all, undefined, { position, epoch })));
      }
    }
    expect(new Set(draws).size).toBe(9);
    const again = [...draws];
    transformed(all, drawing, { position: 1, epoch: 1 });
    expect(draws.at(-1)).toBe(again[4]);
  });

  test('evaluations do without it', () => {
    const transform = createTransform([1, 6, 6], { inputSize: 4, standardization }, () => expect.unreachable());
    const output = new Float32Array(16);
    transform.evaluation(image, 0, { mirror: false, shift: [0, 0] }, output, 0);
    expect(Math.round(output[0]!)).toBe(7);
  });
});
