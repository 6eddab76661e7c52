import { expect, test } from 'vitest';
import type { Window2d } from '../../nn/shape.ts';
import { isDense, isDepthwise } from './graph.ts';

const whole: Window2d = { kernel: [3, 2], stride: [1, 1], padding: [0, 0, 0, 0], input: [3, 2], output: [1, 1] };

const shape = (groups: number, weights: number, filters: number, window: Partial<Window2d> = {}) => ({
  groups,
  weights: { length: weights },
  bias: { length: filters },
  window: { ...whole, ...window },
});

test.each([
  ['a filter for each channel', shape(4, 4 * 6, 4), true],
  ['two filters for each channel', shape(4, 8 * 6, 8), true],
  ['groups of two channels', shape(2, 4 * 2 * 6, 4), false],
  ['one channel', shape(1, 4 * 6, 4), false],
])('whether a convolution is depthwise: %s', (_, conv, expected) => {
  expect(isDepthwise(conv)).toBe(expected);
});

test.each([
  ['a window as large as the image', {}, true],
  ['a lower window', { kernel: [2, 2] }, false],
  ['a narrower window', { kernel: [3, 1] }, false],
  ['a row above', { padding: [1, 0, 0, 0] }, false],
  ['a column to the left', { padding: [0, 1, 0, 0] }, false],
  ['several rows', { output: [2, 1] }, false],
  ['several columns', { output: [1, 2] }, false],
  ['several pixels', { output: [2, 2] }, false],
] satisfies [string, Partial<Window2d>, boolean][])('whether it is a dense layer: %s', (_, window, expected) => {
  expect(isDense(shape(1, 4 * 5 * 6, 4, window))).toBe(expected);
  expect(isDense(shape(2, 4 * 5 * 6, 4, window))).toBe(false);
});
