import { getEventListeners } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { told, toldLater } from '../../../test/told.ts';
import type { Run } from '../../runs/run-folder.ts';
import { lockFolder } from '../../runs/run-lock.ts';
import { writeStatus } from '../../runs/run-status.ts';
import { defaultThreads } from '../../util/cpu.ts';
import type { JobEnd } from '../launcher.ts';
import { launcherOf, localLauncher, sharedThreads, type LocalOptions } from './local.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-local-'));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const never = new AbortController().signal;
const stopped: JobEnd = { how: 'stopped', detail: '' };

function newRun(config: object = {}): Run {
  const number = readdirSync(folder).filter((name) => /^\d+$/.test(name)).length;
  const path = join(folder, String(number));
  mkdirSync(path);
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  writeStatus({ path }, { status: 'interrupted', step: 0, steps: 10 });
  return { path, model: 'tuto', number };
}

const logOf = (run: Run): string => readFileSync(join(run.path, 'output.log'), 'utf8');

/** A shell in the place of ablate: each start and its arguments are a line in `starts`, then it runs lines of sh, in which `$run` is the first run. */
function shell(lines = ''): () => [string, ...string[]] {
  return () => ['sh', '-c', `echo "$*" >> '${join(folder, 'starts')}'; run=$3\n${lines}`, 'ablate'];
}

function starts(): string[] {
  const path = join(folder, 'starts');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

/** Says that it waits until it is asked to end; it gives up after a while. */
const waits = `trap 'echo asked >&2; exit 130' TERM
echo waiting >&2
for i in $(seq 300); do sleep 0.01; done
exit 1`;

/** A process starts late on a machine with other work. */
const patiently = { interval: 5, timeout: 10_000 };

/** The files of the test that this process has open; undefined where the system does not say. */
function openFiles(): string[] | undefined {
  const descriptors = '/proc/self/fd';
  if (!existsSync(descriptors)) return undefined;
  const paths = readdirSync(descriptors).flatMap((name) => {
    try {
      return [readlinkSync(join(descriptors, name))];
    } catch {
      return []; // Closed meanwhile.
    }
  });
  return paths.filter((path) => path.startsWith(folder));
}

describe('threads', () => {
  test('are shared out among jobs, as far as processors are free; what the user says is taken', () => {
    const threadsOf = (options: LocalOptions) => localLauncher(options).threads;
    const cores = defaultThreads();
    expect(localLauncher().threads).toBe(cores);
    expect(threadsOf({ freeProcessors: 0 })).toBe(1);
    expect(threadsOf({ jobs: cores })).toBe(1);
    expect(threadsOf({ threads: 3, freeProcessors: 0 })).toBe(3);
    expect(threadsOf({ threads: 1, jobs: cores + 1 })).toBe(1);
  });

  test.each([
    [8, 1, Infinity, 8],
    [8, 3, Infinity, 2],
    [8, 1, 8.4, 8],
    [8, 1, 2.6, 3],
    [8, 2, 5.4, 2],
    [8, 2, 0.2, 1],
    [4, 4, 9, 1],
  ])('of %i cores, for %i jobs, with %d free: %i', (cores, jobs, free, threads) => {
    expect(sharedThreads(cores, jobs, free)).toBe(threads);
  });

  test('are at least one for each job', () => {
    const cores = defaultThreads();
    for (const jobs of [-1, 0, 1.5, NaN]) {
      expect(() => localLauncher({ jobs, threads: 1 })).toThrow(`jobs (=${jobs}) must be a positive integer`);
    }
    expect(told(() => localLauncher({ jobs: cores + 1 }))).toEqual({
      kind: 'ConfigurationError',
      message: `jobs (=${cores + 1}) must be at most ${cores}, the cores of this machine`,
      fix: 'give fewer --jobs, or say how many --threads each shall have',
    });
  });
});

test('a launcher says what it is', () => {
  const named = (options?: LocalOptions) => {
    const { name, slots } = localLauncher(options);
    return [name, slots];
  };
  expect(named()).toEqual(['one local process', 1]);
  expect(named({ jobs: 3, threads: 1 })).toEqual(['3 local processes', 3]);
  expect(named({ jobs: 3, threads: 1, sideBySide: true })).toEqual(['side by side in local processes', 64]);
});

describe('a run that another process trains', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));

  test.each(['finished', 'failed'] as const)('until it is %s is not trained again', async (status) => {
    const run = newRun();
    const lock = lockFolder(run.path, 'tuto/0');
    const end = launcherOf(shell(), {}).run({ run }, never);
    await vi.advanceTimersByTimeAsync(1700);
    writeStatus(run, { status, step: 10, steps: 10 });
    lock.release();
    await vi.advanceTimersByTimeAsync(300);
    expect(await end).toEqual(stopped);
    expect([starts(), vi.getTimerCount()]).toEqual([[], 0]);
  });

  test('and leaves undone is trained on', async () => {
    const run = newRun();
    const lock = lockFolder(run.path, 'tuto/0');
    const end = launcherOf(shell(), { threads: 1 }).run({ run }, never);
    await vi.advanceTimersByTimeAsync(0);
    lock.release();
    await vi.advanceTimersByTimeAsync(500);
    expect(await end).toEqual(stopped);
    expect(starts()).toEqual([`train --resume ${run.path} --threads 1`]);
  });

  test('is waited for until the study stops; it stops too if a study has started it', async () => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    const signalled = () => kill.mock.calls.filter(([, signal]) => signal !== 0);
    for (const isOfStudy of [false, true]) {
      const run = newRun();
      const lock = lockFolder(run.path, 'a run');
      if (isOfStudy) writeFileSync(join(run.path, 'output.log'), '');
      const controller = new AbortController();
      const end = launcherOf(shell(), {}).run({ run }, controller.signal);
      await vi.advanceTimersByTimeAsync(700);
      controller.abort();
      await vi.advanceTimersByTimeAsync(300);
      expect(await end).toEqual(stopped);
      expect(signalled()).toEqual(isOfStudy ? [[process.pid, 'SIGTERM']] : []);
      lock.release();
    }
    expect(starts()).toEqual([]);
  });

  test('on another machine is left to ablate train, which refuses it with the reason', async () => {
    const run = newRun();
    mkdirSync(join(run.path, 'lock'));
    writeFileSync(join(run.path, 'lock', 'held.41..a.node-1'), '');
    expect(await launcherOf(shell(), { threads: 1 }).run({ run }, never)).toEqual(stopped);
    expect(starts()).toHaveLength(1);
  });

  test('may end just before it is asked to', async () => {
    const run = newRun();
    lockFolder(run.path, 'tuto/0');
    writeFileSync(join(run.path, 'output.log'), '');
    vi.spyOn(process, 'kill').mockImplementation((_, signal) => {
      if (signal === 0) return true;
      throw new Error('kill ESRCH');
    });
    expect(await launcherOf(shell(), {}).run({ run }, AbortSignal.abort())).toEqual(stopped);
  });
});

describe('a run', () => {
  test('is trained by a process, even where it says that it is finished: it may be continued', async () => {
    const run = newRun();
    writeStatus(run, { status: 'finished', step: 10, steps: 10 });
    const job = { run, dataDir: 'images', dataUrl: 'http://images', engine: 'onednn' } as const;
    expect(await launcherOf(shell(), { threads: 3 }).run(job, never)).toEqual(stopped);
    expect(starts()).toEqual([
      `train --resume ${run.path} --threads 3 --engine onednn --data-dir images --data-url http://images`,
    ]);
  });

  test('is not trained once the study has stopped', async () => {
    expect(await launcherOf(shell(), {}).run({ run: newRun() }, AbortSignal.abort())).toEqual(stopped);
    expect(starts()).toEqual([]);
  });

  const endOf = (lines: string, run = newRun()) => launcherOf(shell(lines), {}).run({ run }, never);

  test('keeps what its process says on stderr, behind what earlier ones said', async () => {
    const run = newRun();
    await endOf('echo first >&2; echo aside', run);
    await endOf('cat >&2; echo second >&2', run);
    expect(logOf(run)).toBe('first\nsecond\n');
  });

  test.each([
    ['exit 0', 'stopped', ''],
    ['echo interrupted >&2; exit 130', 'stopped', ''],
    ['exit 3', 'failed', 'exit code 3'],
    ['echo "error: no space" >&2; echo "free some" >&2; exit 1', 'failed', 'exit code 1: error: no space / free some'],
    ['kill -9 $$', 'killed', 'the process was ended by SIGKILL'],
    ['echo step 1 >&2; kill -9 $$', 'killed', 'the process was ended by SIGKILL: step 1'],
  ] as const)('ends with its process: %s is %s', async (lines, how, detail) => {
    expect(await endOf(lines)).toEqual({ how, detail });
  });

  test('fails if its process cannot be started', async () => {
    const missing = join(folder, 'no-such-program');
    expect(await launcherOf(() => [missing], {}).run({ run: newRun() }, never)).toEqual({
      how: 'failed',
      detail: `the process could not be started (spawn ${missing} ENOENT)`,
    });
  });

  test('is an error where its process cannot say anything', async () => {
    const run = newRun();
    const log = join(run.path, 'output.log');
    mkdirSync(log);
    expect(await toldLater(endOf('', run))).toEqual({
      kind: 'AblateError',
      message: `cannot write ${log}: it is a folder, not a file (EISDIR)`,
      fix: 'check the path',
    });
    expect(starts()).toEqual([]);
  });

  test('saves and stops with the study, which leaves nothing behind', async () => {
    const controller = new AbortController();
    const run = newRun();
    const end = launcherOf(shell(waits), {}).run({ run }, controller.signal);
    await expect.poll(() => existsSync(join(run.path, 'output.log')) && logOf(run), patiently).toBe('waiting\n');
    // The log is open in the process that writes it, no longer here.
    expect(openFiles() ?? []).toEqual([]);
    controller.abort();
    expect(await end).toEqual(stopped);
    expect(logOf(run)).toBe('waiting\nasked\n');
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  test('has a process group of its own, which Ctrl-C on the terminal does not reach', async () => {
    const controller = new AbortController();
    const run = newRun();
    const end = launcherOf(shell(`echo "$$" >&2\n${waits}`), {}).run({ run }, controller.signal);
    await expect.poll(() => starts().length > 0 && logOf(run), patiently).toMatch('waiting');
    // Signals to a group: the one that is called as the process.
    expect(process.kill(-Number.parseInt(logOf(run)), 0)).toBe(true);
    controller.abort();
    expect(await end).toEqual(stopped);
  });
});

describe('side by side', () => {
  const network = (networkChecksum: string, batchSize = 8, precision = 'f32') =>
    newRun({ networkChecksum, batchSize, precision });
  const train = (...runs: readonly Run[]) => ['train', ...runs.map(({ path }) => `--resume ${path}`), '--threads 1'].join(' ');

  test('runs of one network, batch size and precision are trained by one process, one process after the other', async () => {
    const runs = [network('a'), network('b'), network('a'), network('a', 16), network('a', 8, 'bf16'), network('b')];
    const lines = `mkdir '${join(folder, 'busy')}' || exit 1; sleep 0.05; rmdir '${join(folder, 'busy')}'`;
    const launcher = launcherOf(shell(lines), { threads: 1, sideBySide: true });
    expect(await Promise.all(runs.map((run) => launcher.run({ run }, never)))).toEqual(runs.map(() => stopped));
    expect(starts()).toEqual([train(runs[0]!, runs[2]!), train(runs[1]!, runs[5]!), train(runs[3]!), train(runs[4]!)]);
    expect(await launcher.run({ run: runs[2]! }, never)).toEqual(stopped);
    expect(starts().slice(4)).toEqual([train(runs[2]!)]);
  });

  test('as many processes at a time as asked for', async () => {
    const runs = ['a', 'b', 'c'].map((name) => network(name));
    const controllers = runs.map(() => new AbortController());
    const launcher = launcherOf(shell(waits), { threads: 1, jobs: 2, sideBySide: true });
    const ends = runs.map((run, i) => launcher.run({ run }, controllers[i]!.signal));
    const waiting = () => runs.map((run) => existsSync(join(run.path, 'output.log')) && logOf(run).startsWith('waiting'));
    await expect.poll(waiting, patiently).toEqual([true, true, false]);
    controllers[1]!.abort();
    await expect.poll(waiting, patiently).toEqual([true, true, true]);
    controllers[0]!.abort();
    controllers[2]!.abort();
    expect(await Promise.all(ends)).toEqual([stopped, stopped, stopped]);
  });

  test('the log of each says where the words are', async () => {
    const runs = [network('a'), network('a'), network('a')];
    const launcher = launcherOf(shell('echo said >&2'), { threads: 1, sideBySide: true });
    await Promise.all(runs.map((run) => launcher.run({ run }, never)));
    const pointer = 'trained side by side with tuto/0, whose output.log has what was said\n';
    expect(runs.map(logOf)).toEqual(['said\n', pointer, pointer]);
    expect(openFiles() ?? []).toEqual([]);
  });

  test('what becomes of the process is not the end of runs that were over before', async () => {
    const runs = [network('a'), network('a'), network('a')];
    const launcher = launcherOf(
      () => {
        writeStatus(runs[0]!, { status: 'finished', step: 10, steps: 10 });
        writeStatus(runs[1]!, { status: 'failed', step: 3, steps: 10 });
        return shell('echo "error: no space" >&2; exit 1')();
      },
      { threads: 1, sideBySide: true },
    );
    const failed = { how: 'failed', detail: 'exit code 1: error: no space' };
    expect(await Promise.all(runs.map((run) => launcher.run({ run }, never)))).toEqual([stopped, stopped, failed]);
  });

  test('a run that is stopped while it waits is not trained; a group of none starts nothing', async () => {
    const runs = [network('a'), network('b'), network('a'), network('c')];
    const controllers = runs.map(() => new AbortController());
    const command = vi.fn(shell());
    const launcher = launcherOf(command, { threads: 1, sideBySide: true });
    const ends = runs.map((run, i) => launcher.run({ run }, controllers[i]!.signal));
    await Promise.resolve();
    controllers[1]!.abort();
    controllers[2]!.abort();
    expect(await Promise.all(ends)).toEqual([stopped, stopped, stopped, stopped]);
    expect(starts()).toEqual([train(runs[0]!), train(runs[3]!)]);
    expect(command).toHaveBeenCalledTimes(2);
  });

  test('a run whose configuration is damaged says so, and is in the way of no other', async () => {
    const runs = [network('a'), network('a'), network('a')];
    writeFileSync(join(runs[1]!.path, 'config.json'), '{"model":');
    const launcher = launcherOf(shell(), { threads: 1, sideBySide: true });
    const [first, second, third] = runs.map((run) => launcher.run({ run }, never));
    expect((await toldLater(second!)).message).toContain(join(runs[1]!.path, 'config.json'));
    expect(await Promise.all([first, third])).toEqual([stopped, stopped]);
    expect(starts()).toEqual([train(runs[0]!, runs[2]!)]);
  });

  test('a process that cannot be started for one network is in the way of no other', async () => {
    const runs = [network('a'), network('a'), network('b')];
    const log = join(runs[1]!.path, 'output.log');
    mkdirSync(log);
    const launcher = launcherOf(shell(), { threads: 1, sideBySide: true });
    const [first, second, third] = runs.map((run) => launcher.run({ run }, never));
    const error = {
      kind: 'AblateError',
      message: `cannot write ${log}: it is a folder, not a file (EISDIR)`,
      fix: 'check the path',
    };
    expect(await Promise.all([toldLater(first!), toldLater(second!)])).toEqual([error, error]);
    expect(await third).toEqual(stopped);
    expect(starts()).toEqual([train(runs[2]!)]);
  });
});
