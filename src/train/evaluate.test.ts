import { describe, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { singleProcess, type Numbers } from '../cluster/collective.ts';
import type { ImageSet } from '../data/dataset.ts';
import { sliceImages } from '../data/image-set.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { createEvaluator, type EvaluatorOptions } from './evaluate.ts';

const b = new NetworkBuilder('small', [3, 6, 6]);
const network = b.build(b.dense('logits', b.input, { features: 4 }));
const dataset = noiseDataset(6, { train: 4, test: 4 });
/** Larger than the images: the loader refuses it. */
const preprocessing = { inputSize: 7, standardization: { type: 'image' } } as const;
const { classes, shape: imageShape } = dataset;
const classifier = { network, preprocessing, classes, imageShape };
const options = { classifier, dataset, split: 'test', useVal: false, batchSize: 2 } as const;

test('the network is compiled before threads are started, and let go where they cannot be', async () => {
  const failing: Engine = {
    ...referenceEngine,
    compileInference() {
      throw new Error('it does not compile');
    },
  };
  await expect(createEvaluator({ ...options, engine: failing })).rejects.toThrow('it does not compile');

  let compiled = 0;
  const counting: Engine = {
    ...referenceEngine,
    async compileInference(...args) {
      compiled++;
      return { ...(await referenceEngine.compileInference(...args)), dispose: () => compiled-- };
    },
  };
  await expect(createEvaluator({ ...options, engine: counting })).rejects.toThrow('inputSize (=7)');
  expect(compiled).toBe(0);
});

describe('an evaluation', () => {
  const images = noiseDataset(6, { train: 20, test: 7 });
  const wide = new NetworkBuilder('wide', [3, 5, 5]);
  const linear = wide.build(wide.dense('logits', wide.input, { features: 4 }));
  const seen = { inputSize: 5, standardization: { type: 'channel', mean: [0, 0, 0], deviation: [1, 1, 1] } } as const;
  const weight = (class_: number, position: number) => Math.sin(1 + 7 * class_ + position);

  async function evaluatorOf(more: Partial<EvaluatorOptions> = {}) {
    const evaluator = await createEvaluator({
      ...{ engine: referenceEngine, dataset: images, split: 'test', useVal: false, batchSize: 3 },
      classifier: { network: linear, preprocessing: seen, classes, imageShape },
      ...more,
    });
    const [entry] = evaluator.parameters.entries;
    const plain = Float32Array.from({ length: 4 * 75 }, (_, i) => weight(Math.floor(i / 75), i % 75));
    await evaluator.parameters.write(entry!, plain, evaluator.parameters.values);
    return evaluator;
  }

  /** Logits of a view by hand: pixels moved by so much, the border mirrored, cropped from the first pixel on. */
  function logitsOf(set: ImageSet, image: number, mirror: boolean, shift: number): number[] {
    const reflected = (i: number) => (i < 0 ? -i : i > 5 ? 10 - i : i);
    return [0, 1, 2, 3].map((k) => {
      let sum = 0;
      for (let c = 0; c < 3; c++) {
        for (let y = 0; y < 5; y++) {
          for (let x = 0; x < 5; x++) {
            const column = reflected((mirror ? 4 - x : x) - shift);
            const pixel = set.images[((image * 3 + c) * 6 + reflected(y - shift)) * 6 + column]! / 255;
            sum += pixel * weight(k, (c * 5 + y) * 5 + x);
          }
        }
      }
      return sum;
    });
  }

  function expected(set: ImageSet, views: readonly (readonly [mirror: boolean, shift: number, weight: number])[]) {
    let loss = 0;
    let correct = 0;
    for (let image = 0; image < set.count; image++) {
      const mean = [0, 0, 0, 0];
      for (const [mirror, shift, part] of views) logitsOf(set, image, mirror, shift).forEach((z, k) => (mean[k]! += part * z));
      const label = set.labels[image]!;
      loss += Math.log(mean.reduce((sum, z) => sum + Math.exp(z), 0)) - mean[label]!;
      if (mean[label] === Math.max(...mean)) correct++;
    }
    return { images: set.count, loss: expect.closeTo(loss / set.count, 4) as number, accuracy: correct / set.count };
  }

  test.each([
    ['none', [[false, 0, 1]]],
    [
      'mirror',
      [
        [false, 0, 0.5],
        [true, 0, 0.5],
      ],
    ],
    [
      'mirror+shift',
      [
        ...[
          [false, 0, 0.25],
          [true, 0, 0.25],
          [false, 1, 0.125],
          [true, 1, 0.125],
        ],
        ...[
          [false, -1, 0.125],
          [true, -1, 0.125],
        ],
      ],
    ],
  ] as ['none' | 'mirror' | 'mirror+shift', [boolean, number, number][]][])(
    'averages the views of %s over every image once, and again',
    async (tta, views) => {
      const evaluator = await evaluatorOf({ tta });
      const first = await evaluator.run();
      expect(first).toMatchObject({ split: 'test', tta, ...expected(images.test, views) });
      expect(await evaluator.run()).toMatchObject({ loss: first!.loss, accuracy: first!.accuracy, images: 7 });
      await evaluator.dispose();
    },
  );

  test('is of the split that is asked for, and of one view unless told otherwise', async () => {
    const evaluator = await evaluatorOf({ split: 'val', useVal: true });
    const last = { ...images.train, ...sliceImages(images.train, 18, 20) };
    expect(await evaluator.run()).toMatchObject({ split: 'val', tta: 'none', ...expected(last, [[false, 0, 1]]) });
    await evaluator.dispose();
  });

  test('is divided among processes, each image to one of them', async () => {
    const counted: number[] = [];
    for (const rank of [0, 1, 2]) {
      const sums: Float64Array[] = [];
      const collective = {
        ...singleProcess,
        rank,
        worldSize: 3,
        sum: (values: Numbers) => sums.push(values.slice() as Float64Array),
      };
      const evaluator = await evaluatorOf({ collective });
      const seen: number[] = [];
      const evaluation = (await evaluator.run(undefined, (image, label) => {
        expect(label).toBe(images.test.labels[image]);
        seen.push(image);
      }))!;
      counted.push(evaluation.images);
      expect(seen).toEqual(
        [
          [0, 1],
          [2, 3],
          [4, 5, 6],
        ][rank],
      );
      // Whether it was stopped, then what it counted.
      expect(sums.map(({ length }) => length)).toEqual([1, 17]);
      const part = sliceImages(images.test, [0, 2, 4][rank]!, [2, 4, 7][rank]!);
      expect(evaluation).toMatchObject(expected(part, [[false, 0, 1]]));
      await evaluator.dispose();
    }
    expect(counted).toEqual([2, 2, 3]);
    await expect(evaluatorOf({ collective: { ...singleProcess, worldSize: 8 } })).rejects.toThrow(
      '7 images to evaluate are too few for 8 processes',
    );
    await (await evaluatorOf({ collective: { ...singleProcess, worldSize: 7 } })).dispose();
  });

  test('is stopped by a signal here, or by another process', async () => {
    const controller = new AbortController();
    const stopped = await evaluatorOf();
    controller.abort();
    expect(await stopped.run(controller.signal)).toBeUndefined();
    await stopped.dispose();
    const asked = await evaluatorOf({
      collective: { ...singleProcess, sum: (values) => (values[0]! += values.length === 1 ? 1 : 0) },
    });
    expect(await asked.run()).toBeUndefined();
    await asked.dispose();
  });

  test('lets its network and its threads go', async () => {
    let disposed = 0;
    const engine: Engine = {
      ...referenceEngine,
      async compileInference(...args) {
        return Object.assign(await referenceEngine.compileInference(...args), { dispose: () => disposed++ });
      },
    };
    const evaluator = await evaluatorOf({ engine });
    await evaluator.dispose();
    expect(disposed).toBe(1);
    await expect(evaluator.run()).rejects.toThrow('the data loader has been disposed of');
  });

  test('computes in float32 unless told otherwise', async () => {
    const asked: unknown[] = [];
    const engine: Engine = {
      ...referenceEngine,
      async compileInference(compiled, compileOptions) {
        asked.push(compileOptions);
        return await referenceEngine.compileInference(compiled, { ...compileOptions, precision: 'f32' });
      },
    };
    await (await evaluatorOf({ engine })).dispose();
    await (await evaluatorOf({ engine, precision: 'bf16' })).dispose();
    expect(asked).toEqual([
      { batchSize: 3, precision: 'f32' },
      { batchSize: 3, precision: 'bf16' },
    ]);
  });
});
