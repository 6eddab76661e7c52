/** What the documents say that can be checked without running anything: links, files, packages, versions, names. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { bestAccuraciesPath, withBestAccuracies } from '../bench/records/best-accuracies.ts';
import { compressionPath, withLatencyTable } from '../bench/records/latency-table.ts';
import { microcontrollersPath, withMlperfTable } from '../bench/records/mlperf-table.ts';
import { performancePath, withPerformanceTables } from '../bench/records/performance-tables.ts';
import { recordedStudies } from '../bench/records/studies.ts';
import { activationOperations, activationTypes, resolveActivation } from '../src/nn/activation.ts';
import { modelDefinition, modelNames } from '../src/models/registry.ts';
import { markdownReport } from '../src/report/markdown.ts';
import { completeSpec, type Figure } from '../src/report/render.ts';
import { reportFigures } from '../src/report/write-report.ts';
import { recipes } from '../src/train/recipes/registry.ts';
import { published } from './tensorsandbox-figures.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).filter(isPage).map(inDocs)];

function isPage(file: string): boolean {
  return file.endsWith('.md');
}

function inDocs(file: string): string {
  return `docs/${file}`;
}

interface Manifest {
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(read('package.json')) as Manifest;

describe.each(documents)('%s', (document) => {
  const page = read(document);

  test('links to files and headings that exist', () => {
    const links = [...page.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)].map(([, file = '', heading]) => ({
      file,
      heading,
    }));
    for (const { file, heading } of links) {
      const target = file === '' ? document : join(dirname(document), file);
      expect(existsSync(join(root, target)), target).toBe(true);
      if (heading !== undefined) expect(headingsOf(read(target)), target).toContain(heading);
    }
  });

  test('names files of the repository that exist', () => {
    const folders = 'src|test|bench|scripts|docs|studies|examples|schemas|trained_models|bin';
    const named = page.matchAll(new RegExp(String.raw`\x60((?:${folders})/[\w./-]*\w\.\w+)\x60`, 'g'));
    for (const [, file] of named) expect(existsSync(join(root, file!)), file).toBe(true);
  });

  test('names scripts that package.json has', () => {
    for (const [, script] of page.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(manifest.scripts)).toContain(script);
  });

  test('shows commands that are no wider than a page', () => {
    const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].flatMap((block) => block[1]!.split('\n'));
    for (const line of blocks) expect(line.length, line).toBeLessThanOrEqual(170);
  });
});

test('the table of best accuracies in the program is what the records say: npm run results', async () => {
  const source = readFileSync(bestAccuraciesPath, 'utf8');
  expect(await withBestAccuracies(source)).toBe(source);
});

test.each([
  ['docs/performance.md', performancePath, withPerformanceTables],
  ['docs/compression.md', compressionPath, withLatencyTable],
  ['docs/microcontrollers.md', microcontrollersPath, withMlperfTable],
])('the tables of %s are what the records say: npm run results', async (_, path, rewritten) => {
  const page = readFileSync(path, 'utf8');
  expect(await rewritten(page)).toBe(page);
});

test.each(recordedStudies())('the report in $folder is that of its record: npm run results', ({ folder, data }) => {
  const { main, matrices } = reportFigures(data);
  const undrawn = (figures: readonly Figure[]) => figures.map((figure) => ({ ...figure, svg: '' }));
  expect(readFileSync(join(folder, 'report.md'), 'utf8')).toBe(markdownReport(data, undrawn(main), undrawn(matrices)));
  for (const figure of [...main, ...matrices]) {
    const spec = JSON.parse(readFileSync(join(folder, 'figures', `${figure.name}.vl.json`), 'utf8')) as object;
    expect(spec).toEqual(JSON.parse(JSON.stringify(completeSpec(figure))));
    expect(existsSync(join(folder, 'figures', `${figure.name}.svg`))).toBe(true);
  }
});

test('docs/README.md has every page of docs/', () => {
  const index = read('docs/README.md');
  const pages = readdirSync(join(root, 'docs')).filter((file) => isPage(file) && file !== 'README.md');
  for (const page of pages) expect(index).toContain(`](${page})`);
});

/** As GitHub makes the anchors of headings. */
function headingsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('docs/dependencies.md has a line for every package that is installed, and for no other', () => {
  const page = read('docs/dependencies.md');
  const [runTime = '', development = ''] = page.split('## For development');
  for (const [section, packages] of [
    [runTime, { ...manifest.dependencies, ...manifest.peerDependencies }],
    [development, manifest.devDependencies],
  ] as const) {
    const table = section.split('\n').filter((line) => line.startsWith('|'));
    const [, , ...rows] = table;
    const words = rows.map((row) => row.split('|')[1]!).join(' ');
    for (const name of Object.keys(packages)) {
      // `@stdlib/...-t-quantile and -t-cdf`; Stryker's two packages, and typescript by its name in prose.
      const short = name.replace(/^@stdlib\/stats-base-dists/, '').replace(/^@stryker-mutator\/.*$/, 'stryker');
      expect(words.toLowerCase(), name).toContain(short.toLowerCase());
    }
    for (const [, name] of words.matchAll(/\[([^\]]+)\]/g)) {
      if (name === 'oneDNN') continue;
      const known = Object.keys(packages).some((each) => each.replace(/^@(stryker)-mutator.*/, '$1') === name!.toLowerCase());
      expect(known, name).toBe(true);
    }
  }
});

test("docs/architecture.md's table of activations has all of them, with what each counts", () => {
  const rows = [...read('docs/architecture.md').matchAll(/^\| `(\w+)` .*\|\s*(\d+) \|$/gm)];
  const counts = activationTypes.map((type) => [type, activationOperations(resolveActivation(type, 'a'))]);
  expect(rows.map(([, type, operations]) => [type, Number(operations)])).toEqual(counts);
});

test('README counts what there is', () => {
  const readme = read('README.md').replaceAll(/\s+/g, ' ');
  const later = modelNames().filter((model) => !(model in published));
  expect(Object.keys(published)).toHaveLength(13);
  expect(readme).toContain('Thirteen models, the recipe `2017`');
  for (const name of [...later, ...recipes.map((recipe) => recipe.name)]) expect(readme).toContain(`\`${name}\``);
  expect(manifest.engines.node).toBe('>=20');
  expect(readme).toContain('It needs Node 20 or newer');
  // `info` counts at these sizes where none is given.
  expect([modelDefinition('tuto').defaultInputSize, modelDefinition('xception').defaultInputSize]).toEqual([24, 32]);
});

test('the trained networks that the change log lists are there, with the accuracies of their records', () => {
  const line = /A trained (.*) in `trained_models\/`/.exec(read('CHANGELOG.md'))![1]!;
  const listed = [...line.matchAll(/`(\w+)` \(([\d.]+)%/g)].map(([, name, percent]) => [name!, percent!] as const);
  const files = readdirSync(join(root, 'trained_models')).filter((file) => file.endsWith('.onnx'));
  expect(listed.map(([name]) => `${name}.onnx`).sort()).toEqual(files.sort());
  for (const [name, percent] of listed) {
    const text = read(`trained_models/${name}.json`);
    const accuracies = [...text.matchAll(/ccuracy": ([\d.]+)/g)].map(([, value]) => (100 * Number(value)).toFixed(1));
    expect(accuracies, name).toContain(percent);
  }
});
