/** Augmentation of the user's own, by the command line: real processes, real files. docs/own-augmentation.md is run as it is written. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { encodePng } from '../src/runs/png.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { uint32 } from '../src/util/random.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-own-augmentation-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ablate(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

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
  for (const split of ['train', 'test']) {
    for (const [label, base] of [
      ['dark', 0],
      ['bright', 128],
    ] as const) {
      mkdirSync(inFolder(`images/${split}/${label}`), { recursive: true });
      for (let i = 0; i < 12; i++) {
        const samples = Uint8Array.from({ length: 16 * 16 * 3 }, (_, k) => base + (uint32(base + i, k) % 128));
        writeFileSync(inFolder(`images/${split}/${label}/${i}.png`), encodePng({ width: 16, height: 16, channels: 3, samples }));
      }
    }
  }
  const { code, stdout, stderr } = await ablate('new', 'augmentation', 'augment.ts');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('npx ablate train tuto --augment-with augment.ts');
});

const tensorsOf = (run: string) => loadCheckpoint(latestCheckpoint(openRun(inFolder(run)))!.path).tensors;

test(
  'what ablate new writes trains; killed, the run goes on to the same bits, without the file too',
  { timeout: 120_000 },
  async () => {
    const args = ['train', ...training, '--augment-with', './augment.ts', '--set', 'augmentation.mixup=1', '--steps', '12'];
    await json(...args);
    expect(JSON.parse(readFileSync(inFolder('runs/tuto/1/augmentation-file.json'), 'utf8'))).toMatchObject({
      path: inFolder('augment.ts'),
    });
    const onStderr = (text: string): NodeJS.Signals | undefined => (/step [6-9]\//.test(text) ? 'SIGKILL' : undefined);
    const killed = await runCli([...args, '--log-every', '1', '--save-every', '2'], { cwd: folder, onStderr });
    expect(killed.code).toBeNull();
    const written = readFileSync(inFolder('augment.ts'), 'utf8');
    writeFileSync(inFolder('augment.ts'), `${written}// other\n`);
    const refused = await ablate('train', '--resume', 'tuto/2');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('augment.ts has changed since the run')]);
    rmSync(inFolder('augment.ts'));
    await json('train', '--resume', 'tuto/2');
    expect(tensorsOf('runs/tuto/2')).toEqual(tensorsOf('runs/tuto/1'));
    writeFileSync(inFolder('augment.ts'), written);
    const other = await ablate('train', '--resume', 'tuto/2', '--steps', '14', '--augment-with', 'other.ts');
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('augmentWith (=')]);
    await json('train', '--resume', 'tuto/2', '--steps', '14', '--augment-with', 'augment.ts');
  },
);

test('the study of the page varies it and its settings, each run with a copy', { timeout: 120_000 }, async () => {
  mkdirSync(inFolder('studies'));
  writeFileSync(inFolder('studies/augment.ts'), blockOf('ts'));
  const small =
    '{ model: tuto, inputSize: 12, batchSize: 8, conv1.filters: 2, conv2.filters: 2, dense1.features: 4, dense2: false, steps: 2 }';
  const study = blockOf('yaml')
    .replace('cifar10', 'images:images?size=16')
    .replace(/^baseline: .*$/m, `baseline: ${small}`)
    .replace('seeds: 3', 'seeds: 1');
  writeFileSync(inFolder('studies/study.yaml'), study);
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
  const copies = [1, 2, 3, 4].map((run) => existsSync(inFolder(`studied/tuto/${run}/augmentation.mjs`)));
  expect(copies).toEqual([false, true, true, true]);
  expect(readFileSync(join(folder, report), 'utf8')).not.toContain(inFolder('studies'));
  writeFileSync(inFolder('studies/augment.ts'), 'export default 5;\n');
  const { code, stderr } = await ablate('study', 'studies/study.yaml', '--dry-run');
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining('study.yaml:7: ./augment.ts must export what defineAugmentation returns'),
  ]);
});

test('a failure in a thread ends the run in order, with the file and the line', async () => {
  const code =
    "import { defineAugmentation } from 'ablate';\nexport default defineAugmentation({\n  name: 'a',\n  apply() {\n    throw new Error('not today');\n  },\n});\n";
  writeFileSync(inFolder('wrong.ts'), code);
  const {
    code: exit,
    stdout,
    stderr,
  } = await ablate('train', ...training, '--steps', '2', '--augment-with', 'wrong.ts', '--runs-dir', 'failed');
  expect([exit, stdout]).toEqual([2, '']);
  expect(stderr).toContain('error: wrong.ts:5: not today');
  expect(stderr).not.toMatch(/\n {4}at /);
  expect(JSON.parse(readFileSync(inFolder('failed/tuto/1/status.json'), 'utf8'))).toMatchObject({
    status: 'failed',
    reason: 'wrong.ts:5: not today',
  });
});
