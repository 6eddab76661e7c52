import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sampleReport } from '../../test/report-data.ts';
import type { ReportData } from './report-data.ts';
import { darkColours, lightColours } from './theme.ts';
import { writeReport } from './write-report.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-report-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('no name in a report steers the terminal that shows it, or turns the text around', async () => {
  const name = 'red \u001b[31m\u009b2J \u202eabc';
  const sample = sampleReport(2);
  const [first, ...rest] = sample.variants;
  const effects = sample.effects.map((effect) => ({ ...effect, factor: name, level: name }));
  const named = { ...sample, title: name, description: name, variants: [{ ...first!, name }, ...rest], effects };
  await writeReport(
    { ...named, classes: sample.classes.map((each) => `${each} ${name}`), studyText: `name: "${name}"\n` },
    folder,
  );
  for (const file of ['report.md', 'index.html', 'report.json', 'effects.csv', 'runs.csv']) {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text, file).not.toMatch(/(?![\n\r\t])\p{Cc}|\u202e/u);
    expect(text, file).toContain(String.raw`red \u001b`);
  }
  // A program reads what was written.
  expect(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))).toMatchObject({ title: name });
});

test('a report can be made anew of its record alone, and its figures read on light and dark', async () => {
  const first = join(folder, 'first');
  const again = join(folder, 'again');
  await writeReport(sampleReport(3), first);
  await writeReport(JSON.parse(readFileSync(join(first, 'report.json'), 'utf8')) as ReportData, again);
  for (const file of ['report.md', 'index.html', 'report.json', 'effects.csv', 'runs.csv', 'figures/efficiency.svg']) {
    expect(readFileSync(join(again, file), 'utf8') === readFileSync(join(first, file), 'utf8'), file).toBe(true);
  }
  const svg = readFileSync(join(first, 'figures', 'efficiency.svg'), 'utf8');
  const [, dark = ''] = /<style>@media \(prefers-color-scheme:dark\)\{(.*?)\}<\/style>/.exec(svg)!;
  // Every colour that is drawn with has its counterpart.
  const drawn = new Set([...svg.matchAll(/ ((?:fill|stroke)="#[0-9a-f]{6}")/g)].map(([, attribute]) => attribute!));
  expect(drawn.size).toBeGreaterThan(4);
  for (const attribute of drawn) expect(dark).toContain(`[${attribute}]{`);
  expect(dark).toContain(`[fill="${lightColours.text}"]{fill:${darkColours.text}}`);
});
