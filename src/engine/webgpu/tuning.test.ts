import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { gpuChoices, measureTuning } from './measure-tuning.ts';
import { keptTuning } from './tuning-cache.ts';
import {
  chooseSplits,
  chooseTile,
  gpuTuning,
  parseTuning,
  softwareTuning,
  tuningText,
  type Tile,
  type Tuning,
} from './tuning.ts';

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

describe('tiles are chosen by what they take', () => {
  const tiles: readonly Tile[] = [
    { rows: 128, columns: 64, depth: 16, threadRows: 8, threadColumns: 8 },
    { rows: 64, columns: 64, depth: 16, threadRows: 4, threadColumns: 4 },
    { rows: 64, columns: 32, depth: 16, threadRows: 4, threadColumns: 4 },
    { rows: 128, columns: 128, depth: 8, threadRows: 8, threadColumns: 8 },
  ];
  const choices = { ...gpuChoices, tiles, columns: [32, 64, 128], workgroups: [128, 256, 512] };
  /** With the milliseconds of each tile for many rows and for few, and of long sums by the number of their parts. */
  const choose = (times: readonly (readonly [many: number, few: number])[], sums: Readonly<Record<number, number>>) =>
    measureTuning(gpuTuning, choices, (tile, splits, { depth, rows }) => {
      const [many, few] = times[tiles.indexOf(tile)]!;
      return Promise.resolve(depth === choices.longDepth ? sums[splits]! : rows === choices.rows.many ? many : few);
    });

  test('one for many rows and one for few, of each width that is faster than the narrower ones', async () => {
    // 128 columns are best made of tiles of 64. A long sum has 9 tiles of 64 by 64.
    const times = [[1, 3] as const, [2, 1] as const, [4, 4] as const, [1.5, 1] as const];
    const tuning = await choose(times, { 14: 1, 28: 0.96, 56: 0.9 });
    expect(tuning).toEqual({ ...gpuTuning, tiles: tiles.slice(0, 3), workgroups: 512 });
  });

  test('one alone where it is the best for both', async () => {
    // 18 tiles of 64 by 32.
    const times = [[1, 1] as const, [2, 2] as const, [0.5, 1] as const, [0.1, 1] as const];
    const tuning = await choose(times, { 7: 1, 14: 0.9, 28: 0.89 });
    expect(tuning).toEqual({ ...gpuTuning, tiles: [tiles[3], tiles[2]], workgroups: 256 });
  });
});

describe('the text of a tuning', () => {
  test('says what is measured, and no more', () => {
    const text = 'tiles 128x64x16/8x8 64x64x16/8x4 64x32x16/4x4 64x16x16/4x4; 512 workgroups';
    expect(tuningText(gpuTuning)).toBe(text);
    expect(parseTuning(text, gpuTuning)).toEqual(gpuTuning);
    expect(parseTuning(text, softwareTuning)).toEqual({ ...softwareTuning, tiles: gpuTuning.tiles, workgroups: 512 });
  });

  test('every tile that is chosen from can be read back', () => {
    const tuning = { ...gpuTuning, tiles: gpuChoices.tiles };
    expect(parseTuning(tuningText(tuning), gpuTuning)).toEqual(tuning);
  });

  test.each([
    ['', 'nothing'],
    ['tiles ; 512 workgroups', 'no tiles'],
    ['tiles 64x64x16/4x4; 0 workgroups', 'no workgroups'],
    ['tiles 64x64x16/3x4; 512 workgroups', 'threads that do not divide a tile by four'],
    ['tiles 64x64x16/4x12; 512 workgroups', 'threads that do not divide a tile'],
    ['tiles 128x128x16/4x4; 512 workgroups', 'more threads than there may be'],
    ['tiles 128x128x20/8x8; 512 workgroups', 'more memory than there may be'],
    ['tiles 32x256x8/32x8; 512 workgroups', 'fewer threads than there are fours of columns'],
    ['tiles 64x64x16/4x4 ; 512 workgroups', 'a space too many'],
  ])('"%s" is none: %s', (text) => {
    expect(parseTuning(text, gpuTuning)).toBeUndefined();
  });
});

describe('what was measured of a card is kept', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-tuning-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const measured: Tuning = { ...gpuTuning, workgroups: 1024 };
  const options = { adapter: 'card 1, driver 2', base: gpuTuning, choices: gpuChoices, folder };
  const kept = async (change: object = {}) => {
    let measurements = 0;
    const tuning = await keptTuning({ ...options, ...change }, () => {
      measurements++;
      return Promise.resolve(measured);
    });
    expect(tuning).toEqual(measured);
    return measurements === 0;
  };
  const file = () => join(folder, 'webgpu', readdirSync(join(folder, 'webgpu'))[0]!);

  test('and measured once', async () => {
    expect(await kept()).toBe(false);
    expect(await kept()).toBe(true);
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({
      adapter: 'card 1, driver 2',
      tuning: tuningText(measured),
    });
  });

  test.each([
    ['empty', () => ''],
    ['cut short', (text: string) => text.slice(0, 40)],
    ['of another card', (text: string) => text.replace('driver 2', 'driver 3')],
    ['of other kernels', (text: string) => text.replace(/"kernels": "./, '"kernels": "x')],
    ['with tiles that are none', (text: string) => text.replace('128x64', '127x64')],
  ])('a file that is %s is measured again, and overwritten', async (_, damage) => {
    const text = readFileSync(file(), 'utf8');
    expect(damage(text)).not.toBe(text);
    writeFileSync(file(), damage(text));
    expect(await kept()).toBe(false);
    expect(readFileSync(file(), 'utf8')).toBe(text);
    expect(await kept()).toBe(true);
  });

  test('for each card and driver, and each choice of tiles', async () => {
    expect(await kept({ adapter: 'card 1, driver 3' })).toBe(false);
    expect(await kept({ choices: { ...gpuChoices, tiles: gpuChoices.tiles.slice(1) } })).toBe(false);
  });

  test('where there can be no file, it is measured each time', async () => {
    expect(await kept({ folder: '/dev/null' })).toBe(false);
    expect(await kept({ folder: '/dev/null' })).toBe(false);
  });
});
