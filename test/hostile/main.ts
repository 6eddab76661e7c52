/**
 * Throws bad input at every command, each in a process of its own, and says what was not taken well:
 *
 *     npm run hostile                       600 inputs
 *     npm run hostile -- --count 2000 --seed 7
 *     npm run hostile -- --only 17          this one, and its folder is kept
 *     npm run hostile -- --shared           many in one process: quicker
 *     npm run hostile -- --record           and writes the counts to docs/results/robustness.json
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import compileSources from '../compile-sources.ts';
import { recordRobustness } from '../robustness-record.ts';
import { main, program } from '../run-cli.ts';
import { SharedProcess } from '../shared-process.ts';
import { describeOutcome, tryCase } from './cases.ts';
import type { Prepared } from './family.ts';
import { makeFixtures } from './fixtures.ts';
import { inOwnProcess, inTurn } from './run-command.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '600' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    shared: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const only = values.only?.split(',').map(Number);
const numbers = only ?? Array.from({ length: Number(values.count) }, (_, i) => Number(values.first) + i);

const folder = mkdtempSync(join(tmpdir(), 'ablate-hostile-'));
mkdirSync(join(folder, 'fixtures'));
compileSources();
console.error('making valid input');
const fixtures = await makeFixtures(join(folder, 'fixtures'));
const ownProcess = inOwnProcess([main]);
const codes = new Map<string, number>();
const wrong: string[] = [];
let done = 0;

async function work(): Promise<void> {
  const shared = new SharedProcess(program);
  const inShared = inTurn(shared);
  for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
    const run = ({ serves }: Prepared) => (values.shared && serves !== true ? inShared : ownProcess);
    const outcome = await tryCase(number, { seed, fixtures, folder, run, keep: only !== undefined });
    const code = String(outcome.ended.code);
    codes.set(code, (codes.get(code) ?? 0) + 1);
    done++;
    if (outcome.problems.length > 0) wrong.push(`input ${outcome.number}: ${outcome.problems.join('; ')}`);
    if (outcome.problems.length > 0 || only !== undefined) console.log(`${describeOutcome(outcome)}\n`);
    if (done % 50 === 0) console.error(`${done} inputs, ${wrong.length} not taken well`);
  }
  shared.dispose();
}

await Promise.all(Array.from({ length: Number(values.jobs) }, work));
const each = [...codes].sort().map(([code, count]) => `${count} with exit code ${code}`);
console.log(`${done} bad inputs (seed ${seed}): ${wrong.length} not taken well; ${each.join(', ')}`);
if (only === undefined) rmSync(folder, { recursive: true, force: true });
else console.log(`the folders are in ${folder}`);
if (values.record)
  recordRobustness('hostile', { seed, inputs: done, notTakenWell: wrong, exitCodes: Object.fromEntries([...codes].sort()) });
process.exitCode = wrong.length > 0 ? 1 : 0;
