import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { toldLater } from '../../../test/told.ts';
import type { Run } from '../../runs/run-folder.ts';
import { lockFolder } from '../../runs/run-lock.ts';
import { writeStatus } from '../../runs/run-status.ts';
import { AblateError } from '../../util/errors.ts';
import type { JobEnd } from '../launcher.ts';
import { ablateCommand } from './ablate-command.ts';
import { batchLauncher, type BatchOptions } from './batch.ts';
import type { Scheduler, Submission, TaskState } from './scheduler.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate batch-'));
  // Time passes only where a test waits for what ends later.
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'],
    now: Date.parse('2026-01-31T12:00:00.000Z'),
  });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

/** Milliseconds since the test began. */
function now(): number {
  return Date.now() - Date.parse('2026-01-31T12:00:00.000Z');
}

/** Lets time pass until work has ended. */
async function ended<T>(work: Promise<T>): Promise<T> {
  const state = { over: false };
  const mark = () => {
    state.over = true;
  };
  work.then(mark, mark);
  for (let timers = 0; !state.over; timers++) {
    if (timers === 1000) throw new Error('it does not end');
    await vi.advanceTimersToNextTimerAsync();
  }
  return await work;
}

function newRun(): Run {
  const number = existsSync(join(folder, 'runs')) ? readdirSync(join(folder, 'runs', 'tuto')).length : 0;
  const path = join(folder, 'runs', 'tuto', String(number));
  mkdirSync(path, { recursive: true });
  writeStatus({ path }, { status: 'running', step: 0, steps: 10 });
  return { path, model: 'tuto', number };
}

interface FakeScheduler extends Scheduler {
  readonly submissions: Submission[];
  /** When it was asked for the states of which tasks. */
  readonly asked: (readonly [number, readonly string[]])[];
  /** When which task was to be stopped, and the state in which it was. */
  readonly stopped: (readonly [number, string, TaskState])[];
  readonly explained: string[];
  readonly existing: Map<string, TaskState>;
}

/** Tasks are gone at once, leaving what `leave` writes beside their script; those in `existing` stay. */
function fake(leave: (script: string, submission: number) => void = () => undefined): FakeScheduler {
  const submissions: Submission[] = [];
  const existing = new Map<string, TaskState>();
  const scheduler: FakeScheduler = {
    ...{ name: 'a fake', submissions, asked: [], stopped: [], explained: [], existing },
    submit(submission) {
      submissions.push(submission);
      for (const script of submission.tasks) leave(script, submissions.length);
      return Promise.resolve(submission.tasks.map((_, task) => `${submissions.length}_${task}`));
    },
    states(ids) {
      scheduler.asked.push([now(), ids]);
      return Promise.resolve(new Map(existing));
    },
    stop(id, state) {
      scheduler.stopped.push([now(), id, state]);
      existing.delete(id);
      return Promise.resolve();
    },
    explain(id) {
      scheduler.explained.push(id);
      return Promise.resolve('NODE_FAIL');
    },
  };
  return scheduler;
}

/** The times are those that users have. */
const options = (more: Partial<BatchOptions> = {}): BatchOptions => ({
  folder: join(folder, 'jobs'),
  threads: 2,
  slots: 4,
  ...more,
});
const once = { resubmissions: 0 };
const never = new AbortController().signal;
const stopped: JobEnd = { how: 'stopped', detail: '' };

/** What a task of the first submission leaves. */
function leaves(scheduler: FakeScheduler, kind: string, text: string, task = 0): void {
  writeFileSync(scheduler.submissions[0]!.tasks[task]!.replace(/sh$/, kind), text);
}

function exits(script: string, code: number, begun = ''): void {
  writeFileSync(script.replace(/sh$/, 'begun'), begun);
  writeFileSync(script.replace(/sh$/, 'exit'), `${code}\n`);
}

test('a launcher says what it is', () => {
  expect(batchLauncher(fake(), options())).toMatchObject({ name: 'jobs of a fake', slots: 4, threads: 2 });
});

describe('a submission', () => {
  test('has all runs that are asked for together; what comes later has its own', async () => {
    const scheduler = fake((script) => exits(script, 0));
    const { run } = batchLauncher(scheduler, options());
    const together = [newRun(), newRun()].map((each) => run({ run: each }, never));
    const later = new Promise<JobEnd>((resolve) => setTimeout(() => resolve(run({ run: newRun() }, never)), 299));
    const muchLater = new Promise<JobEnd>((resolve) => setTimeout(() => resolve(run({ run: newRun() }, never)), 301));
    expect(await ended(Promise.all([...together, later, muchLater]))).toEqual([stopped, stopped, stopped, stopped]);
    const first = join(folder, 'jobs', `2026-01-31T12-00-00-300Z-${process.pid}`);
    const second = join(folder, 'jobs', `2026-01-31T12-00-00-601Z-${process.pid}`);
    expect(scheduler.submissions).toEqual([
      { array: join(first, 'job.sh'), tasks: ['0.sh', '1.sh', '2.sh'].map((name) => join(first, name)) },
      { array: join(second, 'job.sh'), tasks: [join(second, '0.sh')] },
    ]);
    expect(scheduler.asked).toEqual([
      [300, ['1_0', '1_1', '1_2']],
      [601, ['2_0']],
    ]);
  });

  test('leaves what each task runs in its folder, and who trains a run in the folder of the run', async () => {
    const scheduler = fake((script) => exits(script, 0));
    const { run } = batchLauncher(scheduler, options());
    const [first, second] = [newRun(), newRun()];
    await ended(Promise.all([run({ run: first }, never), run({ run: second, dataDir: "it's here", engine: 'onednn' }, never)]));
    const place = dirname(scheduler.submissions[0]!.array);
    const written = (name: string) => readFileSync(join(place, name), 'utf8');
    const names = ['0.begun', '0.exit', '0.run', '0.sh', '1.begun', '1.exit', '1.run', '1.sh', 'job.sh'];
    expect(readdirSync(place)).toEqual(names);
    const program = ablateCommand().join(' ');
    expect(written('0.run')).toBe(
      `log='${first.path}/output.log'\ncommand=(${program} train --resume '${first.path}' --threads 2)\n`,
    );
    expect(written('1.run')).toBe(
      `log='${second.path}/output.log'\ncommand=(${program} train --resume '${second.path}' --threads 2 --engine onednn --data-dir 'it'\\''s here')\n`,
    );
    expect(written('1.sh')).toBe(`#!/bin/bash\nSLURM_ARRAY_TASK_ID=1 exec bash '${place}/job.sh'\n`);
    expect(written('job.sh')).toBe(`#!/bin/bash
# Trains one run of a study: that of this task's number.
task=$SLURM_ARRAY_TASK_ID
place='${place}'
cd ${process.cwd()} || exit 1
source "$place/$task.run" || exit 1
"\${command[@]}" >> "$log" 2>&1 < /dev/null &
child=$!
trap 'kill -TERM "$child"' TERM INT
# Added, as a scheduler may begin a task again on another machine. HOSTNAME may be that of the submission.
echo "$(uname -n) $child" >> "$place/$task.begun"
wait "$child"
code=$?
# A request to end ends the wait, not yet the training.
while [ "$code" -gt 128 ] && kill -0 "$child" 2> /dev/null; do
  wait "$child"
  code=$?
done
echo "$code" > "$place/$task.exit.new" && mv "$place/$task.exit.new" "$place/$task.exit"
exit "$code"
`);
    const mode = (name: string) => statSync(join(place, name)).mode & 0o700;
    expect(['0.sh', 'job.sh', '0.run'].map(mode)).toEqual([0o700, 0o700, 0o600]);
    expect(readFileSync(join(second.path, 'job.json'), 'utf8')).toBe(
      `{"scheduler":"a fake","id":"1_1","folder":"${place}","task":1}\n`,
    );
  });

  test('that the scheduler refuses fails for all its runs; the next is another', async () => {
    const scheduler = fake((script) => exits(script, 0));
    const { run } = batchLauncher({ ...scheduler, submit: refuseOnce(scheduler) }, options());
    const ends = [newRun(), newRun()].map((each) => toldLater(run({ run: each }, never)));
    const refused = { kind: 'AblateError', message: 'sbatch: invalid partition', fix: 'another' };
    expect(await ended(Promise.all(ends))).toEqual([refused, refused]);
    expect(await ended(run({ run: newRun() }, never))).toEqual(stopped);
    expect(scheduler.submissions.map(({ tasks }) => tasks.length)).toEqual([1]);
  });

  function refuseOnce(scheduler: FakeScheduler): Scheduler['submit'] {
    let refuses = true;
    return (submission) => {
      if (!refuses) return scheduler.submit(submission);
      refuses = false;
      return Promise.reject(new AblateError('sbatch: invalid partition', { fix: 'another' }));
    };
  }

  test('that cannot be written says so', async () => {
    const place = join(folder, 'jobs', `2026-01-31T12-00-00-300Z-${process.pid}`);
    mkdirSync(join(place, '0.run'), { recursive: true });
    const { run } = batchLauncher(fake(), options());
    expect(await ended(toldLater(run({ run: newRun() }, never)))).toEqual({
      kind: 'AblateError',
      message: `cannot write ${place}: it is a folder, not a file (EISDIR)`,
      fix: 'check the path',
    });
    const other = batchLauncher(fake(), options({ folder: join(place, 'nowhere', '\0') }));
    await expect(ended(other.run({ run: newRun() }, never))).rejects.toThrow(TypeError);
  });

  test('is not made for a study that has stopped', async () => {
    const scheduler = fake();
    expect(await ended(batchLauncher(scheduler, options()).run({ run: newRun() }, AbortSignal.abort()))).toEqual(stopped);
    expect([now(), scheduler.submissions]).toEqual([0, []]);
  });
});

describe('the scheduler is asked', () => {
  test('every 5 seconds, about all tasks at once; a task that is gone without a word may be seen 20 seconds later', async () => {
    const scheduler = fake();
    scheduler.existing.set('1_0', 'waiting').set('1_1', 'running');
    setTimeout(() => scheduler.existing.delete('1_0'), 6000);
    setTimeout(() => scheduler.existing.delete('1_1'), 11_000);
    const ends: number[] = [];
    const { run } = batchLauncher(scheduler, options(once));
    await ended(Promise.all([newRun(), newRun()].map((each) => run({ run: each }, never).then(() => ends.push(now())))));
    expect(scheduler.asked).toEqual([
      [300, ['1_0', '1_1']],
      [5300, ['1_0', '1_1']],
      [10_300, ['1_0', '1_1']],
      [15_300, ['1_1']],
    ]);
    expect(ends).toEqual([30_300, 35_300]);
    expect(scheduler.explained).toEqual(['1_0', '1_1']);
  });

  test('each second about a task whose exit code is there', async () => {
    const scheduler = fake();
    scheduler.existing.set('1_0', 'running');
    setTimeout(() => leaves(scheduler, 'exit', '0'), 1500);
    setTimeout(() => scheduler.existing.clear(), 3500);
    expect(await ended(batchLauncher(scheduler, options({ pollMs: 3_600_000 })).run({ run: newRun() }, never))).toEqual(stopped);
    expect(scheduler.asked.map(([time]) => time)).toEqual([300, 2300, 3300, 4300]);
    expect(now()).toBe(4300);
  });

  test('more often if that is wanted', async () => {
    const scheduler = fake((script) => exits(script, 0));
    scheduler.existing.set('1_0', 'running');
    setTimeout(() => scheduler.existing.clear(), 450);
    await ended(batchLauncher(scheduler, options({ pollMs: 100 })).run({ run: newRun() }, never));
    expect(scheduler.asked.map(([time]) => time)).toEqual([300, 400, 500]);
  });

  test('again while it does not answer; after 10 minutes of silence that is an error', async () => {
    const scheduler = fake();
    const { states } = scheduler;
    scheduler.existing.set('1_0', 'running');
    const silent = () => {
      scheduler.states = () => Promise.reject(new AblateError('squeue: Unable to contact slurm controller'));
    };
    silent();
    // A word between two silences, each shorter than that.
    setTimeout(() => {
      scheduler.states = states;
    }, 500_000);
    setTimeout(silent, 504_000);
    const end = ended(toldLater(batchLauncher(scheduler, options()).run({ run: newRun() }, never)));
    expect(await end).toEqual({
      kind: 'AblateError',
      message: 'a fake does not answer: squeue: Unable to contact slurm controller',
      fix: 'Jobs that run go on. Once it answers again, the same ablate study finds them',
    });
    expect(scheduler.asked).toEqual([[500_300, ['1_0']]]);
    expect(now()).toBe(505_300 + 605_000);
  });

  test('as long as the user is patient', async () => {
    const scheduler = fake();
    const silence = new Error('not an answer');
    scheduler.states = () => Promise.reject(silence);
    const end = batchLauncher(scheduler, options({ patienceMs: 0, pollMs: 50 })).run({ run: newRun() }, never);
    expect((await ended(toldLater(end))).message).toBe('a fake does not answer: not an answer');
    const { cause } = (await end.catch((error: unknown) => error as Error)) as Error;
    expect([cause, now()]).toEqual([silence, 350]);
  });
});

describe('a task that is gone', () => {
  const endOf = async (scheduler: FakeScheduler, more: Partial<BatchOptions> = once, run = newRun()): Promise<JobEnd> =>
    await ended(batchLauncher(scheduler, options(more)).run({ run }, never));

  test.each([
    [0, 'stopped', ''],
    [130, 'stopped', ''],
    [1, 'failed', 'job 1_0 ended with exit code 1'],
    [128, 'failed', 'job 1_0 ended with exit code 128'],
    [129, 'killed', 'job 1_0 ended with exit code 129'],
  ] as const)('with exit code %i is %s', async (code, how, detail) => {
    const scheduler = fake((script) => exits(script, code));
    expect(await endOf(scheduler)).toEqual({ how, detail });
    // Known at once, and from its own words.
    expect([now(), scheduler.explained]).toEqual([300, []]);
  });

  test('leaves its exit code a moment later, on another machine', async () => {
    const scheduler = fake();
    setTimeout(() => leaves(scheduler, 'exit', '0'), 20_200);
    expect(await endOf(scheduler)).toEqual(stopped);
    expect(now()).toBe(20_300);
    const inVain = fake();
    setTimeout(() => leaves(inVain, 'exit', '0'), 401 + now());
    expect(await endOf(inVain, { ...once, visibleMs: 100 })).toMatchObject({ how: 'failed' });
  });

  test('and failed is submitted again, once; then what it said last is told', async () => {
    const scheduler = fake((script, submission) => exits(script, submission === 1 ? 3 : 0));
    expect(await endOf(scheduler, {})).toEqual(stopped);
    expect(scheduler.submissions).toHaveLength(2);
    const hopeless = fake((script) => exits(script, 3));
    const run = newRun();
    writeFileSync(join(run.path, 'output.log'), 'step 1\nerror: no space left\nfree some\n');
    expect(await endOf(hopeless, {}, run)).toEqual({
      how: 'failed',
      detail: 'job 2_0 ended with exit code 3: error: no space left / free some',
    });
    expect(hopeless.submissions).toHaveLength(2);
    const often = fake((script) => exits(script, 3));
    await endOf(often, { resubmissions: 3 });
    expect(often.submissions).toHaveLength(4);
  });

  test('and recorded why its training failed is not submitted again', async () => {
    const run = newRun();
    const scheduler = fake((script) => {
      writeStatus(run, { status: 'failed', step: 3, steps: 10, reason: 'the loss is not a number' });
      exits(script, 1);
    });
    expect(await endOf(scheduler, {}, run)).toMatchObject({ how: 'failed' });
    expect(scheduler.submissions).toHaveLength(1);
  });

  test('without a word was killed if it had begun; if not, its machine may not see the folder', async () => {
    const killed = fake((script) => writeFileSync(script.replace(/sh$/, 'begun'), ''));
    expect(await endOf(killed)).toEqual({
      how: 'killed',
      detail: 'job 1_0 was ended from outside (NODE_FAIL): cancelled, out of time, or its machine was lost',
    });
    const blind = fake();
    expect(await endOf(blind)).toEqual({
      how: 'failed',
      detail: `job 1_0 is gone without having begun (NODE_FAIL): it was cancelled, or its machine does not see ${dirname(blind.submissions[0]!.array)}, which must be on a shared file system`,
    });
    blind.explain = () => Promise.resolve(undefined);
    expect((await endOf(blind)).detail).toMatch(/^job 2_0 is gone without having begun: it was cancelled, or /);
  });

  test('for the scheduler, but whose training goes on reporting, is waited for', async () => {
    const run = newRun();
    const scheduler = fake();
    let reports = 0;
    const timer = setInterval(() => {
      writeStatus(run, { status: 'running', step: ++reports, steps: 100 });
      if (reports === 50) leaves(scheduler, 'exit', '0');
    }, 1000);
    expect(await endOf(scheduler, {}, run)).toEqual(stopped);
    clearInterval(timer);
    expect([scheduler.submissions.length, reports]).toEqual([1, 50]);
    expect(scheduler.asked.map(([time]) => time)).toEqual([300, 21_300, 42_300]);
    expect(scheduler.explained).toEqual([]);
  });

  test('and whose training last reported that it does not run is not waited for', async () => {
    const run = newRun();
    setTimeout(() => writeStatus(run, { status: 'interrupted', step: 5, steps: 10 }), 1000);
    expect(await endOf(fake(), once, run)).toMatchObject({ how: 'failed' });
    expect(now()).toBe(20_300);
  });
});

/** A lock as a process on another machine makes it. */
function lockFrom(run: Run, host: string, pid: number): string {
  const path = join(run.path, 'lock', `held.${pid}..a.${host}`);
  mkdirSync(join(run.path, 'lock'));
  writeFileSync(path, '');
  return path;
}

describe('the lock of a run', () => {
  test('is taken away from a task whose machine was lost, not from another process', async () => {
    const lost = fake((script) => writeFileSync(script.replace(/sh$/, 'begun'), 'node-1 41\nnode-2 42\n'));
    const heldBy = async (host: string, pid: number, scheduler = lost) => {
      const run = newRun();
      const lock = lockFrom(run, host, pid);
      await ended(batchLauncher(scheduler, options(once)).run({ run }, never));
      return existsSync(lock);
    };
    expect(await heldBy('node-1', 41)).toBe(false);
    expect(await heldBy('node-2', 42)).toBe(false);
    expect(await heldBy('node-2', 41)).toBe(true);
    expect(await heldBy('node-3', 42)).toBe(true);
    const inOrder = fake((script) => exits(script, 0));
    expect(await heldBy('node-3', 42, inOrder)).toBe(true);
    expect(await heldBy('node-3', 42, fake())).toBe(true);
  });

  test('is not taken away from a process of this machine, which gives it back itself', async () => {
    const run = newRun();
    const lock = lockFolder(run.path, 'tuto/0');
    const scheduler = fake((script) => writeFileSync(script.replace(/sh$/, 'begun'), `${hostname()} ${process.pid}\n`));
    await ended(batchLauncher(scheduler, options(once)).run({ run }, never));
    expect(readdirSync(join(run.path, 'lock'))[0]).toMatch(`held.${process.pid}.`);
    lock.release();
  });

  test('is taken away from a machine that was lost while no study ran', async () => {
    const run = newRun();
    const begins = fake((script) => exits(script, 0, 'node-1 41\n'));
    await ended(batchLauncher(begins, options()).run({ run }, never));
    rmSync(begins.submissions[0]!.tasks[0]!.replace(/sh$/, 'exit'));
    const lock = lockFrom(run, 'node-1', 41);
    expect(await ended(batchLauncher(begins, options()).run({ run }, never))).toMatchObject({ how: 'killed' });
    expect([existsSync(lock), begins.submissions.length]).toEqual([false, 1]);
  });
});

test('the script of a task records the process that it began, and how it ended', async () => {
  const scheduler = fake((script) => {
    writeFileSync(script.replace(/sh$/, 'run'), `log='${join(folder, 'log')}'\ncommand=(bash -c 'echo $$; exit 7')\n`);
    expect(spawnSync('bash', [script], { env: { ...process.env, HOSTNAME: 'the-submitting-host' } }).status).toBe(7);
  });
  await ended(batchLauncher(scheduler, options(once)).run({ run: newRun() }, never));
  const left = (kind: string) => readFileSync(scheduler.submissions[0]!.tasks[0]!.replace(/sh$/, kind), 'utf8');
  expect([left('begun'), left('exit')]).toEqual([`${hostname()} ${readFileSync(join(folder, 'log'), 'utf8')}`, '7\n']);
});

describe('a job of an earlier study', () => {
  /** A run that was a job, which is over. */
  async function earlierRun(scheduler: FakeScheduler): Promise<Run> {
    const run = newRun();
    await ended(batchLauncher(scheduler, options()).run({ run }, never));
    scheduler.asked.length = 0;
    return run;
  }

  test('is waited for while the scheduler knows it', async () => {
    const scheduler = fake((script) => exits(script, 0));
    const run = await earlierRun(scheduler);
    scheduler.existing.set('1_0', 'running');
    setTimeout(() => scheduler.existing.clear(), 1500);
    expect(await ended(batchLauncher(scheduler, options()).run({ run }, never))).toEqual(stopped);
    expect(scheduler.submissions).toHaveLength(1);
    expect(scheduler.asked).toEqual([
      [300, ['1_0']],
      [1300, ['1_0']],
      [2300, ['1_0']],
    ]);
  });

  test('is not waited for if it is over, belongs to another scheduler, or its record is damaged', async () => {
    const scheduler = fake((script) => exits(script, 0));
    const run = await earlierRun(scheduler);
    expect(await ended(batchLauncher(scheduler, options()).run({ run }, never))).toEqual(stopped);
    expect(scheduler.submissions).toHaveLength(2);
    expect(scheduler.asked.map(([, ids]) => ids)).toEqual([['1_0'], ['2_0']]);

    const other = { ...fake((script) => exits(script, 0)), name: 'another' };
    other.existing.set('2_0', 'running');
    expect(await ended(batchLauncher(other, options()).run({ run }, never))).toEqual(stopped);
    expect(other.submissions).toHaveLength(1);

    writeFileSync(join(run.path, 'job.json'), '{"scheduler":"a fake","id":7}');
    expect(await ended(batchLauncher(scheduler, options()).run({ run }, never))).toEqual(stopped);
    expect(scheduler.submissions).toHaveLength(3);
  });
});

describe('a study that is stopped', () => {
  /** Stops the study at a time. */
  function stopAt(ms: number): AbortSignal {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), ms);
    return controller.signal;
  }

  test('stops its jobs at once, and waits until they are gone, however they end', async () => {
    const scheduler = fake();
    scheduler.existing.set('1_0', 'running');
    scheduler.stop = (...given) => {
      scheduler.stopped.push([now(), ...given]);
      return Promise.resolve();
    };
    setTimeout(() => {
      scheduler.existing.clear();
      leaves(scheduler, 'exit', '143');
    }, 11_500);
    expect(await ended(batchLauncher(scheduler, options()).run({ run: newRun() }, stopAt(1700)))).toEqual(stopped);
    expect(scheduler.stopped).toEqual([[1700, '1_0', 'running']]);
    expect(scheduler.asked.map(([time]) => time)).toEqual([300, 5700, 10_700, 11_700]);
    expect(scheduler.submissions).toHaveLength(1);
  });

  test('leaves nothing to wait for of jobs in the queue', async () => {
    const scheduler = fake();
    scheduler.existing.set('1_0', 'waiting').set('1_1', 'waiting').set('1_2', 'running');
    const signal = stopAt(500);
    const { run } = batchLauncher(scheduler, options({ pollMs: 1000 }));
    const times: number[] = [];
    const ends = [newRun(), newRun(), newRun()].map((each) =>
      run({ run: each }, signal).then((end) => {
        times.push(now());
        return end;
      }),
    );
    expect(await ended(Promise.all(ends))).toEqual([stopped, stopped, stopped]);
    expect(scheduler.stopped).toEqual([
      [500, '1_0', 'waiting'],
      [500, '1_1', 'waiting'],
      [500, '1_2', 'running'],
    ]);
    expect([times, scheduler.explained]).toEqual([[1500, 1500, 21_500], ['1_2']]);
    expect(scheduler.submissions).toHaveLength(1);
  });

  test('asks again where the scheduler did not take it, and ends with a job that has ended by itself', async () => {
    const scheduler = fake((script) => exits(script, 0));
    scheduler.existing.set('1_0', 'running');
    const tries: number[] = [];
    scheduler.stop = () => {
      if (tries.push(now()) === 3) scheduler.existing.clear();
      return Promise.reject(new AblateError('scancel: Invalid job id specified'));
    };
    expect(await ended(batchLauncher(scheduler, options()).run({ run: newRun() }, stopAt(600)))).toEqual(stopped);
    expect(tries).toEqual([600, 1600, 2600]);
  });

  test('does not hide what is wrong with the program', async () => {
    const scheduler = fake();
    scheduler.existing.set('1_0', 'running');
    scheduler.stop = () => Promise.reject(new TypeError('a defect'));
    await expect(ended(batchLauncher(scheduler, options()).run({ run: newRun() }, stopAt(600)))).rejects.toThrow('a defect');
  });

  test('does not submit again what failed meanwhile', async () => {
    const scheduler = fake();
    scheduler.existing.set('1_0', 'running');
    setTimeout(() => {
      scheduler.existing.clear();
      leaves(scheduler, 'exit', '3');
    }, 2050);
    const signal = stopAt(2100);
    expect(await ended(batchLauncher(scheduler, options()).run({ run: newRun() }, signal))).toEqual({
      how: 'failed',
      detail: 'job 1_0 ended with exit code 3',
    });
    expect([scheduler.submissions.length, scheduler.stopped]).toEqual([1, []]);
  });
});
