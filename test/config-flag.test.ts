/** `ablate train --config`: real processes, real files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { weightsChecksum } from '../src/train/weights-checksum.ts';
import { writeNoiseImages } from './noise-images.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-config-'));
writeNoiseImages(join(folder, 'images'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });

const keys = `
model: tuto
dataset: images:images
optimizer: adamw
conv1.filters: 4
conv2.filters: 4
dense1.features: 8
batchSize: 8
steps: 3
inputSize: 8
threads: 1
`;

test('a run of a file of keys, and its repetition by the configuration that it has recorded', { timeout: 60_000 }, async () => {
  writeFileSync(join(folder, 'run.yaml'), keys);
  const first = await ablate('train', '--config', 'run.yaml', '--steps', '2', '--no-ema', '--json');
  expect(first.code, first.stderr).toBe(0);
  expect(JSON.parse(first.stdout)).toMatchObject({ run: 'tuto/1', dataset: 'images:images', step: 2 });
  const recorded = join(folder, 'runs/tuto/1/config.json');
  const config = JSON.parse(readFileSync(recorded, 'utf8')) as Record<string, unknown>;
  expect(config).toMatchObject({ optimizer: { type: 'adamw', beta1: 0.9 }, learningRate: 0.001, steps: 2, inputSize: 8 });
  const second = await ablate('train', '--config', recorded);
  expect(second.code, second.stderr).toBe(0);
  const [one, other] = [1, 2].map((n) => {
    const run = openRun(join(folder, `runs/tuto/${n}`));
    return weightsChecksum(loadCheckpoint(latestCheckpoint(run)!.path).tensors);
  });
  expect(other).toBe(one);
});

test(
  'a wrong key is told with its line, an unknown model too; a run that is continued has its keys',
  { timeout: 60_000 },
  async () => {
    writeFileSync(join(folder, 'wrong.yaml'), `${keys}momentun: 0.9\n`);
    expect(await ablate('train', '--config', 'wrong.yaml')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: wrong\.yaml:12: there is no key "momentun"/) as string,
    });
    const both = await ablate('train', '--config', 'run.yaml', '--resume', 'tuto/1');
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('--config starts a new run') as string });
  },
);
