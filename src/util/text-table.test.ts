import { describe, expect, test } from 'vitest';
import { alignColumns, fitColumns } from './text-table.ts';

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

describe('within a width', () => {
  const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));
  const rows = [
    ['run', 'accuracy', 'what differs from the recipe', 'updated'],
    ['tuto/1', '81.42%', 'augment false, inputSize 32, learningRate 0.05', '2026-01-31'],
    ['tuto/22', '79.00%', '', '2026-01-30'],
  ];
  const alignments = ['left', 'right', 'left', 'left'] as const;

  test('a table that fits, or is not for a terminal, is as it is', () => {
    expect(fitColumns(rows, alignments, 200)).toBe(alignColumns(rows, alignments));
    expect(fitColumns(rows, alignments, undefined)).toBe(alignColumns(rows, alignments));
  });

  test('text is cut, the widest first, and no more than there must be', () => {
    const text = fitColumns(rows, alignments, 60);
    expect(widest(text)).toBe(60);
    expect(text).toContain('augment false, ');
    expect(text).toContain('…  2026-01-31');
    expect(text).toContain('81.42%');
  });

  test('numbers are never cut: their columns go below each other, each with the names', () => {
    const numbers = [
      ['label', ...Array.from({ length: 12 }, (_, i) => `column ${i}`)],
      ['a name that is too long to be repeated', ...Array.from({ length: 12 }, (_, i) => String(1000 + i))],
    ];
    const text = fitColumns(numbers, ['left', ...Array.from({ length: 12 }, () => 'right' as const)], 60);
    expect(widest(text)).toBeLessThanOrEqual(60);
    for (let i = 0; i < 12; i++) expect(text).toMatch(new RegExp(`(^|\\s)${1000 + i}(\\s|$)`, 'm'));
    const tables = text.split('\n\n');
    expect(tables.length).toBeGreaterThan(1);
    for (const table of tables) expect(table).toMatch(/^label .*\na name that/);
  });

  test('a text in a table of its own below has the whole line', () => {
    const wide = rows.map(([run, accuracy, changes, updated]) => [run!, accuracy!, '123456789 of 100,000', updated!, changes!]);
    const text = fitColumns(wide, ['left', 'right', 'right', 'left', 'left'], 60);
    expect(widest(text)).toBeLessThanOrEqual(60);
    expect(text.split('\n\n')).toHaveLength(2);
    expect(text).toContain('augment false, inputSize 32, learningRate 0.05');
  });

  test('names keep enough to tell the rows apart', () => {
    const comparison = [
      ['change', 'points', '95% interval', 'p (Holm)', 'verdict', 'seeds', 'seeds for 0.5'],
      ['tuto/2 and 1 more (augment false)', '+2.52', '[+0.44, +4.60]', '0.041', 'better', '2', '4'],
    ];
    const alignments = ['left', 'right', 'right', 'right', 'left', 'right', 'right'] as const;
    const text = fitColumns(comparison, alignments, 80);
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^tuto\/2 and 1 more \(a.*better/m);
    expect(fitColumns(comparison, alignments, 70)).toMatch(/^tuto\/2 and 1 more \(augment … /m);
  });

  test('names that would look alike lose their middle, the others their end', () => {
    const names = [
      'augmentation.probability: 0.25',
      'augmentation.probability: 0.75',
      'augmentation.probability: 0.75',
      'learning rate of the last layer',
    ];
    const table = names.map((name) => [name, ...Array.from({ length: 4 }, () => '0123456789')]);
    const text = fitColumns(table, ['left', 'right', 'right', 'right', 'right'], 69);
    expect(text.split('\n').map((line) => line.split('  ')[0])).toEqual([
      'augmentati…lity: 0.25',
      'augmentati…lity: 0.75',
      'augmentati…lity: 0.75',
      'learning rate of the…',
    ]);
  });

  test('of equally wide texts each gives some', () => {
    const text = fitColumns(
      [
        ['x'.repeat(40), 'y'.repeat(40)],
        ['a', 'b'],
      ],
      ['left', 'left'],
      42,
    );
    expect(widest(text)).toBeLessThanOrEqual(42);
    expect(text.split('\n')[0]!.split('…')).toHaveLength(3);
  });

  test('a width in which nothing has room ends all the same', () => {
    expect(fitColumns(rows, alignments, 1)).toContain('81.42%');
  });
});
