/** A network of the user's own, from a file to a label, by the command line: real processes, real files. */
import { existsSync, rmSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeNoiseImages } from './noise-images.ts';
import { runCli } from './run-cli.ts';
import { workingFolder } from './working-folder.ts';

const { folder, path, read, write, record, ablate, ended, json, tensorsOf } = workingFolder('own-network');

const training = ['--data', 'images:images', '--batch-size', '8', '--threads', '1', '--save-every', '2', '--recipe', 'modern'];
const own = ['--set', 'filters=4', '--set', 'inputSize=16'];

let net: string;
beforeAll(async () => {
  writeNoiseImages(path('images'), { train: 40, test: 8, side: 16 });
  const { code, stdout, stderr } = await ablate('new', 'model', 'net.ts');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('npx ablate train net.ts');
  net = read('net.ts');
});

test(
  'what ablate new writes is printed, trained, evaluated, frozen, labelled, quantized and pruned; then without the file',
  { timeout: 120_000 },
  async () => {
    expect(await json('info', 'net.ts', '--input', '32', '--set', 'filters=4')).toMatchObject({ model: 'net', input: 32 });
    const trained = await json('train', './net.ts', ...training, ...own, '--steps', '8');
    expect(trained).toMatchObject({ run: 'net/1', model: 'net', step: 8 });
    expect(record('runs/net/1/model-file.json')).toMatchObject({ path: path('net.ts') });
    expect(read('runs/net/1/model.mjs')).toContain('defineModel');
    rmSync(path('net.ts'));
    const { accuracy } = await json('eval', 'net/1', '--threads', '1');
    expect(accuracy).toBe((trained['evaluation'] as { accuracy: number }).accuracy);
    expect(await json('freeze', 'net/1', '-o', 'net.onnx')).toMatchObject({ model: 'net', accuracy });
    const [label] = (await json('label', 'net.onnx', 'images/test/dark/0.png')) as unknown as [{ top: { label: string }[] }];
    expect(label.top.map((each) => each.label).sort()).toEqual(['bright', 'dark']);
    const quantized = ['quantize', 'net/1', '-o', 'small.onnx', '--images', '32', '--max-drop', '100'];
    expect(await json(...quantized)).toMatchObject({ model: 'net' });
    const pruned = [
      'prune',
      'net/1',
      '--structured',
      '--filters',
      '0.5',
      '--steps',
      '2',
      '-o',
      'half.safetensors',
      '--engine',
      'reference',
    ];
    expect(await json(...pruned)).toMatchObject({ run: 'net/2' });
    const computed = (run: string) => record(`runs/${run}/environment.json`);
    expect(computed('net/1')).toMatchObject({ engine: 'onednn', threads: 1 });
    expect(computed('net/2')).toMatchObject({ engine: 'reference', threads: 1 });
    expect(await json('eval', 'half.safetensors', '--threads', '1')).toMatchObject({ model: 'net' });
    expect(await json('train', '--resume', 'net/1', '--steps', '9')).toMatchObject({ step: 9 });
    expect((await json('runs', 'list')) as unknown).toHaveLength(2);
  },
);

describe('a run', () => {
  const name = 'again.ts';

  test('that was killed goes on to the same bits', { timeout: 120_000 }, async () => {
    write(name, net.replace("name: 'net'", "name: 'again'"));
    const args = ['train', name, ...training, ...own, '--steps', '12'];
    await json(...args);
    await ended({ at: /step [6-9]\//, by: 'SIGKILL' }, ...args, '--log-every', '1');
    await json('train', name, '--resume', 'again/2');
    expect(tensorsOf('runs/again/2')).toEqual(tensorsOf('runs/again/1'));
  });

  test('is not continued with a file that has changed', async () => {
    write(name, `${read(name)}// other\n`);
    const { code, stderr } = await ablate('train', '--resume', 'again/1', '--steps', '20');
    expect(code).toBe(2);
    expect(stderr).toContain(`again.ts has changed since the run ${path('runs/again/1')} was started with it`);
    expect(stderr).toContain('start a new run');
    expect(tensorsOf('runs/again/1').size).toBeGreaterThan(0);
  });
});

test('a study varies its settings, and names it relative to the study file', { timeout: 120_000 }, async () => {
  write('studies/varied.ts', net.replace("name: 'net'", "name: 'varied'"));
  write(
    'studies/study.yaml',
    `name: varied
dataset: images:../images
baseline: { model: ./varied.ts, inputSize: 16, steps: 2, batchSize: 8 }
design: one-at-a-time
seeds: [1]
factors:
  - { name: without squeeze, set: { squeeze: false } }
  - { name: another, set: { model: cs231n } }
`,
  );
  const { variants } = (await json('study', 'studies/study.yaml', '--jobs', '1', '--threads', '1', '--no-latency')) as {
    variants: { name: string; parameters: number; accuracy: object | null }[];
  };
  expect(variants.map(({ name }) => name)).toEqual(['baseline', 'without squeeze', 'another']);
  expect(variants[0]!.parameters).toBeGreaterThan(variants[1]!.parameters);
  expect(variants.every(({ accuracy }) => accuracy !== null)).toBe(true);
  expect(existsSync(path('runs/varied/1/model.mjs'))).toBe(true);
  // Its runs know their networks: the report needs the file no more.
  rmSync(path('studies/varied.ts'));
  const report = (await json('report', 'varied', '--no-latency', '--force')) as { variants: typeof variants };
  expect(report.variants).toEqual(variants);
  write('studies/varied.ts', 'export default 5;\n');
  const { code, stderr } = await ablate('study', 'studies/study.yaml', '--dry-run');
  expect([code, stderr]).toEqual([2, expect.stringContaining('study.yaml:3: ./varied.ts must export what defineModel returns')]);
});

describe('a wrong file ends with its name, the line and what is wrong', () => {
  const define = (more: string) => `import { count, defineModel } from 'ablate';\nexport default defineModel({\n  ${more}\n});\n`;
  const layers = "layers: (b, s, classes) => b.dense('logits', b.input, { features: classes }),";
  const cases: readonly [string, string, string][] = [
    ['code that throws', 'const a: number = 1;\nthrow new Error(`no ${a}`);\nexport default a;\n', 'wrong.ts:2: no 1'],
    ['something else', "export default { name: 'x' };\n", 'wrong.ts must export what defineModel returns as its default'],
    ['a name of the lab', define(`name: 'tuto', ${layers}`), 'wrong.ts: name (=tuto) is that of one of the lab'],
    ['a name that is no folder', define(`name: '../x', ${layers}`), 'wrong.ts:2: the name of a model (=../x) must begin with'],
    [
      'a default that its setting refuses',
      define(`name: 'x', settings: { a: count(0, 'none') }, ${layers}`),
      'wrong.ts:2: the default of setting a (=0) of model "x" must be an integer of at least 1',
    ],
    [
      'shapes that do not fit',
      define(
        "name: 'x',\n  layers(b, s, classes) {\n    const y = b.conv('c', b.input, { kernel: 3, filters: 4 });\n    return b.dense('logits', b.add('sum', b.input, y), { features: classes });\n  },",
      ),
      'wrong.ts:6: input shape (=4x24x24) must be 3x24x24, as its first input for layer "sum"',
    ],
    [
      'an option that there is not',
      define("name: 'x',\n  layers(b, s, classes) {\n    return b.dense('logits', b.input, { feature: classes });\n  },"),
      'wrong.ts:5: layer "logits" (dense) has no option "feature". Did you mean "features"?',
    ],
    [
      'another number of classes',
      define("name: 'x', layers: (b) => b.dense('logits', b.input, { features: 7 }),"),
      'wrong.ts: the last layer of model "x" has 7 features, but there are 2 classes',
    ],
    ['nothing returned', define("name: 'x', layers() {},"), 'wrong.ts: layers of model "x" must return the tensor of the logits'],
  ];

  test.each(cases)('%s', async (_, text, message) => {
    write('wrong.ts', text);
    const { code, stdout, stderr } = await ablate('train', 'wrong.ts', '--runs-dir', 'none', '--data', 'images:images');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(existsSync(path('none'))).toBe(false);
  });

  test('code that never ends is named, and Ctrl-C ends it', async () => {
    write('endless.ts', 'while (true) {}\nexport default 1;\n');
    const { code, stderr } = await ended({ at: /endless\.ts/, by: 'SIGINT' }, 'info', 'endless.ts');
    expect(code).not.toBe(0);
    expect(stderr).toContain('still loading endless.ts, whose code has not ended yet');
  });

  test.each([
    [
      'fails where nobody awaits it',
      "setTimeout(() => {\n  throw new Error('alone');\n});\nawait new Promise(() => {});\n",
      2,
      'odd.ts:2: alone',
    ],
    [
      'exports a promise that is rejected',
      "const a = Promise.reject(new Error('late'));\nexport { a as default };\n//",
      2,
      'odd.ts:1: late',
    ],
    [
      'exports what nobody may read',
      "const a = new Proxy({}, {\n  get: () => {\n    throw new Error('mine');\n  },\n});\nexport { a as default };\n//",
      2,
      'odd.ts:3: mine',
    ],
    ['ends the program', 'process.exit(0);\n', 1, 'the program has ended while the code of odd.ts was loaded'],
    ['waits for ever', 'await new Promise(() => {});\n', 1, 'the program has ended while the code of odd.ts was loaded'],
  ])('code that %s', async (_, text, expected, message) => {
    write('odd.ts', `${text}export default 1;\n`);
    const { code, stdout, stderr } = await runCli(['info', 'odd.ts'], { cwd: folder, ownProcess: true });
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(stderr).toContain(message);
  });

  test('ablate new replaces no file', async () => {
    const { code, stderr } = await ablate('new', 'model', 'wrong.ts');
    expect([code, stderr]).toEqual([1, expect.stringContaining('wrong.ts exists')]);
    expect((await ablate('new', 'network', 'x.ts')).stderr).toContain('kind (=network) must be one of model');
    expect((await ablate('new', 'model', 'x.py')).stderr).toContain('file (=x.py) must end in .ts');
  });
});
