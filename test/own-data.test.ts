/** Data of the user's own, from a file to a label, by the command line: real processes, real files. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { encodePng } from '../src/runs/png.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-own-data-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ablate(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

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
    const source = readFileSync(inFolder('data.ts'), 'utf8')
      .replace('[height, width] = [32, 32]', '[height, width] = [20, 24]')
      .replace('channels: 3', 'channels: 1')
      .replaceAll('* 3', '* 1')
      .replace('colour < 3', 'colour < 1');
    writeFileSync(inFolder('data.ts'), source);
    const args = ['train', 'cs231n', '--data', './data.ts', ...small, '--epochs', '0.4', '--save-every', '2'];
    const trained = await json(...args);
    expect(trained).toMatchObject({ run: 'cs231n/1', dataset: './data.ts', step: 10, evaluation: { images: 50 } });
    const run = inFolder('runs/cs231n/1');
    expect(JSON.parse(readFileSync(join(run, 'data-file.json'), 'utf8'))).toMatchObject({ path: inFolder('data.ts') });
    expect(readFileSync(join(run, 'data.mjs'), 'utf8')).toContain('defineDataset');
    const config = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as object;
    expect(config).toMatchObject({ steps: 10, epochs: 'none', inputSize: [15, 18] });

    const onStderr = (text: string): NodeJS.Signals | undefined => (/step [4-9]\//.test(text) ? 'SIGKILL' : undefined);
    await runCli([...args, '--log-every', '1'], { cwd: folder, onStderr });
    await json('train', '--resume', 'cs231n/2');
    const tensorsOf = (path: string) => loadCheckpoint(latestCheckpoint(openRun(inFolder(path)))!.path).tensors;
    expect(tensorsOf('runs/cs231n/2')).toEqual(tensorsOf('runs/cs231n/1'));

    writeFileSync(inFolder('data.ts'), `${source}// other\n`);
    const changed = await ablate('train', '--resume', 'cs231n/1', '--epochs', '1');
    expect(changed.code).toBe(2);
    expect(changed.stderr).toContain(`data.ts has changed since the run ${run} was started with it`);

    await json('freeze', 'cs231n/1', '-o', 'net.onnx');
    rmSync(inFolder('data.ts'));
    const samples = Uint8Array.from({ length: 30 * 30 * 3 }, (_, i) => i % 251);
    writeFileSync(inFolder('colour.png'), encodePng({ width: 30, height: 30, channels: 3, samples }));
    const [label] = (await json('label', 'net.onnx', 'colour.png')) as unknown as [{ top: { label: string }[] }];
    expect(label.top.map((each) => each.label).sort()).toEqual(['horizontal', 'vertical']);
    expect(readFileSync(inFolder('net.onnx')).includes('data.ts')).toBe(false);
  },
);

test('a file that is no data set, or gives wrong images, is refused with its name', { timeout: 60_000 }, async () => {
  writeFileSync(inFolder('none.ts'), 'export default { classes: [] };\n');
  const none = await ablate('data', 'show', 'none.ts');
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('none.ts must export what defineDataset returns')]);
  writeFileSync(
    inFolder('wrong.ts'),
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
  expect(existsSync(inFolder('runs/tuto'))).toBe(false);
});
