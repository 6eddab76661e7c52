/** A network of the user's own, from a file to a label, by the command line: real processes, real files. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-own-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ablate(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Two classes: dark and bright noise, 16 pixels wide. */
function writeImages(): void {
  for (const [split, count] of [
    ['train', 40],
    ['test', 8],
  ] as const) {
    for (const [label, base] of [
      ['dark', 0],
      ['bright', 128],
    ] as const) {
      mkdirSync(inFolder(`images/${split}/${label}`), { recursive: true });
      for (let i = 0; i < count; i++) {
        const samples = Uint8Array.from({ length: 16 * 16 * 3 }, (_, k) => base + (uint32(base + i, k) % 128));
        writeFileSync(inFolder(`images/${split}/${label}/${i}.png`), encodePng({ width: 16, height: 16, channels: 3, samples }));
      }
    }
  }
}

const training = ['--data', 'images:images', '--batch-size', '8', '--threads', '1', '--save-every', '2', '--recipe', 'modern'];
const own = ['--set', 'filters=4', '--set', 'inputSize=16'];

let net: string;
beforeAll(async () => {
  writeImages();
  const { code, stdout, stderr } = await ablate('new', 'model', 'net.ts');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('npx ablate train net.ts');
  net = readFileSync(inFolder('net.ts'), 'utf8');
});

test(
  'what ablate new writes is printed, trained, evaluated, frozen, labelled, quantized and pruned; then without the file',
  { timeout: 120_000 },
  async () => {
    expect(await json('info', 'net.ts', '--input', '32', '--set', 'filters=4')).toMatchObject({ model: 'net', input: 32 });
    const trained = await json('train', './net.ts', ...training, ...own, '--steps', '8');
    expect(trained).toMatchObject({ run: 'net/1', model: 'net', step: 8 });
    expect(JSON.parse(readFileSync(inFolder('runs/net/1/model-file.json'), 'utf8'))).toMatchObject({ path: inFolder('net.ts') });
    expect(readFileSync(inFolder('runs/net/1/model.mjs'), 'utf8')).toContain('defineModel');
    rmSync(inFolder('net.ts'));
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
    const computed = (run: string) => JSON.parse(readFileSync(inFolder(`runs/${run}/environment.json`), 'utf8')) as object;
    expect(computed('net/1')).toMatchObject({ engine: 'onednn', threads: 1 });
    expect(computed('net/2')).toMatchObject({ engine: 'reference', threads: 1 });
    expect(await json('eval', 'half.safetensors', '--threads', '1')).toMatchObject({ model: 'net' });
    expect(await json('train', '--resume', 'net/1', '--steps', '9')).toMatchObject({ step: 9 });
    expect((await json('runs', 'list')) as unknown).toHaveLength(2);
  },
);

describe('a run', () => {
  const name = 'again.ts';
  const tensorsOf = (run: string) => loadCheckpoint(latestCheckpoint(openRun(inFolder(run)))!.path).tensors;

  test('that was killed goes on to the same bits', { timeout: 120_000 }, async () => {
    writeFileSync(inFolder(name), net.replace("name: 'net'", "name: 'again'"));
    const args = ['train', name, ...training, ...own, '--steps', '12'];
    await json(...args);
    const onStderr = (text: string): NodeJS.Signals | undefined => (/step [6-9]\//.test(text) ? 'SIGKILL' : undefined);
    await runCli([...args, '--log-every', '1'], { cwd: folder, onStderr });
    await json('train', name, '--resume', 'again/2');
    expect(tensorsOf('runs/again/2')).toEqual(tensorsOf('runs/again/1'));
  });

  test('is not continued with a file that has changed', async () => {
    writeFileSync(inFolder(name), `${readFileSync(inFolder(name), 'utf8')}// other\n`);
    const { code, stderr } = await ablate('train', '--resume', 'again/1', '--steps', '20');
    expect(code).toBe(2);
    expect(stderr).toContain(`again.ts has changed since the run ${inFolder('runs/again/1')} was started with it`);
    expect(stderr).toContain('start a new run');
    expect(tensorsOf('runs/again/1').size).toBeGreaterThan(0);
  });
});

test('a study varies its settings, and names it relative to the study file', { timeout: 120_000 }, async () => {
  mkdirSync(inFolder('studies'), { recursive: true });
  writeFileSync(inFolder('studies/varied.ts'), net.replace("name: 'net'", "name: 'varied'"));
  writeFileSync(
    inFolder('studies/study.yaml'),
    `name: varied
dataset: images:images
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
  expect(existsSync(inFolder('runs/varied/1/model.mjs'))).toBe(true);
  // Its runs know their networks: the report needs the file no more.
  rmSync(inFolder('studies/varied.ts'));
  const report = (await json('report', 'varied', '--no-latency', '--force')) as { variants: typeof variants };
  expect(report.variants).toEqual(variants);
  writeFileSync(inFolder('studies/varied.ts'), 'export default 5;\n');
  const { code, stderr } = await ablate('study', 'studies/study.yaml', '--dry-run');
  expect([code, stderr]).toEqual([2, expect.stringContaining('study.yaml:3: ./varied.ts must export what defineModel returns')]);
});

describe('a wrong file ends with its name, the line and what is wrong', () => {
  const define = (more: string) => `import { count, defineModel } from 'ablate';\nexport default defineModel({\n  ${more}\n});\n`;
  const layers = "layers: (b, s, classes) => b.dense('logits', b.input, { features: classes }),";
  const cases: readonly [string, string, string][] = [
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
    ['nothing returned', define("name: 'x', layers() {},"), 'wrong.ts: layers of model "x" must return the tensor of the logits'],
  ];

  test.each(cases)('%s', async (_, text, message) => {
    writeFileSync(inFolder('wrong.ts'), text);
    const { code, stdout, stderr } = await ablate('train', 'wrong.ts', '--runs-dir', 'none', '--data', 'images:images');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(existsSync(inFolder('none'))).toBe(false);
  });

  test('code that never ends is named, and Ctrl-C ends it', async () => {
    writeFileSync(inFolder('endless.ts'), 'while (true) {}\nexport default 1;\n');
    const onStderr = (text: string): NodeJS.Signals | undefined => (text.includes('endless.ts') ? 'SIGINT' : undefined);
    const { code, stderr } = await runCli(['info', 'endless.ts'], { cwd: folder, onStderr });
    expect(code).not.toBe(0);
    expect(stderr).toContain('still loading endless.ts, whose code has not ended yet');
  });

  test('ablate new replaces no file', async () => {
    const { code, stderr } = await ablate('new', 'model', 'wrong.ts');
    expect([code, stderr]).toEqual([1, expect.stringContaining('wrong.ts exists')]);
    expect((await ablate('new', 'network', 'x.ts')).stderr).toContain('kind (=network) must be one of model');
    expect((await ablate('new', 'model', 'x.py')).stderr).toContain('file (=x.py) must end in .ts');
  });
});
