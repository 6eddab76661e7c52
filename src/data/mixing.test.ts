/** mixup and cutmix: what is drawn, by its distribution, and what becomes of a batch, by hand. */
import { describe, expect, test } from 'vitest';
import { createFill, type TrainingTask } from './fill.ts';
import { allocateImages } from './new-image-set.ts';
import { drawMix, writeMixed, type Box } from './mixing.ts';
import { noAugmentation } from './preprocessing.ts';
import { createDraws, permutation, streamKey } from '../util/random.ts';

const draws = 4000;

function mixes(strengths: { mixup?: number; cutmix?: number }, { seed = 1, batchSize = 4, side = 24 } = {}) {
  return Array.from({ length: draws }, (_, step) =>
    drawMix({ mixup: 0, cutmix: 0, ...strengths }, { seed, step, batchSize }, [side, side]),
  );
}

/** The largest distance between the distribution of values and the one that is expected: beyond 1.95 / sqrt(n) one time in 1000. */
function distance(values: readonly number[], expected: (x: number) => number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.max(
    ...sorted.map((x, i) => Math.max(Math.abs(expected(x) - i / sorted.length), Math.abs(expected(x) - (i + 1) / sorted.length))),
  );
}

/** Distribution functions of Beta(a, a), where they can be written down. */
const betaOf: Readonly<Record<number, (x: number) => number>> = {
  0.5: (x) => (2 / Math.PI) * Math.asin(Math.sqrt(x)),
  1: (x) => x,
  2: (x) => 3 * x ** 2 - 2 * x ** 3,
};

describe('draws', () => {
  test.each([0.5, 1, 2])('the share of mixup is from Beta(%f, the same)', (mixup) => {
    const shares = mixes({ mixup }).map(({ share, box }) => {
      expect(box).toBeUndefined();
      return share;
    });
    expect(distance(shares, betaOf[mixup]!)).toBeLessThan(1.95 / Math.sqrt(draws));
  });

  test.each([0.2, 0.01, 50])('mean and variance of Beta(%f, the same)', (mixup) => {
    const shares = mixes({ mixup }).map(({ share }) => share);
    const variance = 1 / (4 * (2 * mixup + 1));
    const mean = shares.reduce((sum, share) => sum + share / draws, 0);
    expect(Math.abs(mean - 0.5)).toBeLessThan(4.5 * Math.sqrt(variance / draws));
    const spread = shares.reduce((sum, share) => sum + (share - 0.5) ** 2 / draws, 0);
    expect(spread / variance).toBeGreaterThan(0.9);
    expect(spread / variance).toBeLessThan(1.1);
  });

  test('partners are a permutation of the batch, each as likely as any other', () => {
    const counts = new Map<string, number>();
    for (const { partners } of mixes({ mixup: 1 }, { batchSize: 3 })) {
      expect([...partners].sort()).toEqual([0, 1, 2]);
      counts.set(partners.join(), (counts.get(partners.join()) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - draws / 6)).toBeLessThan(4.5 * Math.sqrt((draws * 5) / 36));
  });

  test("the box of cutmix has the area that is drawn, its centre anywhere, cut off at the border; the labels' share is what is left of it", () => {
    const side = 1000;
    const boxes = mixes({ cutmix: 1 }, { side }).map(({ share, box }) => {
      const { top, left, bottom, right } = box!;
      expect(share).toBeCloseTo(((bottom - top) * (right - left)) / side ** 2, 12);
      for (const edge of [top, left, bottom, right])
        expect(edge).toSatisfy((n: number) => Number.isInteger(n) && n >= 0 && n <= side);
      return box!;
    });
    const whole = boxes.filter(({ top, left, bottom, right }) => top > 0 && left > 0 && bottom < side && right < side);
    for (const { top, left, bottom, right } of whole) expect(bottom - top).toBe(right - left);
    // A side of part r is whole for a part 1 - r of the centres, in each direction. With an area uniform in [0, 1] that is 1/6 of all,
    // and of those P(r < x) = 6 x^2 - 8 x^3 + 3 x^4.
    expect(Math.abs(whole.length - draws / 6)).toBeLessThan(4.5 * Math.sqrt((draws * 5) / 36));
    const sides = whole.map(({ top, bottom }) => (bottom - top) / side);
    expect(distance(sides, (x) => 6 * x ** 2 - 8 * x ** 3 + 3 * x ** 4)).toBeLessThan(1.95 / Math.sqrt(whole.length) + 0.01);
    const tops = boxes
      .filter(({ top, bottom }) => bottom - top < side / 10 && top > 0 && bottom < side)
      .map(({ top, bottom }) => (top + bottom) / 2 / side);
    const lefts = boxes
      .filter(({ left, right }) => right - left < side / 10 && left > 0 && right < side)
      .map(({ left, right }) => (left + right) / 2 / side);
    for (const centres of [tops, lefts])
      expect(distance(centres, (x) => Math.min(1, Math.max(0, (x - 0.025) / 0.95)))).toBeLessThan(
        2.2 / Math.sqrt(centres.length) + 0.03,
      );
  });

  test('with both, half of the batches are cut', () => {
    const cut = mixes({ mixup: 0.2, cutmix: 1 }).filter(({ box }) => box !== undefined).length;
    expect(Math.abs(cut - draws / 2)).toBeLessThan(4.5 * Math.sqrt(draws / 4));
  });

  test('partners and the kind of mixing come from streams of their own, by the step', () => {
    for (let step = 0; step < 20; step++) {
      const mix = drawMix({ mixup: 1, cutmix: 1 }, { seed: 5, step, batchSize: 9 }, [24, 24]);
      expect([...mix.partners]).toEqual([...permutation(streamKey(5, 'augment:mix-partners', step), 9)]);
      expect(mix.box !== undefined).toBe(createDraws(streamKey(5, 'augment:mix', step)).uniform() < 0.5);
    }
  });

  test('other steps and seeds are other draws', () => {
    const all = [...mixes({ mixup: 1 }), ...mixes({ mixup: 1 }, { seed: 2 })].map(({ share }) => share);
    expect(new Set(all).size).toBe(2 * draws);
  });
});

describe('by hand', () => {
  const own = Float32Array.of(9, 10, 20, 30, 40, 50, 60, 70, 80);
  const other = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);

  function mixed(share: number, box?: Box): number[] {
    const output = new Float32Array(10).fill(-1);
    writeMixed({ partners: new Uint32Array(), share, box }, [2, 2, 2], [own, 1], [other, 0], output, 2);
    return [...output];
  }

  test('mixup: three quarters of the one and a quarter of the other', () => {
    expect(mixed(0.25)).toEqual([-1, -1, 7.75, 15.5, 23.25, 31, 38.75, 46.5, 54.25, 62]);
  });

  test('cutmix: the lower right pixel of every channel is the other one', () => {
    expect(mixed(0.25, { top: 1, left: 1, bottom: 2, right: 2 })).toEqual([-1, -1, 10, 20, 30, 4, 50, 60, 70, 8]);
    expect(mixed(0, { top: 1, left: 1, bottom: 1, right: 1 })).toEqual([-1, -1, ...own.subarray(1)]);
  });
});

describe('batches', () => {
  const images = allocateImages(7, [1, 6, 6]);
  for (let i = 0; i < 7; i++) {
    images.labels[i] = i;
    for (let pixel = 0; pixel < 36; pixel++) images.images[36 * i + pixel] = 36 * i + pixel;
  }
  const standardization = { type: 'channel', mean: [0], deviation: [1 / 255] } as const;
  const training: TrainingTask = { type: 'training', seed: 5, firstStep: 0, rank: 0, worldSize: 1 };

  function batch(augmentation: object, batchSize: number, n: number, task = training) {
    const preprocessing = {
      inputSize: 5,
      standardization,
      augmentation: { ...noAugmentation, randomCrop: true, ...augmentation },
    };
    const slot = {
      inputs: new Float32Array(25 * batchSize),
      labels: new Uint8Array(batchSize),
      mixed: { labels: new Uint8Array(batchSize).fill(99), share: Float64Array.of(-1) },
    };
    createFill({ images, shape: [1, 6, 6], preprocessing, batchSize, task })(n, slot);
    return { inputs: [...slot.inputs], labels: [...slot.labels], others: [...slot.mixed.labels], share: slot.mixed.share[0]! };
  }

  test.each([{ mixup: 1 }, { cutmix: 1 }])('%j mixes the very examples of the batch without it', (strengths) => {
    let changed = 0;
    for (let step = 0; step < 12; step++) {
      const plain = batch({}, 5, step);
      expect(plain).toMatchObject({ others: [99, 99, 99, 99, 99], share: -1 });
      const { inputs, labels, others, share } = batch(strengths, 5, step);
      expect(labels).toEqual(plain.labels);
      const mix = drawMix({ mixup: 0, cutmix: 0, ...strengths }, { seed: 5, step, batchSize: 5 }, [5, 5]);
      expect(share).toBe(mix.share);
      expect(others).toEqual([...mix.partners].map((partner) => labels[partner]));
      for (let row = 0; row < 5; row++) {
        for (let pixel = 0; pixel < 25; pixel++) {
          const one = plain.inputs[25 * row + pixel]!;
          const two = plain.inputs[25 * mix.partners[row]! + pixel]!;
          const { top, left, bottom, right } = mix.box ?? { top: 0, left: 0, bottom: 0, right: 0 };
          const [y, x] = [Math.floor(pixel / 5), pixel % 5];
          const inBox = y >= top && y < bottom && x >= left && x < right;
          const expected = mix.box === undefined ? one + share * (two - one) : inBox ? two : one;
          expect(inputs[25 * row + pixel]).toBeCloseTo(expected, 4);
          if (expected !== one) changed++;
        }
      }
    }
    expect(changed).toBeGreaterThan(20);
  });

  test.each([{ mixup: 1 }, { cutmix: 1 }])(
    '%j gives processes parts of the same batch, across the border of epochs too',
    (strengths) => {
      for (let step = 0; step < 9; step++) {
        const whole = batch(strengths, 6, step);
        const parts = [0, 1, 2].map((rank) => batch(strengths, 2, step, { ...training, rank, worldSize: 3 }));
        for (const key of ['inputs', 'labels', 'others'] as const) expect(parts.flatMap((part) => part[key])).toEqual(whole[key]);
        for (const part of parts) expect(part.share).toBe(whole.share);
        expect(batch(strengths, 6, 2, { ...training, firstStep: step })).toEqual(batch(strengths, 6, step + 2));
      }
    },
  );
});
