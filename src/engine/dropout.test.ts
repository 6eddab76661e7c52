import { expect, test } from 'vitest';
import { fillDropoutMask } from './dropout.ts';

function mask(
  length: number,
  rate: number,
  options: { seed?: number; step?: number; layer?: string; firstExample?: number } = {},
) {
  const { seed = 1, step = 0, layer = 'drop', firstExample = 0 } = options;
  const values = new Float32Array(length);
  fillDropoutMask(values, layer, rate, { seed, step, firstElement: 15 * firstExample });
  return values;
}

const isKept = (value: number) => value !== 0;

/** Share of elements on which two masks agree. */
function agreement(a: Float32Array, b: Float32Array): number {
  return a.filter((value, i) => isKept(value) === isKept(b[i]!)).length / a.length;
}

test.each([0, 0.1, 0.5, 0.9])('at rate %d that share of the elements is dropped and the mean stays one', (rate) => {
  const values = mask(200_000, rate);
  const dropped = values.filter((value) => value === 0).length / values.length;
  expect(Math.abs(dropped - rate)).toBeLessThan(0.004);
  for (const value of new Set(values)) expect([0, Math.fround(1 / (1 - rate))]).toContain(value);
});

test('a mask is a function of seed, step, layer and element', () => {
  const base = mask(30_000, 0.5);
  expect(mask(30_000, 0.5)).toEqual(base);
  for (const other of [{ seed: 2 }, { step: 1 }, { layer: 'drop2' }]) {
    expect(Math.abs(agreement(mask(30_000, 0.5, other), base) - 0.5)).toBeLessThan(0.015);
  }
});

test('neighbours are independent of each other', () => {
  const values = mask(100_000, 0.5);
  for (const distance of [1, 2, 3, 15, 16]) {
    expect(Math.abs(agreement(values.subarray(distance), values.subarray(0, -distance)) - 0.5)).toBeLessThan(0.01);
  }
});

test('the part of a batch that a process holds gets its part of the mask, whatever the parity of its first element', () => {
  const whole = mask(15 * 8, 0.3);
  for (const firstExample of [0, 1, 2, 5]) {
    for (const examples of [1, 2, 3]) {
      const part = mask(15 * examples, 0.3, { firstExample });
      expect(part).toEqual(whole.slice(15 * firstExample, 15 * (firstExample + examples)));
    }
  }
  expect(mask(0, 0.3, { firstExample: 1 })).toEqual(new Float32Array(0));
});
