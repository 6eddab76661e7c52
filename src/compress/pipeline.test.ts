/** Compression from end to end, on a network of a few hundred weights. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { latencyBySize } from '../../test/latency-by-size.ts';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { ImageSet } from '../data/dataset.ts';
import { sliceImages } from '../data/image-set.ts';
import type { BenchOptions } from '../deploy/bench/bench-inference.ts';
import { parseDevice } from '../deploy/mcu/cores.ts';
import { readFrozenMetadata } from '../deploy/metadata.ts';
import { decodeModel } from '../deploy/onnx/schema.ts';
import { openSession } from '../deploy/onnx-runtime.ts';
import { toInterleaved } from '../deploy/pixels.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { countParameters } from '../nn/network.ts';
import { initialValues } from '../nn/parameter.ts';
import { allRuns } from '../runs/run-folder.ts';
import { createClassifier } from '../train/classifier.ts';
import { resolveConfig } from '../train/config.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { train } from '../train/train.ts';
import { ConfigurationError } from '../util/errors.ts';
import { compress, type Compressed, type CompressHooks, type CompressOptions, type Stopped } from './pipeline.ts';
import type { CompressTargets } from './rounds.ts';

const timed: BenchOptions[] = [];
const bench = latencyBySize(timed);

const dataset = noiseDataset(8, { train: 60, test: 20 });
/** The last tenth. */
const validation = sliceImages(dataset.train, 54, 60);
const keys = {
  model: 'cs231n',
  'conv1.filters': 8,
  'dense1.features': 16,
  inputSize: 8,
  batchSize: 8,
  dataset: 'noise',
  threads: 1,
};
const config = resolveConfig(keys);
const { network } = createClassifier(config, dataset);
const source: SavedModel = {
  path: 'cs231n.safetensors',
  file: {
    tensors: new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }])),
    metadata: {},
  },
  config,
  step: undefined,
  classifier: createClassifier(config, dataset),
};

let runsFolder: string;
beforeEach(() => {
  runsFolder = mkdtempSync(join(tmpdir(), 'ablate-pipeline-'));
  timed.length = 0;
});
afterEach(() => {
  rmSync(runsFolder, { recursive: true });
});

function options(changes: Partial<CompressOptions>): CompressOptions {
  return {
    source,
    reference: 'cs231n.safetensors',
    targets: { operations: 0.5 },
    shrink: 0.6,
    rounds: 3,
    steps: 1,
    overrides: {},
    engine: referenceEngine,
    dataset,
    runsFolder,
    threads: 1,
    bench,
    ...changes,
  };
}

function finished(result: Compressed | Stopped): Compressed {
  if ('stopped' in result) throw new Error(`stopped in round ${result.stopped.round}`);
  return result;
}

/** The network with so many filters and features: 3x3 filters of three colours, 4x4 values of each filter, four classes. */
function parametersOf(filters: number, features: number): number {
  return 28 * filters + (16 * filters + 1) * features + (features + 1) * 4;
}

async function labelsOf(file: Uint8Array, set: ImageSet): Promise<number[]> {
  const session = await openSession(file, 'the test');
  const { logits } = await session.run({
    pixels: toInterleaved(set.images, set.count, 8, 8),
    count: set.count,
    height: 8,
    width: 8,
  });
  await session.dispose();
  return Array.from({ length: set.count }, (_, n) => {
    const own = logits.subarray(4 * n, 4 * n + 4);
    return own.indexOf(Math.max(...own));
  });
}

const partOf = (labels: readonly number[], set: ImageSet) =>
  labels.filter((label, n) => label === set.labels[n]).length / set.count;

test('rounds until the limit is kept: each a smaller network, trained, frozen, quantized and measured; the test images last', async () => {
  const order: string[] = [];
  const hooks: CompressHooks = {
    training: (round, { val, steps, init }) => (order.push(`train ${round} from ${init}: val ${val}, ${steps} step`), {}),
    onNetwork: (round, _network, _original, reused) => order.push(`network ${round}, reused ${reused}`),
    onTest: (done, total) => order.push(`test ${done}/${total}`),
    onLayer: (done, total, layer) => order.push(`layer ${done}/${total} ${layer}`),
  };
  const first = finished(await compress(options({ hooks })));
  expect(order).toEqual([
    'network 0, reused false',
    'train 1 from cs231n.safetensors: val true, 1 step',
    'network 1, reused false',
    'train 2 from cs231n/1: val true, 1 step',
    'network 2, reused false',
    ...['layer 0/3 conv1', 'layer 1/3 dense1', 'layer 2/3 logits', 'layer 3/3 '],
    ...['test 0/3', 'test 1/3', 'test 2/3', 'test 3/3'],
  ]);
  const { stages, result, reason, targets, layers, file, runs } = first;
  expect([result, reason, first.validationImages, first.testImages]).toEqual([2, 'limits', 6, 20]);
  expect(runs.map(({ model, number }) => `${model}/${number}`)).toEqual(['cs231n/1', 'cs231n/2']);
  expect(stages.map(({ name, run }) => [name, run])).toEqual([
    ['original', null],
    ['round 1', 'cs231n/1'],
    ['round 2', 'cs231n/2'],
  ]);
  // A whole round leaves 0.6; then a half of the original is enough, which 0.5 / 0.6 of the first round's is.
  const operations = stages.map((stage) => stage.operations / stages[0]!.operations);
  expect(operations[0]).toBe(1);
  expect(operations[1]).toBeLessThanOrEqual(0.6);
  expect(operations[1]).toBeGreaterThan(0.55);
  expect(operations[2]).toBeLessThanOrEqual(0.5);
  expect(operations[2]).toBeGreaterThan(0.45);
  expect(targets).toEqual([{ target: 'operations', limit: 0.5, value: operations[2], met: true }]);
  expect(stages[0]!.parameters).toBe(parametersOf(8, 16));
  expect(stages[0]!.parameters).toBe(countParameters(network.parameters));
  const [conv1, dense1, logits] = layers;
  expect(stages[2]!.parameters).toBe(parametersOf(conv1!.after, dense1!.after));
  expect(conv1).toMatchObject({ name: 'conv1', before: 8, weights: 27 * conv1!.after, sparsity: 0, quantized: true });
  expect(dense1).toMatchObject({ name: 'dense1', before: 16, weights: 16 * conv1!.after * dense1!.after });
  expect(logits).toMatchObject({ name: 'logits', before: 4, after: 4, weights: 4 * dense1!.after });
  for (const { divergence } of layers) expect(divergence).toBeGreaterThan(0);

  // The result's file, and what is said of it.
  const metadata = readFrozenMetadata(file, 'small');
  expect(metadata.accuracy).toEqual({
    value: partOf(await labelsOf(file, dataset.test), dataset.test),
    split: 'test',
    images: 20,
    dataset: 'noise',
    fingerprint: 'noise-8',
  });
  expect(metadata.run).toBe('cs231n/2');
  const { float32, int8 } = stages[2]!;
  expect(int8.bytes).toBe(file.length);
  expect(int8.testAccuracy).toBe(metadata.accuracy!.value);
  expect(int8.validationAccuracy).toBe(partOf(await labelsOf(file, validation), validation));
  expect(int8.floatLayers).toEqual([]);
  expect(int8.dropPoints).toBeCloseTo(100 * (stages[0]!.float32.validationAccuracy - int8.validationAccuracy), 6);
  expect(float32.dropPoints).toBeCloseTo(100 * (stages[0]!.float32.validationAccuracy - float32.validationAccuracy), 6);
  // Without an accuracy, which is what was timed, in milliseconds.
  for (const { latencyMs, bytes } of stages.flatMap((stage) => [stage.float32, stage.int8])) {
    expect(latencyMs).toBeLessThan(bytes / 1000);
    expect(latencyMs).toBeGreaterThan((bytes - 200) / 1000);
  }
  expect(timed.map(({ files, ...how }) => [files.length, how])).toEqual(
    new Array(3).fill([2, { threads: [1], runtimes: ['onnxruntime'], batchSizes: [], rounds: 3, roundMs: 100 }]),
  );

  // The same again trains nothing.
  order.length = 0;
  const again = finished(await compress(options({ hooks })));
  expect(order.filter((line) => /^(network|train)/.test(line))).toEqual([
    'network 0, reused false',
    'network 1, reused true',
    'network 2, reused true',
  ]);
  expect(again).toEqual(first);
  expect(allRuns(runsFolder, ['cs231n'])).toHaveLength(2);

  // Images that are kept out neither train nor calibrate, and test images decide nothing: other ones change only what is said of them.
  const white = (set: ImageSet): ImageSet => ({ ...set, images: set.images.map(() => 255), labels: set.labels.map(() => 0) });
  const train = { ...dataset.train, images: dataset.train.images.slice(), labels: dataset.train.labels.slice() };
  const other = { ...dataset, train, test: white(dataset.test) };
  train.images.fill(255, 54 * 192);
  train.labels.fill(0, 54);
  const elsewhere = join(runsFolder, 'elsewhere');
  const poisoned = finished(await compress(options({ dataset: other, runsFolder: elsewhere })));
  const graphs = [first, poisoned].map((each) => decodeModel(each.file)!.graph);
  expect(graphs[1]).toEqual(graphs[0]);
  expect(poisoned.stages.map(({ int8: { latencyMs } }) => latencyMs)).toEqual(stages.map(({ int8: { latencyMs } }) => latencyMs));
  expect(poisoned.stages[2]!.int8.validationAccuracy).toBeOneOf([0, 1]);
  expect(poisoned.stages[2]!.int8.testAccuracy).toBe(poisoned.stages[2]!.int8.validationAccuracy);
});

/** A network that a microcontroller can run, and limits there. */
function forDevice(targets: CompressTargets): Partial<CompressOptions> {
  const constants = { type: 'channel', mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] };
  const changed = resolveConfig(keys, { standardization: constants, lrn: false });
  const classifier = createClassifier(changed, dataset);
  return { source: { ...source, config: changed, classifier }, targets, device: parseDevice('m4@100') };
}

describe('what cannot be reached is told before anything is trained', () => {
  const refused = async (changes: Partial<CompressOptions>): Promise<string> => {
    const error = await compress(options(changes)).then(
      () => new Error('it was not refused'),
      (thrown: unknown) => thrown as Error,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(allRuns(runsFolder, ['cs231n'])).toEqual([]);
    return error.message;
  };

  test('targets out of range, operations that no filters leave, and keys, before anything is measured', async () => {
    expect(await refused({ targets: {} })).toBe('what to reach is missing');
    expect(await refused({ targets: { operations: 1e-3 }, shrink: 0.01 })).toMatch(
      /^operations \(=0\.001\) must be at least 0\.\d+/,
    );
    for (const [overrides, message] of [
      [{ recipe: 'modern' }, 'recipe cannot be set here: that would change what is recorded, not the training'],
      [{ learningRate: -1 }, 'learningRate (=-1) must be a number above 0'],
    ] as const) {
      expect(await refused({ targets: { maxDrop: 1 }, overrides })).toBe(message);
    }
    expect(timed).toEqual([]);
  });

  test('bytes below what is with one filter in every layer; a little above that they can be reached', async () => {
    const message = await refused({ targets: { bytes: 100 } });
    const least = Number(/^bytes \(=100\) must be at least (\d+): that is with one filter in every layer$/.exec(message)![1]);
    expect(await refused({ targets: { bytes: least - 1 } })).toBe(message.replace('=100', `=${least - 1}`));
    // What a file says of the run that it is of.
    const enough = least + 200;
    const { stages, reason, file } = finished(await compress(options({ targets: { bytes: enough }, shrink: 0.3, rounds: 9 })));
    expect([reason, stages.at(-1)!.parameters]).toEqual(['limits', parametersOf(1, 1)]);
    expect(file.length).toBeLessThanOrEqual(enough);
  });

  test('other images to keep out than the last', async () => {
    expect(await refused({ overrides: { val: false } })).toBe(
      'val cannot be set here: the last training images are always kept out, as they decide when to stop',
    );
  });

  test('flash, RAM and a time below what is with one filter in every layer, RAM that so many rounds do not leave', async () => {
    const message = await refused(forDevice({ flashBytes: 1000, ramBytes: 10, deviceMs: 1e-6 }));
    expect(message).toMatch(
      new RegExp(
        ['flash \\(=1000\\)', 'ram \\(=10\\)', 'latency \\(=0.000001\\)']
          .map((limit) => `^${limit} must be at least [\\d.]+: that is with one filter in every layer$`)
          .join('\n'),
        'm',
      ),
    );
    const [flash] = /\d+(?=:)/.exec(message)!;
    // It is all that this says.
    const fewRounds = await refused({ ...forDevice({ flashBytes: Number(flash) }), rounds: 1 });
    expect(fewRounds).toMatch(/^flash \(=\d+\) is out of reach: 0\.6/);
    expect(await refused({ ...forDevice({ ramBytes: 300 }), rounds: 1, shrink: 0.9 })).toMatch(
      /^ram \(=300\) is out of reach: 0\.9 of the operations in each of 1 rounds leave /,
    );
  });

  test('too few rounds for a latency, in milliseconds', async () => {
    const message = await refused({ targets: { latencyMs: 5 } });
    expect(message).toMatch(/^latency \(=5\) is out of reach: 0\.6 of the operations in each of 3 rounds leave 8\.\d+ ms$/);
  });

  test('too few rounds for bytes', async () => {
    expect(await refused({ targets: { bytes: 9000 }, rounds: 1, shrink: 0.9 })).toMatch(
      /^bytes \(=9000\) is out of reach: 0\.9 of the operations in each of 1 rounds leave a file of [\d,]+$/,
    );
  });
});

test('bytes: the last round removes no more than is needed', async () => {
  const { stages, reason, targets, file } = finished(await compress(options({ targets: { bytes: 9950 } })));
  expect([reason, stages.length]).toEqual(['limits', 2]);
  expect(file.length).toBeLessThanOrEqual(9950);
  expect(file.length).toBeGreaterThan(9650);
  expect(targets).toEqual([{ target: 'bytes', limit: 9950, value: file.length, met: true }]);
});

test('a drop alone: rounds go on until it is exceeded, or nothing is left to be removed', async () => {
  const all = finished(await compress(options({ targets: { maxDrop: 100 }, shrink: 0.3, rounds: 9 })));
  expect(all.reason).toBe('smallest');
  expect(all.result).toBe(all.stages.length - 1);
  expect(all.stages.at(-1)!.operations / all.stages[0]!.operations).toBeLessThan(0.3);
  const few = finished(await compress(options({ targets: { maxDrop: 100 }, rounds: 1 })));
  expect([few.reason, few.stages.length]).toEqual(['rounds', 2]);
});

test('limits of a microcontroller are kept by what is made for it', async () => {
  const { stages, targets, result } = finished(await compress(options(forDevice({ flashBytes: 4500, deviceMs: 2 }))));
  expect(targets).toMatchObject([
    { target: 'flashBytes', limit: 4500, met: true },
    { target: 'deviceMs', limit: 2, met: true },
  ]);
  const { flashBytes, deviceMs } = stages[result]!.device!;
  expect(targets.map(({ value }) => value)).toEqual([flashBytes, deviceMs]);
  const { device: original } = stages[0]!;
  expect(original!.flashBytes).toBeGreaterThan(4500);
  expect(deviceMs).toBeGreaterThan(0);
  expect(deviceMs).toBeLessThan(original!.deviceMs);
  // Without limits of one, nothing is said of any.
  expect(finished(await compress(options({}))).stages.map(({ device }) => device)).not.toContainEqual(expect.anything());
});

test('a teacher that is named by its model is the run that was its newest before the first round', async () => {
  await train({ config: { ...config, steps: 1 }, engine: referenceEngine, dataset, record: { runsFolder } });
  const teachers: string[] = [];
  const training: CompressHooks['training'] = (_, { teacher }) => {
    teachers.push(teacher);
    return {};
  };
  const taught = { overrides: { teacher: 'cs231n' }, hooks: { training }, rounds: 2, shrink: 0.7 };
  finished(await compress(options({ targets: { maxDrop: 100 }, ...taught })));
  expect(teachers).toEqual(['cs231n/1', 'cs231n/1']);
});

test('stopped, it says where', async () => {
  expect(await compress(options({ signal: AbortSignal.abort() }))).toEqual({ stopped: { round: 1 } });
  const controller = new AbortController();
  const hooks: CompressHooks = { training: () => ({ onStart: () => controller.abort() }) };
  const { stopped } = (await compress(options({ signal: controller.signal, hooks, steps: 3 }))) as Stopped;
  expect(stopped).toMatchObject({ round: 1, run: { model: 'cs231n', number: 1 } });
  expect(stopped.step).toBeLessThan(3);
  // Calibration, too.
  const late = new AbortController();
  const onNetwork = () => {
    late.abort();
    throw late.signal.reason as Error;
  };
  expect(await compress(options({ signal: late.signal, hooks: { onNetwork } }))).toEqual({ stopped: { round: 1 } });
});
