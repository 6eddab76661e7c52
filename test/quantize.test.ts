/** Quantized files: what they compute, with which kernels, how large they are, and what is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import protobuf from 'protobufjs/light.js';
import { afterAll, describe, expect, test } from 'vitest';
import { compareOnTest } from '../src/compress/quantize/compare.ts';
import { quantize, type QuantizeOptions } from '../src/compress/quantize/quantize.ts';
import { floatsOf } from '../src/compress/quantize/tensors.ts';
import { cifar10Classes } from '../src/data/cifar10.ts';
import type { Dataset, ImageSet } from '../src/data/dataset.ts';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { readFrozenMetadata } from '../src/deploy/metadata.ts';
import type { QuantizationScheme } from '../src/deploy/quantization.ts';
import { decodeModel, encodeModel } from '../src/deploy/onnx/schema.ts';
import { InferenceSession, openSession, Tensor } from '../src/deploy/onnx-runtime.ts';
import { imageBatches, toInterleaved } from '../src/deploy/pixels.ts';
import { freezeUntrained } from './freeze-untrained.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { loadOnednn } from './load-onednn.ts';
import { checkOnnxFiles, whyNoOnnxChecker } from './onnx-checker.ts';
import { skippable } from './skippable.ts';

const engine = (await loadOnednn()) ?? referenceEngine;
const folder = mkdtempSync(join(tmpdir(), 'ablate-quantize-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const drawn = generateSynthetic({ trainCount: 400, testCount: 60 });
const dataset: Dataset = { ...drawn, classes: cifar10Classes };

const smallTuto = {
  model: 'tuto',
  'model.conv1.filters': 8,
  'model.conv2.filters': 8,
  'model.dense1.features': 24,
  'model.dense2.features': 16,
} as const;

const frozenFiles = new Map<string, Promise<Uint8Array>>();

/** Frozen once for each configuration. */
function frozen(keys: ConfigOverrides & { readonly model: string } = smallTuto): Promise<Uint8Array> {
  const key = JSON.stringify(keys);
  const file = frozenFiles.get(key) ?? freezeUntrained(engine, keys).then(({ encode }) => encode(null));
  frozenFiles.set(key, file);
  return file;
}

function options(bytes: Uint8Array, changes: Partial<QuantizeOptions> = {}): QuantizeOptions {
  return {
    file: { bytes, source: 'model.onnx' },
    calibrationImages: 64,
    seed: 1,
    dataset,
    ...changes,
  };
}

const count = 20;
const pixels = toInterleaved(dataset.test.images.subarray(0, count * 3 * 32 * 32), count, 32, 32);

/** Logits of the first test images, as ONNX Runtime computes them with its kernels for integers, or node by node. */
async function logitsOf(bytes: Uint8Array, level: 'all' | 'disabled' = 'all', images = pixels): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { graphOptimizationLevel: level, intraOpNumThreads: 1 });
  const image = new Tensor('uint8', images, [count, 32, 32, 3]);
  const { logits } = await session.run({ image });
  await session.release();
  return logits!.data as Float32Array;
}

/** Root mean square of the difference, relative to that of `a`. */
function relativeError(a: Float32Array, b: Float32Array): number {
  const square = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(square(a.map((value, i) => value - b[i]!)) / square(a));
}

const operatorTypes = protobuf.Root.fromJSON({
  nested: {
    Node: { fields: { opType: { type: 'string', id: 4 } } },
    Graph: { fields: { node: { rule: 'repeated', type: 'Node', id: 1 } } },
    Model: { fields: { graph: { type: 'Graph', id: 7 } } },
  },
}).lookupType('Model');

/** How often each operator is in the graph that ONNX Runtime makes of a file. */
async function optimizedOperators(bytes: Uint8Array): Promise<Record<string, number>> {
  const path = join(folder, 'optimized.ort-graph');
  const session = await InferenceSession.create(bytes, { graphOptimizationLevel: 'extended', optimizedModelFilePath: path });
  await session.release();
  const { graph } = operatorTypes.decode(readFileSync(path)) as unknown as { graph: { node: { opType: string }[] } };
  const counts: Record<string, number> = {};
  for (const { opType } of graph.node) counts[opType] = (counts[opType] ?? 0) + 1;
  return counts;
}

/** Relative errors that are allowed: of integers against floats, and of integer kernels against computing node by node. */
const usualErrors = { integers: 0.15, kernels: 0.02 };
/** Many layers with few filters, whose roundings add up. */
const errorsOfDeep: Readonly<Record<string, typeof usualErrors>> = {
  mobilenetv2: { integers: 0.25, kernels: 0.04 },
  // 0.06 where the processor has no instructions for sums of bytes.
  mobilenetv3: { integers: 0.25, kernels: 0.08 },
};

const variants: readonly (readonly [ConfigOverrides & { readonly model: string }, Record<string, number>])[] = [
  [smallTuto, { QLinearConv: 2, QGemm: 3 }],
  [
    { model: 'squeeze1', 'model.bypass': true, 'model.conv1.filters': 16 },
    { QLinearConv: 14, QLinearAdd: 2, QLinearConcat: 4 },
  ],
  [
    { model: 'inception', inputSize: 24 },
    { QGemm: 1, QLinearConcat: 4 },
  ],
  [{ model: 'xception', inputSize: 24, 'model.stage2.filters': 64, 'model.stage3.filters': 64 }, { QGemm: 1 }],
  [
    { model: 'air94', 'model.group2.filters': 64, 'model.group3.filters': 64 },
    { QLinearConv: 7, QGemm: 1 },
  ],
  [{ model: 'resnet8' }, { QLinearConv: 9, QLinearAdd: 3, QuantizeLinear: 1 }],
  [
    { model: 'resnet8', 'model.activation': 'silu' },
    { QLinearConv: 9, QLinearAdd: 3, QLinearSigmoid: 7, QLinearMul: 7, QuantizeLinear: 1 },
  ],
  [
    { model: 'resnet8', 'model.activation': 'leakyRelu' },
    { QLinearConv: 9, QLinearAdd: 3, QLinearLeakyRelu: 7, QuantizeLinear: 1 },
  ],
  [
    { model: 'mobilenetv2', 'model.widthMultiplier': 0.35 },
    { QLinearConv: 52, QLinearAdd: 11, QuantizeLinear: 1 },
  ],
  // Hard swish and hard sigmoid are float, and so is the product with the factors of squeeze and excitation.
  [
    { model: 'mobilenetv3', 'model.widthMultiplier': 0.5 },
    { QLinearConv: 34, QGemm: 20, HardSigmoid: 28 },
  ],
];

describe('integer arithmetic', () => {
  test.each(variants)('%j is close to float, in kernels for integers', async (keys, kernels) => {
    const float = await frozen(keys);
    const { encode } = await quantize(options(float, { calibrationImages: 32 }));
    const bytes = encode(null);
    const number = variants.findIndex(([each]) => each === keys);
    writeFileSync(join(folder, `${keys.model}-${number}.onnx`), bytes);
    const operators = await optimizedOperators(bytes);
    expect(operators).toMatchObject(kernels);
    expect(operators).not.toHaveProperty('Conv');
    expect(operators).not.toHaveProperty('Gemm');
    const logits = await logitsOf(bytes);
    const allowed = errorsOfDeep[keys.model] ?? usualErrors;
    expect(relativeError(await logitsOf(float), logits)).toBeLessThan(allowed.integers);
    expect(relativeError(await logitsOf(bytes, 'disabled'), logits)).toBeLessThan(allowed.kernels);
  });

  test('is a quarter of the size where there are weights enough', async () => {
    const float = await frozen({ model: 'nin0' });
    const { encode, metadata } = await quantize(options(float));
    expect(metadata.parameters).toBeGreaterThan(100_000);
    expect(encode(null).length / float.length).toBeLessThan(0.32);
  });

  test('the same options give the same bytes, other images do not', async () => {
    const float = await frozen();
    const encode = async (changes: Partial<QuantizeOptions>) => (await quantize(options(float, changes))).encode(null);
    const bytes = await encode({});
    expect(await encode({})).toEqual(bytes);
    // The file also records the seed: its graph alone says what calibrated.
    expect(decodeModel(await encode({ seed: 2 }))!.graph).not.toEqual(decodeModel(bytes)!.graph);
  });

  test('calibrates on training images alone', async () => {
    const float = await frozen();
    const dark: ImageSet = { ...dataset.test, images: new Uint8Array(dataset.test.images.length) };
    const { encode } = await quantize(options(float));
    const other = await quantize(options(float, { dataset: { ...dataset, test: dark } }));
    expect(other.encode(null)).toEqual(encode(null));
  });

  test('with the method min-max the scale of the input is that of the values seen', async () => {
    const float = await frozen();
    const quantization = { scheme: 'int8', calibration: 'min-max' } as const;
    const { encode } = await quantize(options(float, { quantization, calibrationImages: dataset.train.count }));
    const constants = new Map(decodeModel(encode(null))!.graph.initializer.map((tensor) => [tensor.name, tensor]));
    const model = decodeModel(float)!;
    const output = [...model.graph.output, { name: 'preprocess/standardized', type: 'float' } as const];
    const session = await openSession(encodeModel({ ...model, graph: { ...model.graph, output } }), 'the test');
    let [low, high] = [0, 0];
    for (const { batch } of imageBatches(dataset.train, dataset.shape, 100)) {
      for (const value of (await session.read(batch, ['preprocess/standardized'])).get('preprocess/standardized')!) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    await session.dispose();
    const scale = floatsOf(constants.get('preprocess/standardized/scale')!)[0]!;
    expect(scale).toBeCloseTo((high - low) / 255, 6);
    expect(constants.get('preprocess/standardized/zero_point')!.rawData[0]).toBe(Math.round(-low / scale));
  });

  test('each filter has the scale of its largest weight, and biases the unit of the sums', async () => {
    const float = decodeModel(await frozen())!;
    const { encode } = await quantize(options(await frozen()));
    const constants = new Map(decodeModel(encode(null))!.graph.initializer.map((tensor) => [tensor.name, tensor]));
    const weights = floatsOf(float.graph.initializer.find(({ name }) => name === 'conv2.weight')!);
    const scales = floatsOf(constants.get('conv2.weight/scale')!);
    const integers = new Int8Array(constants.get('conv2.weight/integers')!.rawData);
    const length = weights.length / 8;
    expect(scales).toHaveLength(8);
    for (let filter = 0; filter < 8; filter++) {
      const own = weights.subarray(filter * length, (filter + 1) * length);
      const largest = Math.max(...own.map(Math.abs));
      expect(scales[filter]).toBeCloseTo(largest / 64, 7);
      for (let i = 0; i < length; i += 17)
        expect(Math.abs(integers[filter * length + i]! * scales[filter]! - own[i]!)).toBeLessThan(largest / 127);
    }
    const inputScale = floatsOf(constants.get('lrn1/scale')!)[0]!;
    expect(floatsOf(constants.get('conv2.bias/scale')!)[3]).toBeCloseTo(inputScale * scales[3]!, 9);
  });

  test('weights of 7 bits are added up rightly by every processor, however large the sums', async () => {
    const keys = { ...smallTuto, standardization: { type: 'channel', mean: [0, 0, 0], deviation: [1, 1, 1] } };
    const model = decodeModel(await frozen(keys))!;
    const initializer = model.graph.initializer.map((tensor) =>
      tensor.name === 'conv1.weight' ? { ...tensor, rawData: new Uint8Array(floatsOf(tensor).fill(0.01).buffer) } : tensor,
    );
    const bytes = encodeModel({ ...model, graph: { ...model.graph, initializer } });
    const bright = (set: ImageSet): ImageSet => ({ ...set, images: set.images.map((value) => 200 + (value % 56)) });
    const images = { ...dataset, train: bright(dataset.train), test: bright(dataset.test) };
    const { encode } = await quantize(options(bytes, { dataset: images }));
    const white = new Uint8Array(pixels.length).fill(255);
    const logits = await logitsOf(encode(null), 'all', white);
    expect(relativeError(await logitsOf(encode(null), 'disabled', white), logits)).toBeLessThan(0.02);
    expect(relativeError(await logitsOf(bytes, 'all', white), logits)).toBeLessThan(0.1);
  });

  test('layers kept in float are', async () => {
    const float = await frozen();
    const { encode, quantization, layers } = await quantize(options(float, { keepFloat: ['conv1', 'logits'] }));
    expect(quantization.floatLayers).toEqual(['conv1', 'logits']);
    expect(layers).toEqual(['conv2', 'dense1', 'dense2']);
    const kept = decodeModel(encode(null))!.graph.initializer.map(({ name }) => name);
    expect(kept).toContain('conv1.weight');
    expect(kept).not.toContain('conv2.weight');
    expect(await optimizedOperators(encode(null))).toMatchObject({ QLinearConv: 1, QGemm: 2 });
  });

  test('says in its metadata how it was made, and keeps what was there', async () => {
    const float = await frozen();
    const { encode } = await quantize(options(float));
    const accuracy = { value: 0.5, split: 'test', images: 60, dataset: 'synthetic', fingerprint: drawn.fingerprint } as const;
    const { quantization, ...rest } = readFrozenMetadata(encode(accuracy), 'q');
    expect(rest).toEqual({ ...readFrozenMetadata(float, 'f'), quantization: undefined, accuracy });
    expect(quantization).toMatchObject({ scheme: 'int8', weightBits: 7, floatLayers: [], source: { bytes: float.length } });
    expect(quantization!.calibration).toMatchObject({ method: 'mse', images: 64, seed: 1, dataset: 'synthetic' });
  });
});

describe('stored weights', () => {
  test.each<[QuantizationScheme, number, number]>([
    ['int8-weights', 0.3, 0.02],
    ['float16-weights', 0.55, 0.001],
  ])('%s need less room, and compute in float without images', async (scheme, share, error) => {
    const float = await frozen({ model: 'nin0' });
    const { encode } = await quantize(options(float, { quantization: { scheme }, dataset: undefined }));
    const bytes = encode(null);
    writeFileSync(join(folder, `${scheme}.onnx`), bytes);
    expect(bytes.length / float.length).toBeLessThan(share);
    expect(relativeError(await logitsOf(float), await logitsOf(bytes))).toBeLessThan(error);
  });

  test('a weight that float16 cannot hold is refused', async () => {
    const model = decodeModel(await frozen())!;
    const initializer = model.graph.initializer.map((tensor) =>
      tensor.name === 'dense1.weight' ? { ...tensor, rawData: new Uint8Array(floatsOf(tensor).fill(1e5).buffer) } : tensor,
    );
    const bytes = encodeModel({ ...model, graph: { ...model.graph, initializer } });
    await expect(quantize(options(bytes, { quantization: { scheme: 'float16-weights' } }))).rejects.toThrow(
      /a weight of dense1 is larger/,
    );
  });
});

const whyNoChecker = whyNoOnnxChecker();

test.skipIf(whyNoChecker)(skippable('the checker of the onnx package accepts every file', whyNoChecker), () => {
  expect(checkOnnxFiles(folder)).toEqual({ status: 0, stderr: '', files: variants.length + 2 });
});

describe('layers measured on training images', () => {
  /** The data set with the labels that the float file gives: its accuracy is 1, and every change of a label is a drop. */
  async function labelledBy(bytes: Uint8Array): Promise<Dataset> {
    const session = await openSession(bytes, 'the test');
    const relabel = async (set: ImageSet): Promise<ImageSet> => {
      const labels: number[] = [];
      for (const { batch } of imageBatches(set, dataset.shape, 100)) {
        const { logits } = await session.run(batch);
        for (let n = 0; n < batch.count; n++) {
          const own = logits.subarray(n * 10, (n + 1) * 10);
          labels.push(own.indexOf(Math.max(...own)));
        }
      }
      return { ...set, labels: Uint8Array.from(labels) };
    };
    const relabelled = { ...dataset, train: await relabel(dataset.train), test: await relabel(dataset.test) };
    await session.dispose();
    return relabelled;
  }

  const check = (maxDrop?: number) => ({ threads: 1, maxDrop });

  test('each layer alone costs something, and all together', async () => {
    const float = await frozen();
    const labelled = await labelledBy(float);
    const { check: measured, layers } = await quantize(options(float, { dataset: labelled, check: check() }));
    expect(layers).toHaveLength(5);
    expect(measured!.floatAccuracy).toBe(1);
    expect(measured!.images).toBe(336);
    expect(measured!.sensitivities.map(({ layer }) => layer)).toEqual(layers);
    for (const { divergence, dropPoints } of measured!.sensitivities) {
      expect(divergence).toBeGreaterThan(0);
      expect(dropPoints).toBeGreaterThanOrEqual(0);
    }
    const comparison = await compareOnTest({
      float,
      quantized: (await quantize(options(float, { dataset: labelled }))).encode(null),
      metadata: readFrozenMetadata(float, 'f'),
      dataset: labelled,
      threads: 1,
    });
    expect(comparison).toMatchObject({ images: 60, floatAccuracy: 1, accuracy: comparison.agreement });
  });

  test('the layer that costs most is returned to float first, until the drop is within the limit', async () => {
    // An input of which the method sees a part only: the layer behind it computes nonsense.
    const float = await frozen();
    const labelled = await labelledBy(float);
    const quantization = { scheme: 'int8', calibration: 'percentile', percentile: 60 } as const;
    const all = await quantize(options(float, { dataset: labelled, quantization, check: check() }));
    // What the last layer costs alone can always be kept.
    const limit = all.check!.sensitivities.toSorted((a, b) => a.divergence - b.divergence)[0]!.dropPoints;
    expect(all.check!.cost.dropPoints).toBeGreaterThan(limit);
    const limited = await quantize(options(float, { dataset: labelled, quantization, check: check(limit) }));
    const { check: measured, layers } = limited;
    const worstFirst = measured!.sensitivities.toSorted((a, b) => b.divergence - a.divergence).map(({ layer }) => layer);
    const returned = limited.quantization.floatLayers;
    expect(returned.length).toBeGreaterThan(0);
    expect(new Set(returned)).toEqual(new Set(worstFirst.slice(0, returned.length)));
    expect(layers).toHaveLength(5 - returned.length);
    expect(measured!.cost.dropPoints).toBeLessThanOrEqual(limit);
  });

  test('a drop that no layer can keep is an error', async () => {
    const float = await frozen();
    const labelled = await labelledBy(float);
    const quantization = { scheme: 'int8', calibration: 'percentile', percentile: 51 } as const;
    const impossible = quantize(options(float, { dataset: labelled, quantization, check: check(0) }));
    await expect(impossible).rejects.toThrow(/no layer can be quantized within a drop of 0 points on 336 training images/);
  });
});

describe('what is refused', () => {
  const refused = async (changes: Partial<QuantizeOptions>, bytes?: Uint8Array) =>
    quantize(options(bytes ?? (await frozen()), changes));

  test('a file that is quantized already', async () => {
    const { encode } = await quantize(options(await frozen()));
    await expect(refused({}, encode(null))).rejects.toThrow('model.onnx is quantized already (int8)');
  });

  test('files from elsewhere, and ours after another program changed them', async () => {
    const foreign = Uint8Array.of(0x08, 0x07, 0x12, 0x01, 0x78, 0x42, 0x02, 0x10, 0x11);
    await expect(refused({}, foreign)).rejects.toThrow('model.onnx was not written by ablate');
    const float = await frozen();
    // A field that no file of ours has: the domain of the model.
    const changed = Uint8Array.of(...float, 0x22, 0x01, 0x78);
    await expect(refused({}, changed)).rejects.toThrow('model.onnx is damaged, or was changed by another program');
  });

  test('too few images, and more than there are', async () => {
    const calibration = (calibrationImages: number) => ({ calibrationImages });
    await expect(refused(calibration(31))).rejects.toThrow('images (=31) must be at least 32');
    await expect(refused(calibration(401))).rejects.toThrow('images (=401) must be at most 400');
    const check = { threads: 1 };
    await expect(refused({ ...calibration(380), check })).rejects.toThrow('check-images (=20) must be at least 32');
    await expect(refused({ dataset: { ...dataset, classes: ['a', 'b'] } })).rejects.toThrow('tells airplane');
  });
});
