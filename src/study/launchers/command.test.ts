import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakePrograms, type FakePrograms } from '../../../test/fake-programs.ts';
import { toldLater } from '../../../test/told.ts';
import { commandScheduler } from './command.ts';

let programs: FakePrograms;
beforeEach(() => {
  programs = fakePrograms();
  for (const name of ['qsub', 'qstat', 'qdel']) programs.make(name);
});
afterEach(() => programs.remove());

const scheduler = (more: object = {}) =>
  commandScheduler({ submit: 'qsub -V {script}', status: 'qstat {id}', cancel: 'qdel {id}', ...more });
const fix = 'correct "command" in the study file';

test('each script is submitted by itself; its id is the last word that is printed', async () => {
  programs.make('qsub', { stdout: 'Your job  has\tthe id\n 31.server \n' });
  expect(await scheduler().submit({ array: 'job.sh', tasks: ["it's 0.sh", '1.sh'] })).toEqual(['31.server', '31.server']);
  expect(programs.calls('qsub')).toEqual([
    ['-V', "it's 0.sh"],
    ['-V', '1.sh'],
  ]);
});

test('a script that is submitted without an id, or refused', async () => {
  const submitted = () => toldLater(scheduler().submit({ array: 'job.sh', tasks: ['0.sh'] }));
  expect(await submitted()).toEqual({ kind: 'AblateError', message: '"qsub -V {script}" printed no job id', fix });
  programs.make('qsub', { stderr: 'qsub: no such queue', code: 2 });
  expect(await submitted()).toEqual({ kind: 'AblateError', message: 'env: qsub: no such queue', fix });
});

test('a job exists while its command succeeds', async () => {
  const status = 'qstat {id} && test {id} != 2';
  expect(await scheduler({ status }).states(['1', '2', '3'])).toEqual(
    new Map([
      ['1', 'running'],
      ['3', 'running'],
    ]),
  );
  expect(programs.calls('qstat')).toEqual([['1'], ['2'], ['3']]);
});

test('what cannot be asked is not taken for a job that is gone', async () => {
  await expect(scheduler().states(['1\0'])).rejects.toThrow(TypeError);
});

test('a job is stopped', async () => {
  programs.make('qdel', { stdout: 'words of no interest' });
  await scheduler().stop('31.server', 'running');
  expect(programs.calls('qdel')).toEqual([['31.server']]);
  programs.make('qdel', { stderr: 'qdel: Unknown Job Id', code: 1 });
  expect(await toldLater(scheduler().stop('31', 'waiting'))).toEqual({
    kind: 'AblateError',
    message: 'env: qdel: Unknown Job Id',
    fix,
  });
});

test('commands are lines of a shell, in which only their own places are filled in', async () => {
  const cancel = `echo {id} {id}x {script} {} '{id-}' \${HOME:+home} > "${join(programs.folder, 'line')}"`;
  await scheduler({ cancel }).stop('3  1', 'running');
  expect(readFileSync(join(programs.folder, 'line'), 'utf8')).toBe('3  1 3  1x {script} {} {id-} home\n');
});

test('a place may be in quotes', async () => {
  const cancel = `printf '<%s>' "{id}" '{id}' {id} x{id} > "${join(programs.folder, 'line')}"`;
  await scheduler({ cancel }).stop('3  1', 'running');
  expect(readFileSync(join(programs.folder, 'line'), 'utf8')).toBe('<3  1><3  1><3  1><x3  1>');
});

test('nothing is known of a job that is gone', async () => {
  await expect(scheduler().explain('31')).resolves.toBeUndefined();
});

test('is called the command launcher', () => {
  expect(scheduler().name).toBe('the command launcher');
});
