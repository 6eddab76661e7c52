import type { DeviceArray, ProductShape } from './engine.ts';

/** @throws Error where an array has another number of elements than the product's shape says: native code would read past its end */
export function requireMatrices(a: DeviceArray, b: DeviceArray, c: DeviceArray, { rows, inner, columns }: ProductShape): void {
  const expected = [rows * inner, inner * columns, rows * columns];
  const lengths = [a, b, c].map(({ length }) => length);
  if (lengths.some((length, i) => length !== expected[i])) {
    throw new Error(`matrices of ${lengths.join(', ')} elements must have ${expected.join(', ')}`);
  }
}
