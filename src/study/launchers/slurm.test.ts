import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fakePrograms, type FakePrograms } from '../../../test/fake-programs.ts';
import { toldLater } from '../../../test/told.ts';
import { parseQueue, slurm } from './slurm.ts';

let programs: FakePrograms;
beforeEach(() => {
  programs = fakePrograms();
});
afterEach(() => programs.remove());

const submission = { array: '/jobs/1/job.sh', tasks: ['/jobs/1/0.sh', '/jobs/1/1.sh', '/jobs/1/2.sh'] };
const controllerFix = 'check with sinfo that the controller is up and this machine belongs to the cluster';

describe('submitting', () => {
  test('asks for nothing that the study does not ask for', async () => {
    programs.make('sbatch', { stdout: '123\n' });
    expect(await slurm('ablate-lr', {}).submit(submission)).toEqual(['123_0', '123_1', '123_2']);
    expect(programs.calls('sbatch')).toEqual([
      ['--parsable', '--job-name=ablate-lr', '--array=0-2', '--output=/dev/null', '/jobs/1/job.sh'],
    ]);
  });

  test('hands on each wish of the study, its own options last', async () => {
    programs.make('sbatch', { stdout: '77;north\n' });
    const wishes = { partition: 'gpu', account: 'lab', time: '1:30:00', cpus: 4, memory: '8G', concurrent: 5 };
    const scheduler = slurm('ablate-lr', { ...wishes, options: ['--constraint=avx512', '--nice=0'] });
    expect(await scheduler.submit({ array: 'job.sh', tasks: ['0.sh'] })).toEqual(['77_0']);
    expect(programs.calls('sbatch')).toEqual([
      [
        ...['--parsable', '--job-name=ablate-lr', '--array=0-0%5'],
        ...['--partition=gpu', '--account=lab', '--time=1:30:00', '--cpus-per-task=4', '--mem=8G'],
        ...['--output=/dev/null', '--constraint=avx512', '--nice=0', 'job.sh'],
      ],
    ]);
  });

  test('is refused', async () => {
    programs.make('sbatch', { stderr: 'sbatch: error: invalid partition specified: nowhere', code: 1 });
    expect(await toldLater(slurm('ablate-lr', {}).submit(submission))).toEqual({
      kind: 'AblateError',
      message: 'sbatch: sbatch: error: invalid partition specified: nowhere',
      fix: `${controllerFix}; or correct "slurm" in the study file`,
    });
  });
});

describe('states', () => {
  test('are asked for of all the tasks of the user', async () => {
    programs.make('squeue', { stdout: '12_0 RUNNING\n12_1 PENDING\n' });
    expect(await slurm('ablate-lr', {}).states(['12_0', '12_1'])).toEqual(
      new Map([
        ['12_0', 'running'],
        ['12_1', 'waiting'],
      ]),
    );
    expect(programs.calls('squeue')).toEqual([['--me', '--noheader', '--array', '--format=%i %T']]);
  });

  test('are not known while the controller is down', async () => {
    programs.make('squeue', { stderr: 'slurm_load_jobs error: Unable to contact slurm controller', code: 1 });
    expect(await toldLater(slurm('ablate-lr', {}).states([]))).toEqual({
      kind: 'AblateError',
      message: 'squeue: slurm_load_jobs error: Unable to contact slurm controller',
      fix: controllerFix,
    });
  });

  // https://slurm.schedmd.com/squeue.html, "JOB STATE CODES"
  test.each([
    ...['PENDING', 'CONFIGURING', 'REQUEUED', 'REQUEUE_HOLD', 'REQUEUE_FED', 'SPECIAL_EXIT'].map((name) => [name, 'waiting']),
    ...['RUNNING', 'COMPLETING', 'SUSPENDED', 'STOPPED', 'STAGE_OUT', 'SIGNALING', 'RESIZING'].map((name) => [name, 'running']),
    ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'DEADLINE', 'FAILED'].map((name) => [name, 'gone']),
    ...['NODE_FAIL', 'OUT_OF_MEMORY', 'PREEMPTED', 'TIMEOUT'].map((name) => [name, 'gone']),
  ] as [string, string][])('%s is %s', (name, state) => {
    expect(parseQueue(`1_0 ${name}`)).toEqual(new Map(state === 'gone' ? [] : [['1_0', state]]));
  });

  test('are read from lines with any blanks; one that is cut off says nothing', () => {
    expect(parseQueue('  12_0   RUNNING  \n\n \n12_1 \tPENDING\n12_2 COMPLETED\n12_3\n12_4 RUNNING more')).toEqual(
      new Map([
        ['12_0', 'running'],
        ['12_1', 'waiting'],
        ['12_4', 'running'],
      ]),
    );
    expect(parseQueue('')).toEqual(new Map());
  });
});

describe('stopping', () => {
  test('signals the script of a task that runs, and removes one that waits', async () => {
    programs.make('scancel', { stdout: 'words of no interest' });
    const scheduler = slurm('ablate-lr', {});
    await scheduler.stop('12_3', 'running');
    await scheduler.stop('12_4', 'waiting');
    expect(programs.calls('scancel')).toEqual([['--batch', '--signal=TERM', '12_3'], ['12_4']]);
  });

  test('is refused', async () => {
    programs.make('scancel', { stderr: 'scancel: error: Invalid job id 12_3', code: 1 });
    expect(await toldLater(slurm('ablate-lr', {}).stop('12_3', 'running'))).toEqual({
      kind: 'AblateError',
      message: 'scancel: scancel: error: Invalid job id 12_3',
      fix: controllerFix,
    });
  });
});

describe('explaining', () => {
  const explained = (): Promise<string | undefined> => slurm('ablate-lr', {}).explain('12_3');

  test('is what the accounting says last', async () => {
    programs.make('sacct', { stdout: 'NODE_FAIL\nTIMEOUT\n' });
    expect(await explained()).toBe('TIMEOUT');
    expect(programs.calls('sacct')).toEqual([['--noheader', '--parsable2', '--allocations', '--format=State', '--jobs=12_3']]);
    programs.make('sacct', { stdout: '\n' });
    expect(await explained()).toBeUndefined();
  });

  test('has no answer where there is no accounting', async () => {
    programs.make('sacct', { stderr: 'Slurm accounting storage is disabled', code: 1 });
    expect(await explained()).toBeUndefined();
    vi.stubEnv('PATH', '/nowhere');
    expect(await explained()).toBeUndefined();
  });

  test('says what else is wrong', async () => {
    programs.make('sacct', { stderr: 'sacct: error: Problem talking to the database', code: 1 });
    expect(await explained()).toBe('sacct: sacct: error: Problem talking to the database');
  });
});

test('is called Slurm', () => {
  expect(slurm('ablate-lr', {}).name).toBe('Slurm');
});
