import { expect, test } from 'vitest';
import { sampleReport } from '../../test/report-data.ts';
import { judgeHypotheses } from '../study/hypotheses.ts';
import { alignColumns } from '../util/text-table.ts';
import { effectsCsv, runsCsv } from './csv.ts';
import { formatPoints, formatPValue } from './format.ts';
import { markdownReport } from './markdown.ts';
import type { ReportData } from './report-data.ts';
import { effectsTable, hypothesisTables, runsTable, terminalTables, variantsTable } from './tables.ts';

const data = sampleReport();

test('the table of effects: difference, interval, corrected p-value, verdict, seeds', () => {
  const { header, rows, alignments } = effectsTable(data);
  expect(header).toEqual(['change', 'points', '95% interval', 'p (Holm)', 'verdict', 'seeds', 'seeds for 0.5']);
  expect(rows).toHaveLength(9);
  expect(rows.every((row) => row.length === alignments.length)).toBe(true);
  const row = (name: string) => rows.find(([first]) => first === name)!;
  expect(row('nin2')[1]).toMatch(/^\+4\.\d\d$/);
  expect(row('nin2')[2]).toMatch(/^\[\+4\.\d\d, \+[45]\.\d\d\]$/);
  expect(row('nin2').slice(3, 6)).toEqual([expect.stringMatching(/^(<0\.001|0\.0\d\d)$/), 'better', '4']);
  expect(row('no augmentation (24x24 centre)')[4]).toBe('worse');
  expect(row('no LRN')[4]).toBe('unresolved');
});

test('hypotheses: what was expected, what was found, and what it costs', () => {
  const believed = [
    ...[
      { hypothesis: 'Augmentation is key', changes: ['no augmentation (24x24 centre)'], expected: 'worse' as const, within: 0.5 },
    ],
    ...[
      {
        hypothesis: 'alex3 and nin2 are as good',
        changes: ['one dense layer less (alex3)', 'nin2'],
        expected: 'same' as const,
        within: 1,
      },
    ],
  ];
  const [first, second] = hypothesisTables({ ...data, hypotheses: judgeHypotheses(believed, data.effects) });
  expect(first!.title).toBe('Augmentation is key: holds');
  expect(first!.criterion).toBe('Expected of this change: less accuracy.');
  expect(first!.table.header).toEqual(['change', 'points', '95% interval', 'answer']);
  expect(first!.table.rows).toEqual([
    ['no augmentation (24x24 centre)', expect.stringMatching(/^-2\.\d\d$/), expect.any(String), 'holds'],
  ]);
  expect(second!.title).toBe('alex3 and nin2 are as good: in part');
  expect(second!.criterion).toBe('Expected of each of these changes: an accuracy that differs by less than 1 point.');
  expect(second!.table.header).toEqual(['change', 'points', '95% interval', 'answer', 'parameters', 'operations']);
  expect(second!.table.rows[1]).toEqual(['nin2', expect.any(String), expect.any(String), 'does not hold', 'x 0.91', 'x 6.66']);
});

test('changes that cannot be compared are listed with what became of their runs', () => {
  const uncompared = [{ name: 'rate 10', reference: data.reference!, state: 'diverged' as const }];
  const { rows, alignments } = effectsTable({ ...data, uncompared });
  expect(rows.at(-1)).toEqual(['rate 10', '', '', '', 'diverged', '0', '']);
  expect(rows.every((row) => row.length === alignments.length)).toBe(true);
  const against = effectsTable({ ...data, uncompared: [{ ...uncompared[0]!, reference: 'nin2' }] });
  expect(against.rows.at(-1)).toEqual(['rate 10', 'nin2', '', '', '', 'diverged', '0', '']);
  const rate = { hypothesis: 'Fast', changes: ['rate 10'], expected: 'better' as const, within: 1 };
  const [fast] = hypothesisTables({ ...data, hypotheses: judgeHypotheses([rate], data.effects) });
  expect(fast!.table.rows[0]!.slice(0, 4)).toEqual(['rate 10', '', '', 'open (not compared)']);
});

test('one seed: the table says that no interval can be given', () => {
  for (const row of effectsTable(sampleReport(1)).rows) {
    expect(row.slice(2)).toEqual(['no interval: one seed', '', 'one seed', '1', '']);
  }
});

test('effects against something other than the reference name it', () => {
  const effects = data.effects.map((effect, i) => (i === 0 ? { ...effect, reference: 'squeeze1' } : effect));
  const { header, rows } = effectsTable({ ...data, effects });
  expect(header.slice(0, 2)).toEqual(['change', 'against']);
  expect(rows.slice(0, 2).map((row) => row[1])).toEqual(['squeeze1', 'baseline']);
});

test('the table of variants has their costs; of a search the best first', () => {
  const { header, rows } = variantsTable(data);
  expect(header).toEqual([
    'variant',
    'accuracy %',
    '± sd',
    'runs',
    'parameters',
    'operations',
    'bytes',
    'training',
    'latency ms',
  ]);
  expect(rows[0]!.slice(3, 8)).toEqual(['4', '1,068,298', '37.75M', '4.3 MB', '10:00']);
  const search: ReportData = { ...data, reference: undefined, effects: [] };
  expect(variantsTable(search).rows[0]![0]).toBe('nin2');
  const unmeasured = data.variants.map((variant) => ({ ...variant, cost: { ...variant.cost, latencyMs: undefined } }));
  expect(variantsTable({ ...data, variants: unmeasured }).header).not.toContain('latency ms');
});

test('points carry their sign, and p-values are never shown as zero', () => {
  expect([0.0042, -0.0142, 0, -0.00001, 0.00001].map(formatPoints)).toEqual(['+0.42', '-1.42', '0.00', '0.00', '0.00']);
  expect([undefined, 0, 0.0004, 0.0449].map(formatPValue)).toEqual(['', '<0.001', '<0.001', '0.045']);
});

test('CSV has plain numbers, and quotes what needs it', () => {
  const [header, first, ...rest] = runsCsv(data).trimEnd().split('\r\n');
  expect(header).toBe('variant,seed,run,state,step,accuracy,loss,trainingSeconds,parameters,operations,bytes,latencyMs,reason');
  expect(first!.split(',')[5]).toBe(String(data.variants[0]!.runs[0]!.accuracy));
  expect(rest.find((line) => line.startsWith('"more filters, smaller kernel (alex4)",1,alex4/'))).toBeDefined();
  expect(effectsCsv(data).trimEnd().split('\r\n')).toHaveLength(10);
});

test.each([
  ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
  ['+cmd|calc', "'+cmd|calc"],
  ['-wd', "'-wd"],
  ['@SUM(1)', "'@SUM(1)"],
  [' =1+1', "' =1+1"],
  ['\t=1', "'\t=1"],
  // Numbers are no formulas, nor is what comes later.
  ['-0.5', '-0.5'],
  ['+1e3', '+1e3'],
  ['a=b', 'a=b'],
  ['', ''],
])('a spreadsheet takes the name %j for no formula', (name, cell) => {
  const [variant] = data.variants;
  const [run] = variant!.runs;
  const named: ReportData = { ...data, variants: [{ ...variant!, name, runs: [{ ...run!, loss: -1.5, reason: name }] }] };
  const [, row] = runsCsv(named).split('\r\n');
  expect(row!.startsWith(`${cell},`)).toBe(true);
  expect(row!.endsWith(`,${cell}`)).toBe(true);
  expect(row).toContain(',-1.5,');
  const effects = data.effects
    .slice(0, 1)
    .map((effect) => ({ ...effect, factor: name, level: name, reference: name, low: -2.5 }));
  expect(effectsCsv({ ...data, effects }).split('\r\n')[1]).toContain(`,${cell},${cell},${cell},`);
  expect(effectsCsv({ ...data, effects })).toContain(',-2.5,');
});

test('Markdown keeps names as they are, and every row has as many cells as its header', () => {
  const text = markdownReport(data, [], []);
  expect(text).toContain('| squeeze1 & \\<co\\> |');
  const tables = text.split('\n\n').filter((block) => block.startsWith('| '));
  expect(tables.length).toBeGreaterThanOrEqual(5);
  for (const table of tables) {
    const cells = table.split('\n').map((line) => line.replaceAll('\\|', '').split('|').length);
    expect(new Set(cells).size).toBe(1);
  }
  expect(runsTable(data).rows).toHaveLength(40);
});

test('in a terminal the tables leave out what is the same in every row, and fit 80 letters', () => {
  const short = { ...data, variants: data.variants.map((variant) => ({ ...variant, name: variant.name.slice(0, 19) })) };
  const named = { ...short, effects: data.effects.map((effect) => ({ ...effect, name: effect.name.slice(0, 19) })) };
  const [effects, variants] = terminalTables(named);
  expect(effects!.table.header).toEqual(['change', 'points', '95% interval', 'p (Holm)', 'verdict', 'seeds for 0.5']);
  expect(effects!.note).toBe('4 seeds each');
  expect(variants!.table.header).toEqual(['variant', 'accuracy %', 'parameters', 'operations', 'training', 'latency ms']);
  expect(variants!.table.rows[0]![1]).toMatch(/^\d\d\.\d\d ± 0\.30$/);
  expect(variants!.note).toBe('mean of 4 runs each, ± standard deviation');
  for (const { table } of [effects!, variants!]) {
    expect(table.rows.every((row) => row.length === table.header.length)).toBe(true);
    for (const line of alignColumns([table.header, ...table.rows], table.alignments).split('\n')) {
      expect(line.length, line).toBeLessThanOrEqual(80);
    }
  }
});

test('in a terminal, too, what differs between the rows is said in each', () => {
  const [first, ...others] = data.variants;
  const unequal = [{ ...first!, accuracy: { ...first!.accuracy!, count: 3 }, quantization: { type: 'none' } }, ...others];
  const effects = data.effects.map((effect, i) => (i === 0 ? { ...effect, seeds: [1] } : effect));
  const [changes, variants] = terminalTables({ ...data, effects, variants: unequal as unknown as ReportData['variants'] });
  expect(changes!.table.header).toContain('seeds');
  expect(variants!.table.header).toEqual(expect.arrayContaining(['runs', 'bytes']));
  expect(variants!.table.rows[0]).toContain('3 of 4');
  expect([changes!.note, variants!.note]).toEqual([undefined, undefined]);
  const [alone, oneRun] = terminalTables(sampleReport(1));
  expect([alone!.note, oneRun!.note]).toEqual(['1 seed each', 'mean of 1 run each']);
  expect(oneRun!.table.rows[0]![1]).toMatch(/^\d\d\.\d\d$/);
});
