/** The figures of docs/models.md are those that `ablate info` counts. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { modelNames } from '../src/models/registry.ts';
import { runInfo } from './run-info.ts';
import { published } from './tensorsandbox-figures.ts';

const page = readFileSync(new URL('../docs/models.md', import.meta.url), 'utf8');

/** Rows of tensorsandbox's table: the model, and four figures, each at 24x24 / 32x32. */
const rows = [...page.matchAll(/^\| (\w+) .*\| +([\d,]+) \/ ([\d,]+) \| +([\d.]+)M \/ ([\d.]+)M \|$/gm)].map((row) =>
  row.slice(1),
);

test('the table has the models of tensorsandbox, and the page a section for each of the others', () => {
  expect(rows.map(([model]) => model)).toEqual(Object.keys(published));
  const sections = [...page.matchAll(/^## (\w+)$/gm)].map((section) => section[1]!);
  expect(sections).toEqual(modelNames().filter((model) => !(model in published)));
});

test.each(rows)('%s has %s / %s parameters and %sM / %sM operations', async (model, ...figures) => {
  const small = await count(model, '--input', '24');
  const large = await count(model, '--input', '32');
  expect(figures).toEqual([small.parameters, large.parameters, small.operations, large.operations]);
});

test.each(modelNames().filter((model) => !(model in published)))('the section of %s has its figures', async (model) => {
  const section = page.split(`\n## ${model}\n`)[1]!.split('\n## ')[0]!;
  for (const input of ['24', '32']) {
    const { parameters } = await count(model, '--input', input);
    expect(section).toContain(`${parameters} parameters`);
    const { operations } = await runInfo(model, '--input', input);
    expect(section).toContain(`${(Number(operations) / 1e6).toFixed(1)}M`);
  }
});

const examples = [...page.matchAll(/^npx ablate info (.*?) +# ([\d,]+) parameters, ([\d.]+)M operations/gm)].map((example) =>
  example.slice(1),
);

test('there are examples', () => {
  expect(examples).toHaveLength(page.match(/^npx ablate /gm)!.length);
});

test.each(examples)('ablate info %s: %s parameters, %sM operations', async (args, parameters, operations) => {
  expect(await count(...args.split(/\s+/))).toEqual({ parameters, operations });
});

/** As the page writes them: 1,068,298 parameters, 37.75 million operations. */
async function count(...args: readonly string[]): Promise<{ parameters: string; operations: string }> {
  const { parameters, operations } = await runInfo(...args);
  return { parameters: Number(parameters).toLocaleString('en-US'), operations: (Number(operations) / 1e6).toFixed(2) };
}
