import { expect, test } from 'vitest';
import { referenceEngine } from '../engine/reference/engine.ts';
import { createTransform, plainView } from '../data/transform.ts';
import { DataError } from '../util/errors.ts';
import { activationsOf } from './activations.ts';
import { createClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import { initializeParameters } from './initialize.ts';
import { loadWeights, tensorsOf } from './weights.ts';

const config = resolveConfig({
  model: 'tuto',
  'conv1.filters': 4,
  'conv2.filters': 4,
  'dense1.features': 8,
  'dense2.features': 8,
  batchNorm: true,
  threads: 1,
});
const shape = [3, 32, 32] as const;
const classifier = createClassifier(config, { shape, classes: ['a', 'b', 'c'] });
const image = Uint8Array.from({ length: 3 * 32 * 32 }, (_, i) => (i * 37) % 256);

async function weights(prefix = '') {
  const plan = await referenceEngine.compileInference(classifier.network, { batchSize: 1 });
  await initializeParameters(plan.parameters, 3, config.initializer);
  const raw = await tensorsOf(plan.parameters, plan.parameters.values, '');
  const tensors =
    prefix === ''
      ? raw
      : new Map([
          ...raw,
          ...[...raw].map(
            ([name, { shape: own, data }]) => [prefix + name, { shape: own, data: data.map((v) => 2 * v) }] as const,
          ),
        ]);
  return { tensors, metadata: { model: 'tuto' } };
}

test('what every layer makes of an image ends in what the engine says of it', async () => {
  const file = await weights();
  const { layers, probabilities } = activationsOf(classifier, file, image, 'weights');
  expect(layers.map(({ name }) => name)).toEqual(['input', ...classifier.network.layers.map(({ name }) => name)]);
  for (const { shape: each, values } of layers)
    expect(values).toHaveLength(each.reduce((product, extent) => product * extent, 1));
  const plan = await referenceEngine.compileInference(classifier.network, { batchSize: 1 });
  await loadWeights(plan.parameters, file, { kind: 'raw', model: 'tuto', source: 'weights' });
  createTransform(shape, classifier.preprocessing).evaluation(image, 0, plainView, plan.input, 0);
  plan.forward();
  const output = await plan.output.read();
  layers.at(-1)!.values.forEach((value, i) => expect(value).toBeCloseTo(output[i]!, 5));
  expect(layers[0]!.values.every((value, i) => value === plan.input[i])).toBe(true);
  expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 9);
  expect(layers[0]).toMatchObject({ name: 'input', kind: 'input', shape: [3, 24, 24] });
  const best = probabilities.indexOf(Math.max(...probabilities));
  expect(output.indexOf(Math.max(...output))).toBe(best);
});

test('of enormous logits there are probabilities too', async () => {
  const file = await weights();
  const logits = file.tensors.get('logits.weight')!;
  file.tensors.set('logits.weight', { ...logits, data: logits.data.map((value) => 1e6 * value) });
  const { layers, probabilities } = activationsOf(classifier, file, image, 'weights');
  expect(Math.max(...layers.at(-1)!.values)).toBeGreaterThan(1000);
  expect([...probabilities].sort()).toEqual([0, 0, 1]);
});

test('moving averages are used where there are any', async () => {
  const [raw, average] = [await weights(), await weights('ema.')].map((file) =>
    activationsOf(classifier, file, image, 'weights'),
  );
  expect(average!.layers[1]!.values).not.toEqual(raw!.layers[1]!.values);
});

test('weights of another network are refused', async () => {
  const file = await weights();
  file.tensors.delete('conv1.weight');
  expect(() => activationsOf(classifier, file, image, 'some.safetensors')).toThrow(DataError);
  expect(() => activationsOf(classifier, file, image, 'some.safetensors')).toThrow(
    /some\.safetensors does not fit .*conv1\.weight is missing/,
  );
});
