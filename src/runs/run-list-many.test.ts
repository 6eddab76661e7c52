import { mkdtempSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeEnvironment } from './environment.ts';
import { createRun } from './run-folder.ts';
import { listRuns } from './run-list.ts';
import type { RunState } from './run-status.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-list-'));
// Not at once: ten thousand folders would keep the test runner waiting.
afterAll(() => rm(folder, { recursive: true }), 300_000);

test('lists ten thousand runs by model and number, and filters them', async () => {
  const root = join(folder, 'many');
  const template = createRun(join(folder, 'template'), 'tuto', { steps: 100 }, describeEnvironment({ threads: 2 }));
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
    all.every(({ number, step, status, accuracy }) => step === number && status === states[step % 5] && accuracy === step / 2500),
  ).toBe(true);
  expect(listRuns(root, { model: 'nin2' }).map(({ run }) => run)).toEqual(expected.slice(2500, 5000));
  expect(listRuns(root, { model: 'nin2', status: 'failed' }).map(({ number }) => number! % 5)).toEqual(Array(500).fill(1));
  expect(listRuns(root, { model: 'absent' })).toEqual([]);
}, 300_000);
