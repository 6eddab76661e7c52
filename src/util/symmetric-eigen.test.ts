import { expect, test } from 'vitest';
import { normal, streamKey } from './random.ts';
import { symmetricEigen } from './symmetric-eigen.ts';

test('a matrix with known eigenvalues: 3 and 1 along the diagonals', () => {
  const { values, vectors } = symmetricEigen(Float64Array.of(2, 1, 1, 2), 2);
  expect([...values]).toEqual([expect.closeTo(3, 14), expect.closeTo(1, 14)]);
  const half = Math.SQRT1_2;
  expect([...vectors[0]!]).toEqual([expect.closeTo(half, 14), expect.closeTo(half, 14)]);
  expect(Math.abs(vectors[1]![0]!)).toBeCloseTo(half, 14);
  expect(vectors[1]![0]).toBeCloseTo(-vectors[1]![1]!, 14);
});

test('a diagonal matrix is sorted; zero and one by one are their own', () => {
  const { values, vectors } = symmetricEigen(Float64Array.of(1, 0, 0, 0, 5, 0, 0, 0, -2), 3);
  expect([...values]).toEqual([5, 1, -2]);
  expect(vectors.map((vector) => [...vector])).toEqual([
    [0, 1, 0],
    [1, 0, 0],
    [0, 0, 1],
  ]);
  expect([...symmetricEigen(new Float64Array(4), 2).values]).toEqual([0, 0]);
  expect([...symmetricEigen(Float64Array.of(-7), 1).values]).toEqual([-7]);
});

test.each([2, 5, 12, 27])('random %i x %i: A v = lambda v, orthonormal, descending, oriented', (size) => {
  const key = streamKey(1, 'matrix', size);
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = i; j < size; j++) matrix[i * size + j] = matrix[j * size + i] = normal(key, i * size + j);
  }
  const { values, vectors } = symmetricEigen(matrix, size);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  vectors.forEach((vector, i) => {
    for (let row = 0; row < size; row++) {
      expect(dot(matrix.subarray(row * size, (row + 1) * size), vector)).toBeCloseTo(values[i]! * vector[row]!, 11);
    }
    vectors.forEach((other, j) => expect(dot(vector, other)).toBeCloseTo(i === j ? 1 : 0, 12));
    if (i > 0) expect(values[i]!).toBeLessThanOrEqual(values[i - 1]!);
    expect([...vector].sort((a, b) => Math.abs(b) - Math.abs(a))[0]).toBeGreaterThan(0);
  });
});

test('what is no such matrix is refused', () => {
  expect(() => symmetricEigen(new Float64Array(5), 2)).toThrow('a symmetric 2x2 matrix must have 4 finite elements');
  expect(() => symmetricEigen(Float64Array.of(1, NaN, 0, 1), 2)).toThrow(RangeError);
});
