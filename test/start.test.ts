/** What `npm start` shows beside its study's tables; that the study itself can be run is among the tests of studies. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseStudyFile } from '../src/study/study-file.ts';
import { designOf } from '../src/study/design.ts';
import { effectsTable, terminalTables } from '../src/report/tables.ts';
import { alignColumns } from '../src/util/text-table.ts';
import { sampleReport } from './report-data.ts';

interface Explained {
  explainStudy(report: unknown): readonly string[];
  nextLines(): readonly string[];
  readonly next: readonly (readonly [command: string, purpose: string])[];
}

const root = fileURLToPath(new URL('..', import.meta.url));
const { explainStudy, nextLines, next } = (await import(
  new URL('../scripts/study-explained.mjs', import.meta.url).href
)) as Explained;
const path = 'studies/quick-start.yaml';
const study = parseStudyFile(readFileSync(`${root}${path}`, 'utf8'), path);

/** A report as it would be of the study itself: its names, and a clear effect beside one that is not. */
function reportOfStudy() {
  const { variants } = designOf(study);
  const sample = sampleReport(4);
  const effects = [
    { low: 0.031, difference: 0.035, high: 0.039, correctedPValue: 0.001 },
    { low: -0.009, difference: 0.001, high: 0.011, correctedPValue: 0.8 },
  ].map((effect, i) => ({ ...sample.effects[0]!, ...effect, name: variants[i + 1]!.name, deviation: 0.01 }));
  const named = variants.map(({ name }, i) => ({ ...sample.variants[i]!, name }));
  return { ...sample, variants: named, effects };
}

test('the study asks few questions, with seeds enough for intervals, and needs no processor with bf16', () => {
  const { variants, seeds } = designOf(study);
  expect(variants.length).toBeLessThanOrEqual(5);
  expect(seeds.length).toBeGreaterThanOrEqual(3);
  expect(JSON.stringify(study.source)).not.toContain('bf16');
});

test('its tables fit 80 letters', () => {
  const report = reportOfStudy();
  expect(effectsTable(report).rows).toHaveLength(2);
  for (const { table } of terminalTables(report)) {
    for (const line of alignColumns([table.header, ...table.rows], table.alignments).split('\n')) {
      expect(line.length, line).toBeLessThanOrEqual(80);
    }
  }
});

test('three sentences explain points and interval, verdict, and what so few steps cannot say, with the numbers of the study', () => {
  const report = reportOfStudy();
  const lines = explainStudy(JSON.parse(JSON.stringify(report)));
  for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
  const [heading, ...sentences] = lines
    .join('\n')
    .split('\n\n')
    .map((part) => part.replaceAll('\n', ' '));
  expect(heading).toBe('How to read this');
  expect(sentences).toHaveLength(3);
  const [clear, open] = report.effects;
  expect(sentences[0]).toContain(`the mean over 4 seeds`);
  expect(sentences[0]).toContain(`with "${clear!.name}" between +3.1 and +3.9 points.`);
  expect(sentences[1]).toContain(`the interval of "${open!.name}" says how large it can still be, at most about 1.1 points.`);
  expect(sentences[2]).toMatch(/^What \d+ steps can't say/);
});

test('a study without a clear effect, or without seeds for intervals, is explained too', () => {
  const report = reportOfStudy();
  const unclear = explainStudy({ ...report, effects: report.effects.slice(1) }).join(' ');
  expect(unclear).toContain('probably lies.');
  const one = explainStudy(JSON.parse(JSON.stringify(sampleReport(1)))).join(' ');
  expect(one).not.toMatch(/undefined|NaN|between/);
});

test('it ends with three commands whose files there are', () => {
  const lines = nextLines();
  expect(lines[0]).toBe('next:');
  expect(next).toHaveLength(3);
  for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
  for (const [command] of next) {
    expect(lines).toContain(`  ${command}`);
    for (const [file] of command.matchAll(/\S+\/\S+\.\w+/g)) expect(existsSync(`${root}${file}`), file).toBe(true);
  }
});
