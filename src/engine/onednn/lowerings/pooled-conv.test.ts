import { expect, test } from 'vitest';
import { imagesPerPart } from './pooled-conv.ts';

const megabyte = 1024 * 1024;

test('a tensor that caches can hold is not cut', () => {
  expect(imagesPerPart(128, megabyte / 16, 4, 2)).toBe(128);
});

test('parts of a larger one are half of that or smaller, and more threads take more at once', () => {
  expect(imagesPerPart(128, megabyte / 8, 4, 1)).toBe(16);
  expect(imagesPerPart(128, megabyte / 8, 4, 2)).toBe(32);
  expect(imagesPerPart(128, megabyte / 8, 4, 8)).toBe(128);
});

test('parts are equal and begin at cache lines, and there are at most 16', () => {
  // A third of 96 images is two cache lines of float32, but only one of bf16.
  expect(imagesPerPart(96, megabyte / 4, 4, 2)).toBe(16);
  expect(imagesPerPart(96, megabyte / 4, 2, 2)).toBe(32);
  expect(imagesPerPart(100, megabyte, 4, 1)).toBe(100);
  expect(imagesPerPart(1024, megabyte, 4, 1)).toBe(64);
});
