import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { defineLayer, type CustomLayer } from './custom.ts';
import { NetworkBuilder } from './network.ts';

const functions = { forward: () => undefined, backward: () => undefined };

test.each(['a', 'Swish-2_b'])('%s is a name for a custom layer', (name) => {
  const layer = { name, ...functions };
  expect(defineLayer(layer)).toBe(layer);
});

test.each<[unknown, string]>([
  ['', '""'],
  ['2swish', '"2swish"'],
  ['_swish', '"_swish"'],
  ['swish!', '"swish!"'],
  [['swish'], '["swish"]'],
  [undefined, 'undefined'],
])('%j is none', (name, shown) => {
  const define = () => defineLayer({ name, ...functions } as CustomLayer);
  expect(define).toThrow(ConfigurationError);
  expect(define).toThrow(
    `the name of a custom layer (=${shown}) must start with a letter, and have only letters, digits, "_" and "-"`,
  );
});

test.each(['forward', 'backward'] as const)('a custom layer has a function %s', (missing) => {
  expect(() => defineLayer({ name: 'half', ...functions, [missing]: undefined })).toThrow(`${missing}(pass)`);
});

function withLayer(layer: Partial<CustomLayer>, options?: Record<string, unknown>) {
  const b = new NetworkBuilder('net', [3, 4, 4]);
  const x = b.custom('own', b.input, defineLayer({ name: 'half', ...functions, ...layer }), options as never);
  return b.build(b.globalAvgPool('pool', x)).layers[0]!;
}

test('a layer that says nothing has the shape of its input, no parameters and no operations', () => {
  const layer = withLayer({});
  expect(layer).toMatchObject({ outputShape: [3, 4, 4], parameters: [], operations: 0, multiplyAdds: 0 });
  expect(layer.attributes).toEqual({ type: 'half', options: {} });
});

test('a parameter in full, of five dimensions', () => {
  const { parameters } = withLayer({
    parameters: () => [
      { name: 'kernel_1', shape: [6, 5, 2, 3, 4], initial: { type: 'heNormal' }, decay: true },
      { name: 'gain', shape: [7], initial: -1 },
    ],
  });
  expect(parameters).toEqual([
    {
      ...{ name: 'own.kernel_1', layer: 'own', role: 'weight', kind: 'trainable', shape: [6, 5, 2, 3, 4] },
      ...{ fanIn: 5 * 24, fanOut: 6 * 24, initializer: { type: 'heNormal' }, regularized: false },
    },
    {
      ...{ name: 'own.gain', layer: 'own', role: 'scale', kind: 'trainable', shape: [7] },
      ...{ fanIn: 1, fanOut: 7, initializer: { type: 'constant', value: -1 }, regularized: false },
    },
  ]);
});

const parameter = { name: 'gain', shape: [2], initial: 1 };

test.each<[string, Record<string, unknown>, string]>([
  ['a name with a sign', { name: 'a-b' }, 'name of a parameter (=a-b) must be letters, digits and "_" for layer "own"'],
  ['a name that begins with a digit', { name: '1a' }, 'name of a parameter (=1a) must be letters'],
  ['a name that is no text', { name: ['a'] }, 'name of a parameter (='],
  ['no shape', { shape: [] }, 'shape of gain (=[]) must be a list of positive integers for layer "own"'],
  ['a shape that is none', { shape: 3 }, 'shape of gain (=3) must be a list of positive integers'],
  ['a shape of nothing', { shape: [2, 0] }, 'shape of gain (=0) must be a positive integer'],
  ['six dimensions', { shape: [1, 1, 1, 1, 1, 1] }, 'shape of gain (=1x1x1x1x1x1) must be of at most five dimensions'],
  ['an infinite beginning', { initial: Infinity }, 'initial value of gain (=Infinity) must be a number, or one of { type: '],
  ['an initializer that there is not', { initial: { type: 'ones' } }, 'must be a number, or one of { type: '],
])('parameters with %s are refused', (_, change, message) => {
  expect(() => withLayer({ parameters: () => [{ ...parameter, ...change }] as never })).toThrow(message);
});

test('two parameters of one name are refused', () => {
  expect(() => withLayer({ parameters: () => [parameter, parameter] })).toThrow('must be of different names');
});

test.each([-1, 1.5, NaN])('%d operations are refused', (operations) => {
  expect(() => withLayer({ operations: () => operations })).toThrow(
    `operations (=${operations}) must be a number of operations for one example for layer "own"`,
  );
});

test('what a function throws is said with the layer, and kept as the cause', () => {
  for (const what of ['outputShape', 'parameters', 'operations'] as const) {
    const cause = new Error('no such luck');
    const build = () =>
      withLayer({
        [what]: () => {
          throw cause;
        },
      });
    expect(build).toThrow(`layer "own": ${what} of the custom layer "half" threw no such luck`);
    expect(build).toThrow(expect.objectContaining({ cause }) as Error);
  }
});

test('options that JSON keeps are kept', () => {
  const options = { text: 'a', yes: true, nothing: null, number: 0.5, list: [1, 'b', [false]], inner: { deep: [null] } };
  expect(withLayer({}, options).attributes).toEqual({ type: 'half', options });
});

test.each<[string, unknown]>([
  ['an infinite number', Infinity],
  ['a function', () => 1],
  ['undefined in a list', ['a', undefined]],
  ['a date', new Date(0)],
  ['a map within', { inner: new Map() }],
  ['a symbol within', { inner: [Symbol('a')] }],
])('options with %s are refused', (_, value) => {
  expect(() => withLayer({}, { value })).toThrow(
    'must be plain data: text, finite numbers, true, false, null, lists and objects of these for layer "own"',
  );
});
