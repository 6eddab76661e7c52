import { expect, test } from 'vitest';
import { formatShape, resolveWindow, sameShape, sizeOf, type Padding } from './shape.ts';

const resolve = (input: [number, number], kernel: [number, number], stride: [number, number], padding: Padding) => {
  const window = resolveWindow(input, kernel, stride, padding);
  return window && { padding: window.padding, output: window.output };
};

// Sizes and padding of TensorFlow's SAME: the odd pixel goes to the bottom and right.
test.each([
  { input: 24, kernel: 5, stride: 1, before: 2, after: 2, output: 24 },
  { input: 24, kernel: 3, stride: 2, before: 0, after: 1, output: 12 },
  { input: 7, kernel: 3, stride: 2, before: 1, after: 1, output: 4 },
  { input: 24, kernel: 2, stride: 2, before: 0, after: 0, output: 12 },
  { input: 7, kernel: 2, stride: 2, before: 0, after: 1, output: 4 },
  { input: 6, kernel: 4, stride: 1, before: 1, after: 2, output: 6 },
  { input: 8, kernel: 1, stride: 2, before: 0, after: 0, output: 4 },
  { input: 1, kernel: 5, stride: 1, before: 2, after: 2, output: 1 },
  { input: 13, kernel: 5, stride: 3, before: 2, after: 2, output: 5 },
])('SAME: $kernel wide, stride $stride, over $input', ({ input, kernel, stride, before, after, output }) => {
  expect(resolve([input, input], [kernel, kernel], [stride, stride], 'same')).toEqual({
    padding: [before, before, after, after],
    output: [output, output],
  });
});

test('VALID pads nothing and leaves out what does not fill a window', () => {
  expect(resolve([7, 6], [3, 3], [2, 2], 'valid')).toEqual({ padding: [0, 0, 0, 0], output: [3, 2] });
});

test('explicit padding is top, left, bottom, right', () => {
  expect(resolve([6, 7], [3, 3], [1, 1], [0, 1, 2, 0])).toEqual({ padding: [0, 1, 2, 0], output: [6, 6] });
});

test('each axis has its own kernel and stride', () => {
  expect(resolve([9, 6], [5, 3], [2, 1], 'same')).toEqual({ padding: [2, 1, 2, 1], output: [5, 6] });
});

test('there is no window where the kernel is larger than the padded input', () => {
  expect(resolve([4, 9], [5, 5], [1, 1], 'valid')).toBeUndefined();
  expect(resolve([4, 9], [5, 5], [1, 1], [1, 0, 0, 0])).toBeDefined();
});

test('shapes', () => {
  expect(sizeOf([3, 4, 5])).toBe(60);
  expect(formatShape([64, 12, 12])).toBe('64x12x12');
  expect([sameShape([1, 2], [1, 2]), sameShape([1, 2], [2, 1]), sameShape([1], [1, 1])]).toEqual([true, false, false]);
});
