import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { isCodeFile, isDatasetFile } from '../util/file-names.ts';
import { loadAugmentation } from './augmentation-file.ts';
import { loadDataset } from './dataset.ts';
import { checksumOfFile, loadFile } from './load-file.ts';
import { loadModel } from './model-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-load-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

async function thrownBy(name: string): Promise<unknown> {
  try {
    await loadFile(name, { folder });
  } catch (error) {
    return error;
  }
  return undefined;
}

test('files of code are told from names of models', () => {
  for (const name of ['net.ts', './a/net.js', 'net.mjs', 'net.mts', '/x/y.cts']) expect(isCodeFile(name)).toBe(true);
  for (const name of ['tuto', 'net', 'net.onnx', 'net.d', 'ts', 'net.ts.bak']) expect(isCodeFile(name)).toBe(false);
  expect(['data.ts', '/x/data.mjs', 'C:\\x\\data.ts', 'images:x.ts', 'cifar10'].map(isDatasetFile)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});

test('a file is run with what it imports; what ran is one text', async () => {
  write('part.ts', 'export const three: number = 3;\n');
  const name = write(
    'whole.ts',
    "import { three } from './part.ts';\nexport default { value: three + 1, at: import.meta.url };\n",
  );
  const file = await loadFile(name, { folder });
  expect(file).toMatchObject({ name, path: join(folder, name), value: { value: 4, at: `file://${join(folder, name)}` } });
  expect(file.code).toContain('three = 3');
  const sources = ['part.ts', 'whole.ts'].map((each) => readFileSync(join(folder, each)));
  expect(file.sha256).toBe(createHash('sha256').update(Buffer.concat(sources)).digest('hex'));
  expect(checksumOfFile(file.path)).toBe(file.sha256);
  write('part.ts', 'export const three: number = 4;\n');
  expect(checksumOfFile(file.path)).not.toBe(file.sha256);
});

test.each([
  ['that cannot be compiled', 'const a = 1;\nconst b = ;\n', ':2: Unexpected ";"'],
  [
    'that throws',
    'const a: number = 1;\n\nfunction fail(): void {\n  throw new TypeError("no");\n}\nfail();\nexport default a;\n',
    ':4: no',
  ],
  [
    'that imports what is not there',
    "import { x } from './nowhere.ts';\nexport default x;\n",
    ':1: Could not resolve "./nowhere.ts"',
  ],
  ['without a default export', 'export const a = 1;\n', ' has no default export'],
])('a file %s is refused, with its line', async (_, text, message) => {
  const name = write('wrong.ts', text);
  const error = await thrownBy(name);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as Error).message).toBe(`${name}${message}`);
});

test('the line is that of the file, not of what it imports', async () => {
  write('inner.ts', '\n\n\n\n\nexport function fail(): never {\n  throw new Error("inside");\n}\n');
  const name = write('outer.ts', "import { fail } from './inner.ts';\n\nfail();\nexport default 1;\n");
  expect(((await thrownBy(name)) as Error).message).toBe('outer.ts:3: inside');
});

test('a function of the file that throws later is explained too', async () => {
  const name = write('later.ts', 'export default {\n  build(): void {\n    throw new RangeError("later");\n  },\n};\n');
  const { value, explain } = await loadFile(name, { folder });
  let thrown: unknown;
  try {
    (value as { build(): void }).build();
  } catch (error) {
    thrown = error;
  }
  expect(explain(thrown).message).toBe('later.ts:3: later');
  expect(explain(new DataError('elsewhere', { fix: 'mend it' }))).toMatchObject({
    message: 'later.ts: elsewhere',
    fix: 'mend it',
  });
});

test('a file that is not there, and a folder, are refused', async () => {
  expect(((await thrownBy('nowhere.ts')) as Error).message).toContain(`cannot read ${join(folder, 'nowhere.ts')}`);
  expect(await thrownBy('.')).toBeInstanceOf(Error);
});

const unreadable =
  "export default new Proxy({}, {\n  get(_, key) {\n    if (key !== 'then') throw new Error('not today');\n  },\n});\n";
const handmade = "name: 'x', summary: '', weightDecay2017: 1, defaultInputSize: 8, build() {}, apply() {}, settings";

describe.each([
  ['model', loadModel],
  ['data set', loadDataset],
  ['augmentation', loadAugmentation],
] as const)('the file of a %s', (_, load) => {
  test.each([
    ['whose export throws when it is read', unreadable, /^PATH:3: not today$/],
    [
      'that exports nothing of the kind',
      "export default { name: 'x' };\n",
      /^PATH must export what define\w+ returns as its default$/,
    ],
    ['that exports a symbol', "export default Symbol('x');\n", /^PATH must export what define\w+ returns as its default$/],
    ['that exports a part made by hand', `export default { ${handmade}: null };\n`, /^PATH must export what define\w+ returns/],
  ])('%s is refused with its name', async (_case, text, message) => {
    const path = join(folder, write('odd.ts', text));
    const error = await load(path).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message.replace(path, 'PATH')).toMatch(message);
  });
});

test('a model or an augmentation that is made by hand is checked as those that define makes are', async () => {
  const wrong = write('hand.ts', `export default { ${handmade}: { a: 1 } };\n`);
  for (const load of [loadModel, loadAugmentation]) {
    await expect(load(join(folder, wrong))).rejects.toThrow(/hand\.ts: setting a \(=1\) of \w+ "x" must be made with flag/);
  }
  const outside = write('outside.ts', `export default { ${handmade.replace("'x'", "'../x'")}: {} };\n`);
  await expect(loadModel(join(folder, outside))).rejects.toThrow('outside.ts: the name of a model (=../x) must begin with');
});
