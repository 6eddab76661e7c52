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

test('a cell neither ends its line nor steers the terminal, and is padded as it is shown', () => {
  const rows = [
    ['a\nb', '1'],
    ['\u001b[2J', '22'],
  ];
  expect(alignColumns(rows, ['left', 'right'])).toBe('a\\u000ab    1\n\\u001b[2J  22');
});

test('a table may be long', () => {
  const rows = Array.from({ length: 200_000 }, () => ['x']);
  expect(alignColumns(rows, ['left'])).toHaveLength(2 * 200_000 - 1);
});
