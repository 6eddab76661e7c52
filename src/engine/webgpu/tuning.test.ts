import { describe, expect, test } from 'vitest';
import { chooseSplits, chooseTile, gpuTuning } from './tuning.ts';

const one = { groups: 1, depth: 576 };

describe('the tile of a product', () => {
  test('is as wide as the columns need', () => {
    const columns = (count: number) => chooseTile(gpuTuning, { ...one, rows: 100_000, columns: count }).columns;
    expect([1, 10, 16, 17, 32, 33, 64, 200].map(columns)).toEqual([16, 16, 16, 32, 32, 64, 64, 64]);
  });

  test('is large where that leaves enough workgroups', () => {
    const rows = (count: number) => chooseTile(gpuTuning, { ...one, rows: count, columns: 64 }).rows;
    expect(rows(128 * 256)).toBe(128);
    expect(rows(128 * 255)).toBe(64);
  });
});

describe('a sum is split', () => {
  const tile = gpuTuning.tiles[1]!;

  test('over as many workgroups as keep the device busy', () => {
    expect(chooseSplits(gpuTuning, tile, { rows: 576, columns: 64, depth: 73_728, groups: 1 })).toBe(56);
    expect(chooseSplits(gpuTuning, tile, { rows: 576, columns: 64, depth: 73_728, groups: 8 })).toBe(7);
  });

  test('only where each part is worth it', () => {
    expect(chooseSplits(gpuTuning, tile, { rows: 64, columns: 10, depth: 300, groups: 1 })).toBe(2);
    expect(chooseSplits(gpuTuning, tile, { rows: 64, columns: 10, depth: 100, groups: 1 })).toBe(1);
    expect(chooseSplits(gpuTuning, tile, { rows: 64 * 512, columns: 64, depth: 5000, groups: 1 })).toBe(1);
  });
});
