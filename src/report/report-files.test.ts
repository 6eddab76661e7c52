import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sampleReport } from '../../test/report-data.ts';
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
