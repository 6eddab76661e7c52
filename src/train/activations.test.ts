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
  threads: 1,
});
const shape = [3, 32, 32] as const;
const classifier = createClassifier(config, { shape, classes: ['a', 'b', 'c'] });
const image = Uint8Array.from({ length: 3 * 32 * 32 }, (_, i) => (i * 37) % 256);

function weights(prefix = '') {
  const plan = referenceEngine.compileInference(classifier.network, { batchSize: 1 });
  initializeParameters(plan.parameters, 3, config.initializer);
  const raw = tensorsOf(plan.parameters, plan.parameters.values, '');
  const tensors =
    prefix === ''
      ? raw
      : new Map([
          ...raw,
          ...tensorsOf(
            plan.parameters,
            plan.parameters.values.map((v) => 2 * v),
            prefix,
          ),
        ]);
  return { tensors, metadata: { model: 'tuto' } };
}

test('what every layer makes of an image ends in what the engine says of it', () => {
  const file = weights();
  const { layers, probabilities } = activationsOf(classifier, file, image, 'weights');
  expect(layers.map(({ name }) => name)).toEqual(['input', ...classifier.network.layers.map(({ name }) => name)]);
  for (const { shape: each, values } of layers)
    expect(values).toHaveLength(each.reduce((product, extent) => product * extent, 1));
  const plan = referenceEngine.compileInference(classifier.network, { batchSize: 1 });
  loadWeights(plan.parameters, file, { kind: 'raw', model: 'tuto', source: 'weights' });
  createTransform(shape, classifier.preprocessing).evaluation(image, 0, plainView, plan.input, 0);
  plan.forward();
  layers.at(-1)!.values.forEach((value, i) => expect(value).toBeCloseTo(plan.output[i]!, 5));
  expect(layers[0]!.values.every((value, i) => value === plan.input[i])).toBe(true);
  expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 9);
  const best = probabilities.indexOf(Math.max(...probabilities));
  expect(plan.output.indexOf(Math.max(...plan.output))).toBe(best);
});

test('moving averages are used where there are any', () => {
  const [raw, average] = [weights(), weights('ema.')].map((file) => activationsOf(classifier, file, image, 'weights'));
  expect(average!.layers[1]!.values).not.toEqual(raw!.layers[1]!.values);
});

test('weights of another network are refused', () => {
  const file = weights();
  file.tensors.delete('conv1.weight');
  expect(() => activationsOf(classifier, file, image, 'some.safetensors')).toThrow(DataError);
  expect(() => activationsOf(classifier, file, image, 'some.safetensors')).toThrow(
    /some\.safetensors does not fit .*conv1\.weight is missing/,
  );
});
