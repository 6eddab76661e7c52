/** Bad input of every kind at every command (test/hostile); and that its watchers notice what can go wrong, which is planted here. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOutcome, tryCase } from './hostile/cases.ts';
import { uncovered } from './hostile/families/flags.ts';
import { makeFixtures } from './hostile/fixtures.ts';
import { judge } from './hostile/judge.ts';
import { inOwnProcess, inTurn, type RunCommand } from './hostile/run-command.ts';
import { changed, snapshot } from './hostile/snapshot.ts';
import { main, program } from './run-cli.ts';
import { SharedProcess } from './shared-process.ts';

const planted = join(import.meta.dirname, 'hostile', 'planted.mjs');
const shared = new SharedProcess(planted);
let folder = '';
let cases = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-hostile-test-'));
});

afterAll(() => {
  shared.dispose();
  rmSync(folder, { recursive: true, force: true });
});

async function problemsOf(run: RunCommand, fault: string, prepared: { refused?: boolean } = {}): Promise<string[]> {
  const scratch = join(folder, String(cases++));
  const cwd = join(scratch, 'work');
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, 'input'), 'as it was');
  const before = snapshot(cwd);
  const ended = await run({ args: [fault], cwd, scratch, serves: false }, { seconds: 2, bytes: 500e6 });
  return judge({ what: fault, args: [fault], ...prepared }, ended, changed(before, snapshot(cwd)));
}

const ways: readonly (readonly [string, RunCommand])[] = [
  ['a process of its own', inOwnProcess([planted])],
  ['a shared process', inTurn(shared)],
];

const faults: readonly (readonly [fault: string, noticed: readonly string[]])[] = [
  ['none', []],
  ['refuses', []],
  ['says nothing', ['failed without a word']],
  ['prints a trace', ['stack trace']],
  ['throws later', ['stack trace']],
  ['exits with 3', ['exit code 3']],
  ['segmentation fault', ['ended by SIGSEGV']],
  ['waits for ever', ['more than 2 s']],
  ['computes for ever', ['more than 2 s']],
  ['takes memory', ['more than 500 MB of memory']],
  ['has a child take memory', ['more than 500 MB of memory']],
  ['changes its input', ['changed: input']],
  ['removes its input', ['changed: input']],
  ['leaves a file', ['left in the temporary folder: left']],
  ['colours a name', ['control characters in the output']],
];

for (const [way, run] of ways) {
  for (const [fault, noticed] of faults) {
    test(`in ${way}, a command that ${fault}: ${noticed.join() || 'nothing wrong'}`, async () => {
      expect(await problemsOf(run, fault)).toEqual(noticed);
    });
  }
}

test('input that must be refused and is not', async () => {
  expect(await problemsOf(inOwnProcess([planted]), 'none', { refused: true })).toEqual(['accepted']);
});

test('only commands that need the network are left out', () => {
  expect(uncovered()).toEqual(['data fetch', 'data verify']);
});

/** `npm run hostile` tries more. Most in a few processes, to save the time of starting. */
const inputs = 60;

test(`${inputs} bad inputs are taken well`, async () => {
  mkdirSync(join(folder, 'fixtures'));
  const fixtures = await makeFixtures(join(folder, 'fixtures'));
  const several = new SharedProcess(program);
  const inSeveral = inTurn(several);
  const alone = inOwnProcess([main]);
  const wrong: string[] = [];
  for (let number = 0; number < inputs; number++) {
    const run = ({ serves }: { serves?: boolean }) => (serves === true || number % 13 === 3 ? alone : inSeveral);
    const outcome = await tryCase(number, { seed: 1, fixtures, folder, run });
    if (outcome.problems.length > 0) wrong.push(describeOutcome(outcome));
  }
  several.dispose();
  expect(wrong.join('\n')).toBe('');
}, 600_000);
