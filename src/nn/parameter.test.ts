import { expect, test } from 'vitest';
import { NetworkBuilder } from './network.ts';
import {
  describeInitializers,
  initialValues,
  isInitializer,
  ownName,
  type Initializer,
  type ParameterSpec,
} from './parameter.ts';

/** Weights `[250, 16, 5, 5]`: fans of 400 and 6,250 (the kernel's area counts). */
function weights(initializer: Initializer): ParameterSpec {
  const b = new NetworkBuilder('net', [16, 8, 8]);
  const network = b.build(b.conv('conv1', b.input, { kernel: 5, filters: 250, initializer }));
  return network.parameters[0]!;
}

const fanIn = 400;
const fanOut = 6250;

function momentsOf(values: Float32Array): { mean: number; deviation: number; largest: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance), largest: values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) };
}

/** Standard deviation of a standard normal cut off at two deviations. */
const truncatedDeviation = 0.87962566;

const xavierDeviation = Math.sqrt((1.3 * 2) / (fanIn + fanOut));
const xavierBound = Math.sqrt(6 / (fanIn + fanOut));

test.each([
  { initializer: { type: 'xavierTruncatedNormal' }, deviation: truncatedDeviation * xavierDeviation, bound: 2 * xavierDeviation },
  { initializer: { type: 'truncatedNormal', standardDeviation: 0.1 }, deviation: 0.1 * truncatedDeviation, bound: 0.2 },
  { initializer: { type: 'xavierUniform' }, deviation: xavierBound / Math.sqrt(3), bound: xavierBound },
  { initializer: { type: 'uniformFanIn' }, deviation: 1 / Math.sqrt(3 * fanIn), bound: 1 / Math.sqrt(fanIn) },
] as { initializer: Initializer; deviation: number; bound: number }[])(
  '$initializer.type has its standard deviation and stays within its bound, which it uses',
  ({ initializer, deviation, bound }) => {
    const spec = weights(initializer);
    expect([spec.fanIn, spec.fanOut]).toEqual([fanIn, fanOut]);
    const moments = momentsOf(initialValues(spec, 1));
    expect(Math.abs(moments.mean)).toBeLessThan(0.02 * deviation);
    expect(Math.abs(moments.deviation / deviation - 1)).toBeLessThan(0.01);
    expect(moments.largest).toBeLessThanOrEqual(bound * (1 + 1e-6));
    expect(moments.largest).toBeGreaterThan(0.99 * bound);
  },
);

test('heNormal has standard deviation sqrt(2 / fanIn) and normal tails', () => {
  const values = initialValues(weights({ type: 'heNormal' }), 1);
  const deviation = Math.sqrt(2 / fanIn);
  const beyond = (limit: number) => values.filter((value) => Math.abs(value) > limit * deviation).length / values.length;
  expect(Math.abs(momentsOf(values).deviation / deviation - 1)).toBeLessThan(0.01);
  expect(beyond(1)).toBeCloseTo(0.3173, 2);
  expect(beyond(2)).toBeCloseTo(0.0455, 2);
  expect(beyond(3)).toBeGreaterThan(0.001);
});

test('constant', () => {
  expect(initialValues({ ...weights({ type: 'constant', value: 0.5 }), shape: [3] }, 1)).toEqual(new Float32Array(3).fill(0.5));
});

test('dirac passes the input channels through the first filters; the others are random', () => {
  const b = new NetworkBuilder('net', [3, 7, 5]);
  const spec = b.build(b.conv('conv1', b.input, { kernel: 3, filters: 5, initializer: { type: 'dirac' } })).parameters[0]!;
  const values = initialValues(spec, 1);
  for (let filter = 0; filter < 3; filter++) {
    const expected = new Float32Array(27);
    expected[filter * 9 + 4] = 1;
    expect(values.slice(filter * 27, (filter + 1) * 27)).toEqual(expected);
  }
  expect(values.slice(81).every((value) => value !== 0 && Math.abs(value) <= 1 / Math.sqrt(27))).toBe(true);
});

test('values are a function of the seed and the name alone', () => {
  const spec = weights({ type: 'heNormal' });
  expect(initialValues(spec, 7)).toEqual(initialValues(spec, 7));
  expect(initialValues(spec, 7)).not.toEqual(initialValues(spec, 8));
  expect(initialValues(spec, 7)).not.toEqual(initialValues({ ...spec, name: 'conv2.weight' }, 7));
  expect(initialValues({ ...spec, shape: [10] }, 7)).toEqual(initialValues(spec, 7).slice(0, 10));
});

test('an initializer given to initialValues replaces the own one of the parameter', () => {
  const spec = weights({ type: 'heNormal' });
  expect(initialValues(spec, 1, { type: 'xavierUniform' })).toEqual(initialValues(weights({ type: 'xavierUniform' }), 1));
});

test('initializers as messages describe them; whitening and dirac are none of biases', () => {
  const [first, rest, last] = [
    "{ type: 'constant', value }, { type: 'xavierTruncatedNormal' }, { type: 'heNormal' }, { type: 'xavierUniform' }, { type: 'uniformFanIn' }",
    "{ type: 'dirac' }, { type: 'whitening', examples, epsilon }",
    "{ type: 'truncatedNormal', standardDeviation }",
  ];
  expect(describeInitializers()).toBe(`one of ${first}, ${rest}, ${last}`);
  expect(describeInitializers('forBiases')).toBe(`one of ${first}, ${last}`);
});

test.each<[unknown, boolean]>([
  [{ type: 'heNormal' }, true],
  [{ type: 'constant', value: -0.5 }, true],
  [{ type: 'constant', value: NaN }, false],
  [{ type: 'constant' }, false],
  [{ type: 'constant', value: 1, examples: 2 }, false],
  [{ type: 'constant', worth: 1 }, false],
  [{ type: 'heNormal', value: 1 }, false],
  [{ type: 'toString' }, false],
  [{ type: ['heNormal'] }, false],
  [{}, false],
  [null, false],
  [undefined, false],
  ['heNormal', false],
])('%j: an initializer? %s', (value, is) => {
  expect(isInitializer(value)).toBe(is);
});

test('the name of a parameter within its layer', () => {
  expect(ownName({ name: 'conv1.bias', layer: 'conv1' } as ParameterSpec)).toBe('bias');
  expect(ownName({ name: 'a/b.running.mean', layer: 'a/b' } as ParameterSpec)).toBe('running.mean');
});
