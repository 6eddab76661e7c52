import { expect, test } from 'vitest';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { asksForQuantization, isQuantized, quantizationOf, withoutQuantization } from './quantization.ts';

const int8 = { scheme: 'int8', calibration: 'mse', weightBits: 7 };

test.each<[ConfigOverrides[], object]>([
  [[{}], { scheme: 'none' }],
  [[{ quantization: 'int8' }], int8],
  [[{ quantization: 'int8' }, { quantization: false }], { scheme: 'none' }],
  [[{ quantization: { scheme: 'int8', calibration: 'min-max' } }], { ...int8, calibration: 'min-max' }],
  [[{ 'quantization.calibration': 'min-max', quantization: 'int8' }], { ...int8, calibration: 'min-max' }],
  [[{ quantization: 'int8', 'quantization.weightBits': 8 }, { quantization: 'int8' }], { ...int8, weightBits: 8 }],
  [[{ quantization: 'int8', 'quantization.weightBits': 8 }, { quantization: 'float16-weights' }], { scheme: 'float16-weights' }],
  [
    [{ quantization: 'int8', 'quantization.weightBits': 8 }, { quantization: false }, { quantization: 'int8' }],
    { ...int8, weightBits: 8 },
  ],
  [
    [{ quantization: 'int8' }, { 'quantization.calibration': 'percentile', 'quantization.percentile': 99.9 }],
    { ...int8, calibration: 'percentile', percentile: 99.9 },
  ],
])('%j means %j', (layers, expected) => {
  expect(quantizationOf(layers)).toEqual(expected);
});

test.each<[ConfigOverrides, string]>([
  [{ quantization: 'int4' }, 'quantization.scheme (=int4) must be one of none, int8, int8-weights, float16-weights'],
  [{ quantization: 3 }, 'quantization (=3) must be one of none, int8, int8-weights, float16-weights'],
  [{ quantization: 'int8', 'quantization.calibration': 'max' }, 'quantization.calibration (=max) must be one of min-max, percen'],
  [{ quantization: 'int8', 'quantization.weightBits': 4 }, 'quantization.weightBits (=4) must be one of 7, 8'],
  [
    { quantization: { scheme: 'int8', calibration: 'percentile', percentile: 5 } },
    'quantization.percentile (=5) must be a number in (50, 100]',
  ],
  [
    { quantization: 'int8', 'quantization.percentile': 99 },
    'quantization.percentile (=99) must be left out: it is for the calibration percentile',
  ],
  [
    { quantization: 'int8', 'quantization.calibraton': 'mse' },
    'there is no key "calibraton" in quantization of scheme "int8". Did you mean "calibration"? Allowed: scheme, calibration,',
  ],
  [{ 'quantization.calibration': 'mse' }, 'there is no key "calibration" in quantization of scheme "none". Allowed: scheme'],
])('%j is refused', (layer, message) => {
  expect(() => quantizationOf([layer])).toThrow(message);
});

test('its keys are told from those of the configuration', () => {
  const layer = { learningRate: 1, quantization: 'int8', 'quantization.weightBits': 8 };
  expect(withoutQuantization(layer)).toEqual({ learningRate: 1 });
  expect([layer, { 'quantization.weightBits': 8 }, { learningRate: 1 }].map(asksForQuantization)).toEqual([true, true, false]);
});

test('a file in float32 is not quantized', () => {
  expect([undefined, { scheme: 'none' } as const, quantizationOf([{ quantization: 'int8' }])].map(isQuantized)).toEqual([
    ...[false, false, true],
  ]);
});

test('a key of a key that there is not is told with its whole name', () => {
  expect(() => quantizationOf([{ quantization: 'int8', 'quantization.a.b': 1 }])).toThrow(
    'there is no key "a.b" in quantization',
  );
});
