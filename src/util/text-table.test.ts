import { expect, test } from 'vitest';
import { alignColumns, formatCount } from './text-table.ts';

test('counts have thousands separators', () => {
  expect([0, 999, 1000, 1_068_298].map(formatCount)).toEqual(['0', '999', '1,000', '1,068,298']);
});

test('columns are aligned, without spaces at the ends of lines', () => {
  const rows = [
    ['layer', 'count', 'kind'],
    ['a', '10', 'x'],
    ['longer', '2', ''],
  ];
  expect(alignColumns(rows, ['left', 'right', 'left'])).toBe('layer   count  kind\na          10  x\nlonger      2');
});
