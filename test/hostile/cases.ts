/** Bad input by number: the same number and seed always make the same. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Draw } from './draw.ts';
import { augmentationFiles } from './families/augmentation-files.ts';
import { codeFiles } from './families/code-files.ts';
import { configFiles } from './families/config-files.ts';
import { dataFiles } from './families/data-files.ts';
import { flags } from './families/flags.ts';
import { frozen } from './families/frozen.ts';
import { pictures } from './families/pictures.ts';
import { runFolders } from './families/run-folders.ts';
import { specialFiles } from './families/special-files.ts';
import { studyFiles } from './families/study-files.ts';
import { weights } from './families/weights.ts';
import type { Family, Prepared } from './family.ts';
import type { Fixtures } from './fixtures.ts';
import { judge } from './judge.ts';
import { removeScratch, type Ended, type RunCommand } from './run-command.ts';
import { changed, snapshot } from './snapshot.ts';
import type { Limits } from './watch.ts';

/** In turn, so that any stretch of numbers has some of each. */
const families: readonly (readonly [name: string, family: Family])[] = [
  ['flags', flags],
  ['weights', weights],
  ['frozen', frozen],
  ['special files', specialFiles],
  ['run folders', runFolders],
  ['pictures', pictures],
  ['flags', flags],
  ['study files', studyFiles],
  ['weights', weights],
  ['special files', specialFiles],
  ['frozen', frozen],
  ['run folders', runFolders],
  ['data files', dataFiles],
  ['code files', codeFiles],
  ['augmentation files', augmentationFiles],
  ['config files', configFiles],
];

export const limits: Limits = { seconds: 20, bytes: 2e9 };

export interface Outcome {
  readonly number: number;
  readonly family: string;
  readonly prepared: Prepared;
  readonly ended: Ended;
  /** What is wrong; nothing if the command took the input well. */
  readonly problems: readonly string[];
}

export interface Setting {
  readonly seed: number;
  readonly fixtures: Fixtures;
  /** Each case has a folder in it while it runs. */
  readonly folder: string;
  /** Of several ways to run commands, that for this case. */
  readonly run: (prepared: Prepared) => RunCommand;
  /** Leaves the folder of the case there. */
  readonly keep?: boolean;
}

/** Makes the case of this number, runs its command and judges. */
export async function tryCase(number: number, { seed, fixtures, folder, run, keep = false }: Setting): Promise<Outcome> {
  const [family, make] = families[number % families.length]!;
  const scratch = join(folder, String(number));
  removeScratch(scratch);
  const cwd = join(scratch, 'work');
  mkdirSync(cwd, { recursive: true });
  try {
    const prepared = await make({ folder: cwd, fixtures, draw: new Draw(seed, 'hostile input', number) });
    const before = snapshot(cwd);
    const ended = await run(prepared)({ args: prepared.args, cwd, scratch, serves: prepared.serves === true }, limits);
    return { number, family, prepared, ended, problems: judge(prepared, ended, changed(before, snapshot(cwd))) };
  } finally {
    if (!keep) removeScratch(scratch);
  }
}

/** A case in words: what was wrong with the input, and what with the answer. */
export function describeOutcome({ number, family, prepared, ended, problems }: Outcome): string {
  const args = prepared.args.map((arg) => (arg.length > 100 ? `${arg.slice(0, 100)}...` : arg)).map((arg) => JSON.stringify(arg));
  const heading = `#${number} (${family}): ${prepared.what}\n  ablate ${args.join(' ')}`;
  const { code, seconds, peakBytes, stderr } = ended;
  const figures = `exit code ${code ?? '?'}, ${seconds.toFixed(1)} s, ${Math.round(peakBytes / 1e6)} MB`;
  const end = stderr.trim().split('\n').slice(-12).join('\n    ').slice(-1500);
  // eslint-disable-next-line no-control-regex -- they are not to reach the terminal
  return `${heading}\n  ${problems.join('; ')}  [${figures}]\n    ${end}`.replace(/[\u0000-\u0009\u000b-\u001f\u007f]/g, '?');
}
