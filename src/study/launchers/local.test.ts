import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultThreads } from '../../util/cpu.ts';
import { describeEnvironment } from '../../runs/environment.ts';
import { createRun } from '../../runs/run-folder.ts';
import { lockRun } from '../../runs/run-lock.ts';
import { writeStatus } from '../../runs/run-status.ts';
import { localLauncher, type LocalOptions } from './local.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-local-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['finished', 'failed'] as const)(
  'a run that another process trains until it is %s is not trained again',
  async (status) => {
    const run = createRun(folder, 'tuto', { steps: 10 }, describeEnvironment({ threads: 1 }));
    const lock = lockRun(run);
    const end = localLauncher({ threads: 1 }).run({ run }, new AbortController().signal);
    writeStatus(run, { status, step: 10, steps: 10 });
    lock.release();
    expect(await end).toEqual({ how: 'stopped', detail: '' });
    // Said by a process that is started.
    expect(existsSync(join(run.path, 'output.log'))).toBe(false);
  },
);

test('threads are shared out among jobs, as far as processors are free; what the user says is taken', () => {
  const threadsOf = (options: LocalOptions) => localLauncher(options).threads;
  const cores = defaultThreads();
  expect(threadsOf({})).toBe(cores);
  expect(threadsOf({ freeProcessors: cores + 0.4 })).toBe(cores);
  expect(threadsOf({ freeProcessors: 1.4 })).toBe(1);
  expect(threadsOf({ freeProcessors: 0 })).toBe(1);
  expect(threadsOf({ jobs: cores })).toBe(1);
  expect(threadsOf({ threads: 3, freeProcessors: 0 })).toBe(3);
});
