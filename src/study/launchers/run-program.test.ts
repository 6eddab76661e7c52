import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakePrograms, type FakePrograms } from '../../../test/fake-programs.ts';
import { toldLater } from '../../../test/told.ts';
import { runProgram } from './run-program.ts';

let programs: FakePrograms;
beforeEach(() => {
  programs = fakePrograms();
});
afterEach(() => programs.remove());

const failure = (message: string) => ({ kind: 'AblateError', message, fix: 'the fix' });

test('what a program prints, without the blanks around it; what else it says is not its answer', async () => {
  programs.make('queue', { stdout: '\n  1 RUNNING\n 2 PENDING \n\n', stderr: 'a warning' });
  expect(await runProgram('queue', ['a b', '--c=*', ''], 'the fix')).toBe('1 RUNNING\n 2 PENDING');
  expect(programs.calls('queue')).toEqual([['a b', '--c=*', '']]);
});

test('a program that is missing', async () => {
  expect(await toldLater(runProgram('no-such-program', [], 'the fix'))).toEqual(failure('no-such-program: it was not found'));
});

test('one that fails: the last two lines that it said', async () => {
  programs.make('submit', { stdout: 'job 1', stderr: 'one\ntwo\nInvalid partition\n\n', code: 1 });
  const work = runProgram('submit', [], 'the fix');
  expect(await toldLater(work)).toEqual(failure('submit: two / Invalid partition'));
  expect(await work.catch((error: unknown) => (error as Error).cause)).toMatchObject({ code: 1, killed: false });
  programs.make('submit', { stderr: 'only this', code: 1 });
  expect(await toldLater(runProgram('submit', [], 'the fix'))).toEqual(failure('submit: only this'));
});

test('one that fails without a word', async () => {
  programs.make('submit', { stderr: ' \n', code: 3 });
  expect(await toldLater(runProgram('submit', ['job.sh'], 'the fix'))).toEqual(
    failure('submit: Command failed: submit job.sh\n \n'),
  );
});

test('one that does not answer in time', async () => {
  expect(await toldLater(runProgram('sleep', ['60'], 'the fix', 50))).toEqual(failure('sleep: no answer'));
});

test('what cannot be given to a program is no failure of it', async () => {
  await expect(runProgram('echo', ['a\0b'], 'the fix')).rejects.toThrow(TypeError);
});
