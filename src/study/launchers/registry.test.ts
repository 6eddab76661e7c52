import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakePrograms, type FakePrograms } from '../../../test/fake-programs.ts';
import { told } from '../../../test/told.ts';
import { describeEnvironment } from '../../runs/environment.ts';
import { createRun } from '../../runs/run-folder.ts';
import { defaultThreads } from '../../util/cpu.ts';
import type { Launcher } from '../launcher.ts';
import type { StudySource } from '../study-schema.ts';
import { createLauncher } from './registry.ts';

let programs: FakePrograms;
let folder = '';
beforeEach(() => {
  programs = fakePrograms();
  folder = join(programs.folder, 'jobs');
});
afterEach(() => programs.remove());

const source = (more: object = {}) => ({ name: 'lr', ...more }) as StudySource;
const facts = ({ name, slots, threads }: Launcher) => ({ name, slots, threads });
const commands = { submit: 'qsub {script}', status: 'qstat {id}', cancel: 'qdel {id}' };

/** What a task is asked to run. */
async function commandOfTask(launcher: Launcher): Promise<string> {
  const run = createRun(join(programs.folder, 'runs'), 'tuto', { steps: 10 }, describeEnvironment({ threads: 1 }));
  const end = await launcher.run({ run }, new AbortController().signal);
  expect(end).toEqual({ how: 'stopped', detail: '' });
  const [submission] = readdirSync(folder);
  return readFileSync(join(folder, submission!, '0.run'), 'utf8');
}

/** As a job that ends at once leaves it; the script is the last word. */
const endsAtOnce = 'for script; do :; done; echo 0 > "$(dirname "$script")/0.exit"';

test('local processes, as the command line says', () => {
  expect(facts(createLauncher('local', source(), { folder }))).toEqual({
    name: 'one local process',
    slots: 1,
    threads: defaultThreads(),
  });
  const local = createLauncher('local', source({ slurm: { cpus: 9 } }), { folder, jobs: 3, threads: 2, sideBySide: true });
  expect(facts(local)).toEqual({ name: 'side by side in local processes', slots: 64, threads: 2 });
});

test('jobs of Slurm, with what the study asks of it', async () => {
  expect(facts(createLauncher('slurm', source(), { folder }))).toEqual({ name: 'jobs of Slurm', slots: 100, threads: 1 });
  const asked = source({ slurm: { cpus: 4, concurrent: 7, partition: 'long' } });
  expect(facts(createLauncher('slurm', asked, { folder, threads: 3 }))).toEqual({ name: 'jobs of Slurm', slots: 7, threads: 3 });
  const launcher = createLauncher('slurm', asked, { folder });
  expect(facts(launcher)).toEqual({ name: 'jobs of Slurm', slots: 7, threads: 4 });
  programs.make('sbatch', { stdout: '12', before: endsAtOnce });
  programs.make('squeue');
  expect(await commandOfTask(launcher)).toMatch(/ --threads 4\)\n$/);
  const [words] = programs.calls('sbatch');
  expect(words!.slice(1, 5)).toEqual(['--job-name=ablate-lr', '--array=0-0%7', '--partition=long', '--cpus-per-task=4']);
});

test('jobs of another scheduler, through the commands of the study', async () => {
  const name = 'jobs of the command launcher';
  const plain = source({ command: commands });
  expect(facts(createLauncher('command', plain, { folder }))).toEqual({ name, slots: 100, threads: 1 });
  const asked = source({ command: { ...commands, threads: 5, concurrent: 6 } });
  expect(facts(createLauncher('command', asked, { folder, threads: 2 }))).toEqual({ name, slots: 6, threads: 2 });
  const launcher = createLauncher('command', asked, { folder });
  expect(facts(launcher)).toEqual({ name, slots: 6, threads: 5 });
  programs.make('qsub', { stdout: '12', before: endsAtOnce });
  programs.make('qstat', { code: 1 });
  expect(await commandOfTask(launcher)).toMatch(/ --threads 5\)\n$/);
  expect(programs.calls('qstat')).toEqual([['12']]);
});

test('what belongs to another launcher, or is missing', () => {
  for (const name of ['slurm', 'command'] as const) {
    const jobs = () => createLauncher(name, source({ command: commands }), { folder, jobs: 3 });
    expect(told(jobs)).toEqual({
      kind: 'ConfigurationError',
      message: `--jobs is for local processes; with --launcher ${name}, set ${name}.concurrent in the study file`,
      fix: undefined,
    });
  }
  expect(told(() => createLauncher('command', source(), { folder }))).toEqual({
    kind: 'ConfigurationError',
    message: '--launcher command needs the commands of the scheduler',
    fix: 'command: { submit: "qsub {script}", status: "qstat {id}", cancel: "qdel {id}" }    in the study file',
  });
});
