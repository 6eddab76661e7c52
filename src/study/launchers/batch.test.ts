import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeEnvironment } from '../../runs/environment.ts';
import { createRun, type Run } from '../../runs/run-folder.ts';
import { writeStatus } from '../../runs/run-status.ts';
import { AblateError } from '../../util/errors.ts';
import { batchLauncher, type BatchOptions } from './batch.ts';
import type { Scheduler, Submission, TaskState } from './scheduler.ts';
import { parseQueue } from './slurm.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-batch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function newRun(): Run {
  return createRun(join(folder, 'runs'), 'tuto', { steps: 10 }, describeEnvironment({ threads: 1 }));
}

interface FakeScheduler extends Scheduler {
  readonly submissions: Submission[];
  readonly stopped: string[];
  readonly existing: Map<string, TaskState>;
}

/** Tasks are gone at once, leaving what `leave` writes beside their script; those in `existing` stay. */
function fake(leave: (script: string, submission: number) => void): FakeScheduler {
  const submissions: Submission[] = [];
  const stopped: string[] = [];
  const existing = new Map<string, TaskState>();
  return {
    name: 'a fake',
    submissions,
    stopped,
    existing,
    submit(submission) {
      submissions.push(submission);
      for (const script of submission.tasks) leave(script, submissions.length);
      return Promise.resolve(submission.tasks.map((_, task) => `${submissions.length}_${task}`));
    },
    states: () => Promise.resolve(existing),
    stop(id) {
      stopped.push(id);
      existing.delete(id);
      return Promise.resolve();
    },
    explain: () => Promise.resolve('NODE_FAIL'),
  };
}

const options = (more: Partial<BatchOptions> = {}): BatchOptions => ({
  folder: join(folder, 'jobs'),
  threads: 2,
  slots: 4,
  pollMs: 10,
  visibleMs: 10,
  ...more,
});
const never = new AbortController().signal;

function exits(script: string, code: number, begun = ''): void {
  writeFileSync(script.replace(/sh$/, 'begun'), begun);
  writeFileSync(script.replace(/sh$/, 'exit'), `${code}\n`);
}

test('runs asked for together are one submission, each with its command', async () => {
  const scheduler = fake((script) => exits(script, 0));
  const { run } = batchLauncher(scheduler, options());
  const runs = [newRun(), newRun(), newRun()];
  const ends = await Promise.all(runs.map((each) => run({ run: each, dataDir: "it's here" }, never)));
  expect(ends).toEqual(runs.map(() => ({ how: 'stopped', detail: '' })));
  expect(scheduler.submissions).toHaveLength(1);
  const settings = readFileSync(scheduler.submissions[0]!.tasks[1]!.replace(/sh$/, 'run'), 'utf8');
  expect(settings).toContain(`train --resume ${runs[1]!.path} --threads 2 --data-dir 'it'\\''s here'`);
});

test(
  'a job that has left its exit code is asked about at once, however rarely the scheduler is asked',
  { timeout: 20_000 },
  async () => {
    const scheduler = fake(() => scheduler.existing.set('1_0', 'running'));
    setTimeout(() => {
      scheduler.existing.clear();
      exits(scheduler.submissions[0]!.tasks[0]!, 0);
    }, 1500);
    const end = await batchLauncher(scheduler, options({ pollMs: 3_600_000 })).run({ run: newRun() }, never);
    expect(end).toEqual({ how: 'stopped', detail: '' });
  },
);

test('a job that fails is submitted again, once', async () => {
  const scheduler = fake((script, submission) => exits(script, submission === 1 ? 3 : 0));
  expect(await batchLauncher(scheduler, options()).run({ run: newRun() }, never)).toEqual({ how: 'stopped', detail: '' });
  const hopeless = fake((script) => exits(script, 3));
  const run = newRun();
  writeFileSync(join(run.path, 'output.log'), 'step 1\nerror: no space left\nfree some\n');
  expect(await batchLauncher(hopeless, options()).run({ run }, never)).toEqual({
    how: 'failed',
    detail: 'job 2_0 ended with exit code 3: error: no space left / free some',
  });
});

test('a job that vanishes was killed if it had begun; if not, its machine may not see the folder', async () => {
  const killed = fake((script) => writeFileSync(script.replace(/sh$/, 'begun'), ''));
  expect(await batchLauncher(killed, options({ resubmissions: 0 })).run({ run: newRun() }, never)).toMatchObject({
    how: 'killed',
    detail: expect.stringMatching(/^job 1_0 was ended from outside \(NODE_FAIL\)/) as string,
  });
  const blind = fake(() => undefined);
  expect(await batchLauncher(blind, options({ resubmissions: 0 })).run({ run: newRun() }, never)).toMatchObject({
    how: 'failed',
    detail: expect.stringMatching(/without having begun .* its machine does not see \S+, which must be on a shared/) as string,
  });
});

test('a job that the scheduler does not know, but whose training goes on reporting, is waited for', async () => {
  const run = newRun();
  const scheduler = fake(() => undefined);
  let reports = 0;
  const timer = setInterval(() => {
    writeStatus(run, { status: 'running', step: reports, steps: 10 });
    if (++reports === 20) exits(scheduler.submissions[0]!.tasks[0]!, 0);
  }, 20);
  const end = await batchLauncher(scheduler, options({ visibleMs: 100 })).run({ run }, never);
  clearInterval(timer);
  expect(end).toEqual({ how: 'stopped', detail: '' });
  expect([scheduler.submissions.length, reports >= 20]).toEqual([1, true]);
});

/** A lock as a process on another machine makes it. */
function lockFrom(run: Run, host: string, pid: number): string {
  const path = join(run.path, 'lock', `held.${pid}..a.${host}`);
  mkdirSync(join(run.path, 'lock'));
  writeFileSync(path, '');
  return path;
}

test('the lock of a job whose machine was lost is taken away, that of another process is not', async () => {
  const lost = fake((script) => writeFileSync(script.replace(/sh$/, 'begun'), 'node-1 41\nnode-2 42\n'));
  const heldBy = async (host: string, pid: number, scheduler = lost) => {
    const run = newRun();
    const lock = lockFrom(run, host, pid);
    await batchLauncher(scheduler, options({ resubmissions: 0 })).run({ run }, never);
    return existsSync(lock);
  };
  const left = [heldBy('node-1', 41), heldBy('node-2', 42), heldBy('node-2', 41), heldBy('node-3', 42)];
  expect(await Promise.all(left)).toEqual([false, false, true, true]);
  const inOrder = fake((script) => exits(script, 0));
  expect(await heldBy('node-3', 42, inOrder)).toBe(true);
});

test('a machine that was lost while no study ran does not hold its run for ever', async () => {
  const run = newRun();
  const begins = fake((script) => exits(script, 0, 'node-1 41\n'));
  await batchLauncher(begins, options()).run({ run }, never);
  rmSync(begins.submissions[0]!.tasks[0]!.replace(/sh$/, 'exit'));
  const lock = lockFrom(run, 'node-1', 41);
  expect(await batchLauncher(begins, options()).run({ run }, never)).toMatchObject({ how: 'killed' });
  expect([existsSync(lock), begins.submissions.length]).toEqual([false, 1]);
});

test('the script of a task records the process that it began, and how it ended', async () => {
  const scheduler = fake((script) => {
    writeFileSync(script.replace(/sh$/, 'run'), `log='${join(folder, 'log')}'\ncommand=(bash -c 'echo $$; exit 7')\n`);
    expect(spawnSync('bash', [script], { env: { ...process.env, HOSTNAME: 'the-submitting-host' } }).status).toBe(7);
  });
  await batchLauncher(scheduler, options({ resubmissions: 0 })).run({ run: newRun() }, never);
  const left = (kind: string) => readFileSync(scheduler.submissions[0]!.tasks[0]!.replace(/sh$/, kind), 'utf8');
  expect([left('begun'), left('exit')]).toEqual([`${hostname()} ${readFileSync(join(folder, 'log'), 'utf8')}`, '7\n']);
});

test('a job that cannot be stopped because it has just ended ends the study all the same', async () => {
  const scheduler = fake((script) => exits(script, 0));
  scheduler.existing.set('1_0', 'running');
  scheduler.stop = () => {
    scheduler.existing.delete('1_0');
    return Promise.reject(new AblateError('scancel: Invalid job id specified'));
  };
  const controller = new AbortController();
  const end = batchLauncher(scheduler, options()).run({ run: newRun() }, controller.signal);
  setTimeout(() => controller.abort(), 500);
  expect(await end).toEqual({ how: 'stopped', detail: '' });
});

test('a job of an earlier study is waited for, not submitted again', async () => {
  const run = newRun();
  const scheduler = fake((script) => exits(script, 0));
  const launcher = batchLauncher(scheduler, options());
  const first = launcher.run({ run }, never);
  await first;
  scheduler.existing.set('1_0', 'running');
  const second = batchLauncher(scheduler, options()).run({ run }, never);
  setTimeout(() => scheduler.existing.delete('1_0'), 50);
  expect(await second).toEqual({ how: 'stopped', detail: '' });
  expect(scheduler.submissions).toHaveLength(1);
});

test('a study that is stopped stops its jobs', async () => {
  const scheduler = fake((script) => exits(script, 130));
  scheduler.existing.set('1_0', 'running');
  const controller = new AbortController();
  const end = batchLauncher(scheduler, options()).run({ run: newRun() }, controller.signal);
  setTimeout(() => controller.abort(), 500);
  expect(await end).toEqual({ how: 'stopped', detail: '' });
  expect(scheduler.stopped).toEqual(['1_0']);
});

test('jobs that are stopped in the queue have not failed, and leave nothing to wait for', async () => {
  const scheduler = fake(() => undefined);
  scheduler.existing.set('1_0', 'waiting').set('1_1', 'waiting').set('1_2', 'running');
  const controller = new AbortController();
  const { run } = batchLauncher(scheduler, options());
  const ends = [newRun(), newRun(), newRun()].map((each) => run({ run: each }, controller.signal));
  setTimeout(() => controller.abort(), 500);
  expect(await Promise.all(ends)).toEqual(Array(3).fill({ how: 'stopped', detail: '' }));
  expect(scheduler.stopped.toSorted()).toEqual(['1_0', '1_1', '1_2']);
  expect(scheduler.submissions).toHaveLength(1);
});

test('a scheduler that stays silent is an error, not an endless wait', async () => {
  const scheduler = fake(() => undefined);
  scheduler.states = () => Promise.reject(new AblateError('squeue: Unable to contact slurm controller'));
  const end = batchLauncher(scheduler, options({ patienceMs: 30 })).run({ run: newRun() }, never);
  await expect(end).rejects.toThrow('a fake does not answer: squeue: Unable to contact slurm controller');
});

test('the states of squeue', () => {
  const states = parseQueue('12_0 RUNNING\n12_1 PENDING\n12_2 COMPLETED\n13_0 COMPLETING\n');
  expect([...states]).toEqual([
    ['12_0', 'running'],
    ['12_1', 'waiting'],
    ['13_0', 'running'],
  ]);
  expect(parseQueue('')).toEqual(new Map());
});
