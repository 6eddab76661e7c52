import { buildModel } from '../src/models/registry.ts';
import { initialValues } from '../src/nn/parameter.ts';
import { resolveConfig } from '../src/train/config.ts';

/** Few channels in each fire, since the reference engine is slow. */
export const smallFires = Object.fromEntries(
  [1, 2, 3, 4].flatMap((fire) => [
    [`fire${fire}.squeeze`, 8],
    [`fire${fire}.expand1x1`, 8],
    [`fire${fire}.expand3x3`, 8],
  ]),
);

const config = resolveConfig({
  model: 'squeeze0',
  'conv1.filters': 8,
  ...smallFires,
  inputSize: 12,
  batchSize: 8,
  dataset: 'noise',
  threads: 1,
});

/** For the four classes of `noiseDataset(12, ...)`. */
export const network = buildModel('squeeze0', { settings: config.modelSettings, input: [3, 12, 12], classes: 4 });

/** A small network with its first weights, as if read from a file of weights alone. */
export const untrained = {
  path: 'squeeze0.safetensors',
  file: {
    tensors: new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }])),
    metadata: {},
  },
  config,
  step: undefined,
  classifier: undefined,
};

/** The same as a file of pruned weights: every other one is zero, and no mask says so. */
export const sparse = {
  ...untrained,
  file: {
    tensors: new Map(
      network.parameters.map(({ name, role }) => {
        const { shape, data } = untrained.file.tensors.get(name)!;
        return [name, { shape, data: role === 'weight' ? data.map((value, i) => (i % 2 === 0 ? 0 : value)) : data }];
      }),
    ),
    metadata: {},
  },
};
