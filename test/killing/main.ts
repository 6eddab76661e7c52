/**
 * kill -9 at random moments of a training that saves every other step, a study, a pruning and a compression; each is resumed, and has
 * to end as if nothing had happened:
 *
 *     npm run kill                                200, 50, 50 and 50 kills
 *     npm run kill -- --training 20 --study 0 --pruning 0 --compression 0
 *     npm run kill -- --record                    and writes the counts to docs/results/robustness.json
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import compileSources from '../compile-sources.ts';
import { main } from '../run-cli.ts';
import { makeFirstFixtures } from '../hostile/fixtures.ts';
import { recordRobustness } from '../robustness-record.ts';
import { killAndResume, type Tally } from './kill.ts';
import { works } from './work.ts';

const { values } = parseArgs({
  options: {
    training: { type: 'string', default: '200' },
    study: { type: 'string', default: '50' },
    pruning: { type: 'string', default: '50' },
    compression: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    record: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'ablate-kill-'));
mkdirSync(join(folder, 'fixtures'));
compileSources();
const fixtures = await makeFirstFixtures(join(folder, 'fixtures'));
const tallies: Tally[] = [];
for (const [name, work] of Object.entries(works(fixtures))) {
  const kills = Number(values[name as keyof typeof values]);
  if (kills === 0) continue;
  const place = join(folder, name);
  const onKill = (done: number) => {
    if (done % 10 === 0) console.error(`${name}: ${done} kills`);
  };
  const tally = await killAndResume({
    work,
    kills,
    folder: place,
    entry: [main],
    seed: Number(values.seed),
    onKill,
  });
  tallies.push(tally);
  for (const problem of tally.problems) console.log(problem);
  console.log(`${name}: ${tally.kills} kills, ${tally.ended} times to the same end, ${tally.problems.length} problems`);
}
if (values.record) recordRobustness('kill', { seed: Number(values.seed), work: tallies });
const wrong = tallies.flatMap(({ problems }) => problems).length;
if (wrong === 0) rmSync(folder, { recursive: true, force: true });
else console.log(`what is left is in ${folder}`);
process.exitCode = wrong > 0 ? 1 : 0;
