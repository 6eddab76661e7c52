/** How records of measurements are kept: one file a question, of each thing the newest row. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { measuredOn, mergeRows, recordRows, type RowKey, type RowsRecord } from '../bench/records/rows.ts';
import type { EnvironmentRecord } from '../src/runs/environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-records-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Row extends RowKey {
  readonly ms: number;
}

const row = (ms: number, date: string, key: Partial<RowKey> = {}): Row => ({
  ...{ model: 'tuto', processor: 'AMD EPYC', instructions: 'AVX2', library: 'oneDNN 2.6.3', precision: 'f32', threads: 2 },
  ...{ commit: `of ${date}`, date, ms },
  ...key,
});

test('what was measured anew takes the place of what was; another processor, library or precision stays', () => {
  const earlier = [
    row(100, '2026-01-01'),
    row(90, '2026-01-01', { library: 'oneDNN 3.2.0' }),
    row(60, '2026-01-01', { instructions: 'AVX-512' }),
    row(50, '2026-01-01', { precision: 'bf16' }),
    row(40, '2026-01-01', { model: 'alex4' }),
    row(180, '2026-01-01', { threads: 1 }),
  ];
  const merged = mergeRows(earlier, [row(95, '2026-02-01')]);
  expect(merged.map(({ ms }) => ms)).toEqual([95, 90, 60, 50, 40, 180]);
  expect(merged[0]!.commit).toBe('of 2026-02-01');
  // In whatever order they come.
  expect(mergeRows([row(95, '2026-02-01')], [row(100, '2026-01-01')]).map(({ ms }) => ms)).toEqual([95]);
});

test('the record is one file, written anew each time', () => {
  const path = join(folder, 'steps.json');
  const about = { what: 'steps', command: 'npx tsx bench/steps.ts' };
  recordRows(path, { ...about, rows: [row(100, '2026-01-01'), row(40, '2026-01-01', { model: 'alex4' })] });
  recordRows(path, { ...about, rows: [row(95, '2026-02-01')] });
  const record = JSON.parse(readFileSync(path, 'utf8')) as RowsRecord<Row>;
  expect(record).toMatchObject(about);
  expect(record.rows.map(({ model, ms }) => [model, ms])).toEqual([
    ['tuto', 95],
    ['alex4', 40],
  ]);
});

test.each<[EnvironmentRecord['cpu']['instructionSets'], string]>([
  [['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16'], 'AVX-512 with bf16'],
  [['avx2', 'avx512f'], 'AVX-512'],
  [['avx2'], 'AVX2'],
  [['neon', 'bf16'], 'NEON'],
  [[], 'other'],
])('a processor with %j is one of %s', (instructionSets, instructions) => {
  const cpu = { model: 'some', logicalCores: 2, physicalCores: 2, availableCores: 2, instructionSets };
  const git = { commit: 'abc', dirty: false };
  const given = { library: 'oneDNN 3.2.0', precision: 'f32', threads: 2 };
  expect(measuredOn({ cpu, git, date: '2026-01-01' }, given)).toEqual({
    ...{ processor: 'some', instructions, commit: 'abc', date: '2026-01-01' },
    ...given,
  });
});
