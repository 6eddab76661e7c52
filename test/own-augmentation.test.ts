/** Augmentation of the user's own, by the command line: real processes, real files. docs/own-augmentation.md is run as it is written. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { writeNoiseImages } from './noise-images.ts';
import { workingFolder } from './working-folder.ts';

const { path, read, write, record, ablate, ended, json, tensorsOf } = workingFolder('own-augmentation');

const page = readFileSync(new URL('../docs/own-augmentation.md', import.meta.url), 'utf8');
const blockOf = (language: string) => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(page)![1]!;

const network = ['--set', 'conv1.filters=2', '--set', 'conv2.filters=2', '--set', 'dense1.features=4', '--set', 'dense2=false'];
const training = [
  'tuto',
  '--data',
  'images:images?size=16',
  '--batch-size',
  '8',
  '--threads',
  '1',
  '--set',
  'inputSize=12',
  ...network,
];

beforeAll(async () => {
  writeNoiseImages(path('images'), { train: 12, test: 12, side: 16 });
  const { code, stdout, stderr } = await ablate('new', 'augmentation', 'augment.ts');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('npx ablate train tuto --augment-with augment.ts');
});

test(
  'what ablate new writes trains; killed, the run goes on to the same bits, without the file too',
  { timeout: 120_000 },
  async () => {
    const args = ['train', ...training, '--augment-with', './augment.ts', '--set', 'augmentation.mixup=1', '--steps', '12'];
    await json(...args);
    expect(record('runs/tuto/1/augmentation-file.json')).toMatchObject({
      path: path('augment.ts'),
    });
    const killed = await ended({ at: /step [6-9]\//, by: 'SIGKILL' }, ...args, '--log-every', '1', '--save-every', '2');
    expect(killed.code).toBeNull();
    const written = read('augment.ts');
    write('augment.ts', `${written}// other\n`);
    const refused = await ablate('train', '--resume', 'tuto/2');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('augment.ts has changed since the run')]);
    expect(refused.stderr).toContain('let it count from here on: add --augment-with');
    rmSync(path('augment.ts'));
    await json('train', '--resume', 'tuto/2');
    expect(tensorsOf('runs/tuto/2')).toEqual(tensorsOf('runs/tuto/1'));
    write('augment.ts', written);
    const other = await ablate('train', '--resume', 'tuto/2', '--steps', '14', '--augment-with', 'other.ts');
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('other.ts: no such file')]);
    await json('train', '--resume', 'tuto/2', '--steps', '14', '--augment-with', 'augment.ts');
  },
);

test('the study of the page varies it and its settings, each run with a copy', { timeout: 120_000 }, async () => {
  write('studies/augment.ts', blockOf('ts'));
  const small =
    '{ model: tuto, inputSize: 12, batchSize: 8, conv1.filters: 2, conv2.filters: 2, dense1.features: 4, dense2: false, steps: 2 }';
  const study = blockOf('yaml')
    .replace('cifar10', 'images:../images?size=16')
    .replace(/^baseline: .*$/m, `baseline: ${small}`)
    .replace('seeds: 3', 'seeds: 1');
  write('studies/study.yaml', study);
  const options = ['--jobs', '1', '--threads', '1', '--no-latency', '--runs-dir', 'studied'];
  const { variants, report } = (await json('study', 'studies/study.yaml', ...options)) as {
    variants: { name: string; accuracy: object | null }[];
    report: string;
  };
  expect(variants.map(({ name }) => name)).toEqual([
    'baseline',
    'erase',
    'side: augmentWith ./augment.ts, augmentWith.side 4',
    'side: augmentWith ./augment.ts, augmentWith.side 12',
  ]);
  expect(variants.every(({ accuracy }) => accuracy !== null)).toBe(true);
  const copies = [1, 2, 3, 4].map((run) => existsSync(path(`studied/tuto/${run}/augmentation.mjs`)));
  expect(copies).toEqual([false, true, true, true]);
  expect(read(report)).not.toContain(path('studies'));
  write('studies/augment.ts', 'export default 5;\n');
  const { code, stderr } = await ablate('study', 'studies/study.yaml', '--dry-run');
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining('study.yaml:7: ./augment.ts must export what defineAugmentation returns'),
  ]);
});

test('a failure in a thread ends the run in order, with the file and the line', async () => {
  const code =
    "import { defineAugmentation } from 'ablate';\nexport default defineAugmentation({\n  name: 'a',\n  apply() {\n    throw new Error('not today');\n  },\n});\n";
  write('wrong.ts', code);
  const {
    code: exit,
    stdout,
    stderr,
  } = await ablate('train', ...training, '--steps', '2', '--augment-with', 'wrong.ts', '--runs-dir', 'failed');
  expect([exit, stdout]).toEqual([2, '']);
  expect(stderr).toContain('error: wrong.ts:5: not today');
  expect(stderr).not.toMatch(/\n {4}at /);
  expect(record('failed/tuto/1/status.json')).toMatchObject({
    status: 'failed',
    reason: 'wrong.ts:5: not today',
  });
});

test(
  'a run goes on with a file that was mended, and says from which step; pruning it needs no file',
  { timeout: 120_000 },
  async () => {
    const source = (step: string) => `import { defineAugmentation } from 'ablate';
let seen = 0;
export default defineAugmentation({
  name: 'brittle',
  apply({ pixels }, random) {
    ${step}
    pixels.fill(random.uniform(0, 255), 0, 8);
  },
});
`;
    write('brittle.ts', source("if (++seen > 32) throw new Error('too many');"));
    const args = ['train', ...training, '--augment-with', 'brittle.ts', '--steps', '12', '--runs-dir', 'mended'];
    const failed = await ablate(...args);
    expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining('brittle.ts:6: too many')]);
    const { step } = record('mended/tuto/1/status.json') as { step: number };
    const before = record('mended/tuto/1/augmentation-file.json') as { sha256: string };
    const first = record('mended/tuto/1/config.json') as { augmentationChecksum: string };

    write('brittle.ts', source(''));
    const resume = ['train', '--resume', 'tuto/1', '--runs-dir', 'mended'];
    expect((await ablate(...resume)).code).toBe(2);
    const { code, stderr } = await ablate(...resume, '--augment-with', 'brittle.ts', '--steps', '12');
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`brittle.ts augments from step ${step} on; the code before is kept in`);
    const now = record('mended/tuto/1/augmentation-file.json') as { sha256: string; copy: string };
    expect(now).toMatchObject({
      path: path('brittle.ts'),
      before: [{ sha256: before.sha256, until: step, copy: 'augmentation.mjs' }],
    });
    expect(now.sha256).not.toBe(before.sha256);
    expect(read('mended/tuto/1/augmentation.mjs')).toContain('too many');
    expect(read(`mended/tuto/1/${now.copy}`)).not.toContain('too many');
    // Neither the experiment with the first code nor one with the second alone.
    const { augmentationChecksum } = record('mended/tuto/1/config.json') as typeof first;
    expect([first.augmentationChecksum, now.sha256]).not.toContain(augmentationChecksum);
    // From now on it needs no flag.
    await json(...resume, '--steps', '13');

    rmSync(path('brittle.ts'));
    const prune = ['prune', 'tuto/1', '--sparsity', '0.5', '--steps', '2', '--threads', '1'];
    await json(...prune, '-o', 'pruned.safetensors', '--runs-dir', 'mended');
    expect(record('mended/tuto/2/config.json')).toMatchObject({ augmentWith: path('brittle.ts'), augmentationChecksum });
    rmSync(path(`mended/tuto/1/augmentation-file.json`));
    rmSync(path(`mended/tuto/2`), { recursive: true });
    const lost = await ablate(...prune, '-o', 'again.safetensors', '--runs-dir', 'mended');
    expect([lost.code, lost.stderr]).toEqual([
      2,
      expect.stringContaining('brittle.ts is gone, which the network was trained with'),
    ]);
    expect(lost.stderr).toContain('--set augmentWith=none');
    const without = await ablate(...prune, '-o', 'again.safetensors', '--runs-dir', 'mended', '--set', 'augmentWith=none');
    expect(without.code, without.stderr).toBe(0);
  },
);
