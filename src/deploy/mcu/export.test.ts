import { expect, test } from 'vitest';
import { deviceCases, deviceImages } from '../../../test/device-networks.ts';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { told, toldLater } from '../../../test/told.ts';
import type { Dataset } from '../../data/dataset.ts';
import { selectImages, sliceImages } from '../../data/image-set.ts';
import { packageVersion } from '../../util/package.ts';
import { calibrationOrder } from '../integers/drawn-images.ts';
import { encodeModel } from '../onnx/schema.ts';
import { openSession } from '../onnx-runtime.ts';
import { centralParts, toInterleaved } from '../pixels.ts';
import { buildPlan } from './build.ts';
import { evaluateIntegers, indexOfLargest } from './evaluate.ts';
import { deviceNetwork, originLine, originLines, testVectors, vectorCount, type DeviceNetwork } from './export.ts';
import { planMemory } from './memory.ts';
import type { Plan } from './plan.ts';
import { createTwin } from './twin.ts';

const range = { method: 'min-max', percentile: 100 } as const;

/** A network for images of 10 x 10, and images of 12 x 12. */
function given() {
  const { trained } = deviceCases[0]!;
  const { classes } = trained.classifier;
  const dataset: Dataset = { ...noiseDataset(12, { train: 80, test: 130 }), classes };
  return { trained, dataset };
}

/** What the integers give for each image: `[H, W, 3]` bytes. */
function twinLogits(plan: Plan, images: readonly Uint8Array[]): number[][] {
  const twin = createTwin(plan);
  return images.map((image) => {
    const logits = new Int8Array(plan.output.extent.channels);
    twin.run(image, logits);
    return [...logits];
  });
}

/** The first test images, and the middle of each as the network sees it. */
function firstImages({ test }: Dataset, count: number) {
  const pixels = toInterleaved(test.images.subarray(0, count * 3 * 12 * 12), count, 12, 12);
  const batch = { pixels, count, height: 12, width: 12 };
  const parts = centralParts(batch, { height: 10, width: 10 });
  return { batch, parts: Array.from({ length: count }, (_, i) => parts.subarray(i * 300, (i + 1) * 300)) };
}

test.each([true, false])(
  'with validation images %s: those that calibrate are drawn by the seed of those that train alone',
  async (val) => {
    const { trained, dataset } = given();
    const options = { trained, dataset, val, range, seed: 3, evaluate: false, threads: 1 };
    const made = await deviceNetwork({ ...options, images: 40 });
    // The last tenth is kept out.
    const train = val ? sliceImages(dataset.train, 0, 72) : dataset.train;
    const images = selectImages(train, calibrationOrder(3, train.count).subarray(0, 40));
    const { plan } = await buildPlan(trained, { images, shape: dataset.shape, range });
    expect(made).toEqual({ plan, memory: planMemory(plan), calibrationImages: 40, evaluation: undefined });
    expect((await deviceNetwork(options)).calibrationImages).toBe(train.count);
    const { plan: other } = await deviceNetwork({ ...options, images: 40, seed: 4 });
    expect(other.tensors).not.toEqual(plan.tensors);
  },
);

test('images of other classes are refused', async () => {
  const { trained, dataset } = given();
  const others = { ...dataset, classes: ['a', 'b', 'c', 'd'] };
  const options = { trained, dataset: others, val: false, range, seed: 3, evaluate: true, threads: 1 };
  expect(await toldLater(deviceNetwork(options))).toMatchObject({ kind: 'DataError' });
});

test('all test images are evaluated, in float32 and by the integers, whatever the batches', async () => {
  const { trained, dataset } = given();
  const seen: number[][] = [];
  const onProgress = (...progress: number[]) => seen.push(progress);
  const options = { trained, dataset, val: false, range, seed: 3, threads: 1 };
  const { plan, evaluation } = await deviceNetwork({ ...options, evaluate: true, onProgress });
  const { float } = await buildPlan(trained, {
    images: selectImages(dataset.train, calibrationOrder(3, 80)),
    ...{ shape: dataset.shape, range },
  });
  const session = await openSession(encodeModel(float.model), 'a network', { threads: 1 });
  const { batch, parts } = firstImages(dataset, 130);
  const floats = (await session.read(batch, ['logits'])).get('logits')!;
  await session.dispose();
  const labels = [...dataset.test.labels];
  const largest = (values: readonly number[]) => values.indexOf(Math.max(...values));
  const integers = twinLogits(plan, parts).map(largest);
  const inFloat = parts.map((_, i) => largest([...floats.subarray(4 * i, 4 * i + 4)]));
  const share = (count: (i: number) => boolean, of = 130) => labels.slice(0, of).filter((_, i) => count(i)).length / of;
  const expected = (of: number) => ({
    images: of,
    accuracy: share((i) => integers[i] === labels[i], of),
    floatAccuracy: share((i) => inFloat[i] === labels[i], of),
    agreement: share((i) => integers[i] === inFloat[i], of),
  });
  expect(evaluation).toEqual(expected(130));
  expect(seen).toEqual([
    [100, 130],
    [130, 130],
  ]);
  // Some differ, so that none is taken for another.
  expect(new Set(Object.values(expected(130))).size).toBe(4);
  const measured = { plan, float, images: dataset.test, shape: dataset.shape, threads: 1 };
  expect(await evaluateIntegers({ ...measured, limit: 105 })).toEqual(expected(105));
  expect(await evaluateIntegers({ ...measured, limit: 1000 })).toEqual(expected(130));
  expect(await evaluateIntegers({ ...measured, signal: AbortSignal.abort() })).toBeUndefined();
});

test('of equal logits the first counts', () => {
  expect([[3, 5, 5], [5, 5, 3], [7]].map((values) => indexOfLargest(Int8Array.from(values)))).toEqual([1, 0, 0]);
});

test('test vectors are the first test images as the network sees them, with its logits', async () => {
  const { trained, dataset } = given();
  const { plan } = await buildPlan(trained, { images: deviceImages(10, 40), shape: [3, 10, 10], range });
  const { images, logits, count } = testVectors(plan, dataset, 3);
  const { parts } = firstImages(dataset, 3);
  expect([[...images], [...logits], count]).toEqual([parts.flatMap((part) => [...part]), twinLogits(plan, parts).flat(), 3]);
  expect(testVectors(plan, dataset, 130).count).toBe(130);
});

test('as many test images as asked for go with the code; else 8, or all of fewer', () => {
  const { dataset } = given();
  const few = noiseDataset(12, { train: 8, test: 5 });
  expect([vectorCount(dataset, undefined), vectorCount(few, undefined), vectorCount(dataset, 130)]).toEqual([8, 5, 130]);
  expect(told(() => vectorCount(dataset, 131))).toEqual({
    kind: 'ConfigurationError',
    message: 'vectors (=131) must be at most 130: so many test images noise has',
    fix: undefined,
  });
});

test('calibration says how far it is, and a signal stops it', async () => {
  const { trained, dataset } = given();
  const controller = new AbortController();
  const seen: number[][] = [];
  const onCalibration = (...progress: number[]) => {
    seen.push(progress);
    controller.abort();
  };
  const options = { trained, dataset, val: false, range, seed: 3, evaluate: true, threads: 1 };
  const stopped = deviceNetwork({ ...options, images: 40, onCalibration, signal: controller.signal });
  const reason: unknown = await stopped.catch((error: unknown) => error);
  expect(reason).toBe(controller.signal.reason);
  expect(seen).toEqual([[32, 40]]);
});

test('names with an end of line stay within the comment of a Makefile', () => {
  const origin = { model: 'tuto', from: 'runs/a\nb', training: '0ab1', dataset: 'images:x\r' };
  expect(originLine(origin)).toBe("Made of runs/a\\u000ab (tuto) by ablate's export. Training 0ab1.");
  const evaluation = { images: 1, accuracy: 1, floatAccuracy: 1, agreement: 1 };
  const network = { calibrationImages: 1, evaluation } as DeviceNetwork;
  expect(originLines(origin, network, range)[2]).toContain('of images:x\\u000d (float32');
});

test('what is told of a network in the files', () => {
  const origin = { model: 'tuto', from: 'tuto/3', training: '0ab1', dataset: 'CIFAR-10' };
  expect(originLine(origin)).toBe("Made of tuto/3 (tuto) by ablate's export. Training 0ab1.");
  const network = (evaluation: DeviceNetwork['evaluation']) => ({ calibrationImages: 1024, evaluation }) as DeviceNetwork;
  const calibrated = `8-bit integers, calibrated on 1,024 training images (min-max); ablate ${packageVersion()}.`;
  expect(originLines(origin, network(undefined), range)).toEqual([
    originLine(origin),
    calibrated,
    'Its accuracy was not measured.',
  ]);
  const evaluation = { images: 10_000, accuracy: 0.8123, floatAccuracy: 0.8245, agreement: 0.97 };
  expect(originLines(origin, network(evaluation), range)).toEqual([
    originLine(origin),
    calibrated,
    'Accuracy of these integers: 81.23% of 10,000 test images of CIFAR-10 (float32: 82.45%).',
  ]);
});
