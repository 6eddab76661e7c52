/** `--patience`, `--max-time` and the best checkpoint: real processes, real files. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bestCheckpoint, listCheckpoints } from '../src/runs/checkpoint.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { metricsPath, openRun } from '../src/runs/run-folder.ts';
import { readStatus } from '../src/runs/run-status.ts';
import { writeNoiseImages } from './noise-images.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-stopping-'));
writeNoiseImages(join(folder, 'images'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });
const small = ['conv1.filters=2', 'conv2.filters=2', 'dense1.features=4', 'dense2.features=4', 'inputSize=8'];
const training = ['train', 'tuto', '--data', 'images:images', '--batch-size', '8', '--threads', '1', '--no-ema'];
const options = [...training, ...small.flatMap((assignment) => ['--set', assignment])];

test('stops for want of improvement, keeps the best, and goes on when asked', { timeout: 60_000 }, async () => {
  // A rate at which nothing changes: the second evaluation is no better than the first.
  const flat = ['--learning-rate', '1e-12', '--steps', '30', '--eval-every', '2', '--val'];
  const { code, stdout, stderr } = await ablate(...options, ...flat, '--patience', '2', '--json');
  expect(code, stderr).toBe(0);
  const result = JSON.parse(stdout) as Record<string, unknown>;
  expect(result).toMatchObject({ run: 'tuto/1', status: 'interrupted', stopped: 'patience', step: 6, best: { step: 2 } });
  const run = openRun(join(folder, 'runs/tuto/1'));
  expect(listCheckpoints(run).at(-1)!.step).toBe(6);
  expect(readStatus(run)).toMatchObject({
    status: 'interrupted',
    step: 6,
    reason: expect.stringContaining('--patience') as string,
  });
  const accuracies = readMetrics(metricsPath(run)).flatMap(({ step, metrics }) =>
    metrics['val/accuracy'] === undefined ? [] : [{ step, accuracy: metrics['val/accuracy'] }],
  );
  expect(accuracies.map(({ step }) => step)).toEqual([2, 4, 6]);
  expect(bestCheckpoint(run)).toMatchObject(accuracies[0]!);

  const evaluated = await ablate('eval', 'tuto/1@best', '--json');
  expect(evaluated.code, evaluated.stderr).toBe(0);
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ step: 2 });
  // Its evaluations before count: with the same patience there is nothing left to do.
  const again = await ablate('train', '--resume', 'tuto/1', '--patience', '2');
  expect(again.code, again.stderr).toBe(0);
  expect(again.stderr).toContain('stopped after step 6: none of the last 2 evaluations was better than that of step 2');
  expect(again.stdout).toContain('at step 2 (ablate eval tuto/1@best)');
});

test('stops when the time is over, and goes on to the same end', { timeout: 60_000 }, async () => {
  const stopped = await ablate(...options, '--steps', '4', '--max-time', '0.001s', '--json');
  expect(stopped.code, stopped.stderr).toBe(0);
  expect(JSON.parse(stopped.stdout)).toMatchObject({
    run: 'tuto/2',
    status: 'interrupted',
    stopped: 'time',
    step: 1,
    best: null,
  });
  expect(existsSync(join(folder, 'runs/tuto/2/checkpoints/best.safetensors'))).toBe(false);
  const rest = await ablate('train', '--resume', 'tuto/2', '--max-time', '1h', '--json');
  expect(JSON.parse(rest.stdout)).toMatchObject({ status: 'finished', stopped: 'steps', step: 4 });
  expect(JSON.parse(readFileSync(join(folder, 'runs/tuto/2/status.json'), 'utf8'))).toMatchObject({ status: 'finished' });
});

test('impossible limits are refused', { timeout: 60_000 }, async () => {
  const refused = async (...limit: readonly string[]) => await ablate(...options, '--steps', '2', ...limit);
  for (const time of ['0', '-1h', '2 days', '0s', '5']) {
    expect(await refused('--max-time', time)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('for example 90s, 30m, 2h or 1h30m') as string,
    });
  }
  expect(await refused('--patience', '2')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('patience needs validation images') as string,
  });
  expect(await ablate('eval', 'tuto/2@best')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('tuto/2 has no checkpoint that is the best on validation images') as string,
  });
});
