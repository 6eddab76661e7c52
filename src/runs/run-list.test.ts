import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeEnvironment } from './environment.ts';
import { createRun, type Run } from './run-folder.ts';
import { listRuns } from './run-list.ts';
import { readStatus, writeStatus, type RunState } from './run-status.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-list-'));
// Not at once: ten thousand folders would keep the test runner waiting.
afterAll(() => rm(folder, { recursive: true }), 300_000);
const environment = describeEnvironment({ threads: 2 });

function newRun(root: string): Run {
  return createRun(root, 'tuto', { steps: 100 }, environment);
}

/** Changes fields of a status file behind the back of its process. */
function forge(run: Run, changes: object): void {
  const path = join(run.path, 'status.json');
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...changes }));
}

test('a status is read as it was written, with who wrote it', () => {
  const run = newRun(join(folder, 'status'));
  expect(readStatus(run)).toMatchObject({ status: 'running', step: 0, steps: 100, pid: process.pid, host: hostname() });
  writeStatus(run, { status: 'failed', step: 40, steps: 100, accuracy: 0.5, reason: 'the loss is NaN' });
  expect(readStatus(run)).toMatchObject({ status: 'failed', step: 40, steps: 100, accuracy: 0.5, reason: 'the loss is NaN' });
  expect(Math.abs(Date.parse(readStatus(run).updatedAt) - Date.now())).toBeLessThan(60_000);
});

test('a running run whose process is gone is interrupted; one on another host may still run', () => {
  const run = newRun(join(folder, 'gone'));
  const { pid } = spawnSync('true');
  forge(run, { pid, step: 7 });
  expect(readStatus(run)).toMatchObject({ status: 'interrupted', step: 7, reason: `process ${pid} is gone` });
  forge(run, { host: 'elsewhere.example' });
  expect(readStatus(run).status).toBe('running');
  forge(run, { host: hostname(), status: 'finished' });
  expect(readStatus(run).status).toBe('finished');
});

test('a missing or damaged status does not spoil the list', () => {
  const root = join(folder, 'damaged');
  const [missing, torn, other] = [newRun(root), newRun(root), newRun(root)];
  rmSync(join(missing.path, 'status.json'));
  writeFileSync(join(torn.path, 'status.json'), '{"status":"fini');
  writeFileSync(join(other.path, 'status.json'), 'null');
  for (const summary of listRuns(root)) {
    expect(summary).toMatchObject({ status: 'interrupted', step: 0 });
    expect(summary.reason).toContain('status.json cannot be read');
  }
});

test('lists ten thousand runs by model and number, and filters them', async () => {
  const root = join(folder, 'many');
  const template = newRun(join(folder, 'template'));
  const models = ['alex2', 'nin2', 'squeeze1', 'tuto'];
  const states: readonly RunState[] = ['finished', 'failed', 'interrupted', 'running', 'finished'];
  for (const model of models) {
    await mkdir(join(root, model), { recursive: true });
    for (let number = 1; number <= 2500; number++) {
      const path = join(root, model, String(number));
      if (number === 1) await cp(template.path, path, { recursive: true });
      else await mkdir(path);
      const status = { status: states[number % 5], step: number, steps: 2500, accuracy: number / 2500, pid: process.pid };
      await writeFile(
        join(path, 'status.json'),
        JSON.stringify({ ...status, host: hostname(), updatedAt: '2026-01-01T00:00:00.000Z' }),
      );
    }
  }
  const all = listRuns(root);
  const expected = models.flatMap((model) => Array.from({ length: 2500 }, (_, i) => `${model}/${i + 1}`));
  expect(all.map(({ run }) => run)).toEqual(expected);
  expect(
    all.every(
      ({ number, step, status, accuracy }) => step === number && status === states[number % 5] && accuracy === number / 2500,
    ),
  ).toBe(true);
  expect(listRuns(root, { model: 'nin2' }).map(({ run }) => run)).toEqual(expected.slice(2500, 5000));
  expect(listRuns(root, { model: 'nin2', status: 'failed' }).map(({ number }) => number % 5)).toEqual(Array(500).fill(1));
  expect(listRuns(root, { model: 'absent' })).toEqual([]);
}, 300_000);

test('a folder that is not there holds no runs', () => {
  expect(listRuns(join(folder, 'absent'))).toEqual([]);
});
