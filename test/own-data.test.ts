/** Data of the user's own, from a file to a label, by the command line: real processes, real files. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { encodePng } from '../src/runs/png.ts';
import { workingFolder } from './working-folder.ts';

const { path, read, write, record, ablate, ended, json, tensorsOf } = workingFolder('own-data');
const small = ['--set', 'conv1.filters=2', '--set', 'dense1.features=4', '--batch-size', '8', '--threads', '1'];

beforeAll(async () => {
  const { code, stdout, stderr } = await ablate('new', 'data', 'data.ts');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('npx ablate train tuto --data data.ts --epochs 20');
});

test(
  'what ablate new writes is trained on, to the same bits after a kill; a change is refused; the frozen file needs it no more',
  { timeout: 120_000 },
  async () => {
    // A rectangle, in grey: three quarters of it are 15 x 18 pixels.
    const source = read('data.ts')
      .replace('[height, width] = [32, 32]', '[height, width] = [20, 24]')
      .replace('channels: 3', 'channels: 1')
      .replaceAll('* 3', '* 1')
      .replace('colour < 3', 'colour < 1');
    write('data.ts', source);
    const args = ['train', 'cs231n', '--data', './data.ts', ...small, '--epochs', '0.4', '--save-every', '2'];
    const trained = await json(...args);
    expect(trained).toMatchObject({ run: 'cs231n/1', dataset: './data.ts', step: 10, evaluation: { images: 50 } });
    expect(record('runs/cs231n/1/data-file.json')).toMatchObject({ path: path('data.ts') });
    expect(read('runs/cs231n/1/data.mjs')).toContain('defineDataset');
    expect(record('runs/cs231n/1/config.json')).toMatchObject({ steps: 10, epochs: 'none', inputSize: [15, 18] });

    await ended({ at: /step [4-9]\//, by: 'SIGKILL' }, ...args, '--log-every', '1');
    await json('train', '--resume', 'cs231n/2');
    expect(tensorsOf('runs/cs231n/2')).toEqual(tensorsOf('runs/cs231n/1'));

    write('data.ts', `${source}// other\n`);
    const changed = await ablate('train', '--resume', 'cs231n/1', '--epochs', '1');
    expect(changed.code).toBe(2);
    expect(changed.stderr).toContain(`data.ts has changed since the run ${path('runs/cs231n/1')} was started with it`);

    await json('freeze', 'cs231n/1', '-o', 'net.onnx');
    rmSync(path('data.ts'));
    const samples = Uint8Array.from({ length: 30 * 30 * 3 }, (_, i) => i % 251);
    writeFileSync(path('colour.png'), encodePng({ width: 30, height: 30, channels: 3, samples }));
    const [label] = (await json('label', 'net.onnx', 'colour.png')) as unknown as [{ top: { label: string }[] }];
    expect(label.top.map((each) => each.label).sort()).toEqual(['horizontal', 'vertical']);
    expect(read('net.onnx')).not.toContain('data.ts');
  },
);

test('a file that is no data set, or gives wrong images, is refused with its name', { timeout: 60_000 }, async () => {
  write('none.ts', 'export default { classes: [] };\n');
  const none = await ablate('data', 'show', 'none.ts');
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('none.ts must export what defineDataset returns')]);
  write(
    'wrong.ts',
    `import { defineDataset } from 'ablate';
const images = new Uint8Array(4);
export default defineDataset({
  name: 'wrong', classes: ['a', 'b'], height: 2, width: 2, channels: 1,
  train: () => ({ images, labels: [0] }),
  test: () => ({ images, labels: [NaN] }),
});
`,
  );
  const wrong = await ablate('train', 'tuto', '--data', './wrong.ts', '--steps', '1');
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('./wrong.ts: label 0 of test (=NaN) must be an integer from 0 to 1');
  expect(existsSync(path('runs/tuto'))).toBe(false);
});

test('code that never gives its images is named, and Ctrl-C ends it', async () => {
  const code =
    "import { defineDataset } from 'ablate';\nconst give = () => {\n  for (;;);\n};\nexport default defineDataset({ name: 'x', classes: ['a', 'b'], height: 8, width: 8, train: give, test: give });\n";
  write('endless.ts', code);
  const { code: exit, stderr } = await ended({ at: /endless\.ts/, by: 'SIGINT' }, 'data', 'show', 'endless.ts');
  expect(exit).not.toBe(0);
  expect(stderr).toContain('still loading endless.ts, whose code has not ended yet');
});
