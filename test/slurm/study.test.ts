/** A study as a job array of a real Slurm, and runs through the commands of any other scheduler. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeNoiseImages } from '../noise-images.ts';
import { openMpi, whyNoOpenMpi } from '../mpi/launch.ts';
import { main, runCli, type Finished } from '../run-cli.ts';
import { startSlurm, whyNoSlurm, type SlurmCluster } from './cluster.ts';
import { skippable } from '../skippable.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-slurm-'));
  writeNoiseImages(join(folder, 'images'), { train: 16, test: 4 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Two variants with each seed. */
function writeStudy(name: string, launcher: string): string {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(
    path,
    `name: ${name}
dataset: images:images
baseline: { model: cs231n, steps: 2, batchSize: 8, learningRate: 0.01, dense1.features: 8 }
design: one-at-a-time
factors:
  - { name: faster, set: { learningRate: 0.02 } }
seeds: [1, 2]
${launcher}
`,
  );
  return path;
}

/** One run fails when it is started for the first time, as if its disk were full. */
function failOnce(): string {
  const path = join(folder, 'fail-once.cjs');
  writeFileSync(
    path,
    `const run = process.argv[process.argv.indexOf('--resume') + 1];
if (process.argv.includes('train') && /\\/3$/.test(run)) {
  let first = true;
  try { require('fs').mkdirSync(run + '/failed-once'); } catch { first = false; }
  if (first) { console.error('error: no space left on device'); process.exit(1); }
}
`,
  );
  return path;
}

const whyNot = whyNoSlurm();

describe.skipIf(whyNot)(skippable('on a Slurm of one node', whyNot), () => {
  let cluster: SlurmCluster;
  beforeAll(async () => {
    cluster = await startSlurm(join(folder, 'slurm'), 2);
  }, 120_000);
  afterAll(() => cluster.stop());

  const study = (path: string, runs: string, more: Record<string, string> = {}): Promise<Finished> =>
    runCli(['study', path, '--launcher', 'slurm', '--no-latency', '--runs-dir', runs, '--json'], {
      cwd: folder,
      environment: { ...cluster.environment, ...more },
    });

  const whyNotPmix = whyNoPmix();

  test.skipIf(whyNotPmix)(
    skippable('srun trains one model on two processes', whyNotPmix),
    () => {
      const args = [
        'train',
        'cs231n',
        '--data',
        'images:images',
        '--steps',
        '4',
        '--batch-size',
        '8',
        '--set',
        'dense1.features=8',
      ];
      const command = [process.execPath, main, ...args, '--threads', '1', '--runs-dir', 'srun', '--json'];
      const { status, stdout, stderr } = spawnSync('srun', ['--mpi=pmix', '--ntasks=2', ...command], {
        cwd: folder,
        env: { ...process.env, ...cluster.environment },
        encoding: 'utf8',
        timeout: 60_000,
      });
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('2 processes with 1 thread');
      expect(JSON.parse(stdout)).toMatchObject({ model: 'cs231n', step: 4 });
      expect(readdirSync(join(folder, 'srun', 'cs231n'))).toHaveLength(1);
    },
    90_000,
  );

  test('a study of four runs, of which two fit, is one array; the run that fails succeeds when it is submitted again', async () => {
    const path = writeStudy('four', 'slurm: { partition: test, cpus: 1, time: 10, options: [--nice=0] }');
    const { code, stdout, stderr } = await study(path, 'runs', { NODE_OPTIONS: `--require=${failOnce()}` });
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ study: 'four' });
    const jobs = join(folder, 'runs', '.studies', 'four', 'jobs');
    const submissions = readdirSync(jobs).sort();
    const exits = submissions.map((name) =>
      readdirSync(join(jobs, name))
        .filter((file) => file.endsWith('.exit'))
        .sort()
        .map((file) => Number(readFileSync(join(jobs, name, file), 'utf8'))),
    );
    expect(exits).toHaveLength(2);
    expect(exits[0]).toHaveLength(4);
    expect(exits[0]!.filter((exit) => exit === 1)).toHaveLength(1);
    expect(exits[1]).toEqual([0]);
    const states = readdirSync(join(folder, 'runs', 'cs231n')).map(
      (run) => JSON.parse(readFileSync(join(folder, 'runs', 'cs231n', run, 'status.json'), 'utf8')) as { status: string },
    );
    expect(states.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'finished'));
  });

  test.skipIf(whyNoOpenMpi)(skippable('one training on two processes of a job', whyNoOpenMpi), async () => {
    const ablate = [process.execPath, main, 'train', 'cs231n', '--data', 'images:images', '--batch-size', '8'];
    const script = join(folder, 'train.sh');
    const settings = ['--steps', '2', '--set', 'dense1.features=8', '--runs-dir', 'parallel', '--json'];
    const command = [...openMpi!.command(2), ...ablate, ...settings].join(' ');
    writeFileSync(
      script,
      `#!/bin/bash\ncd '${folder}'\n${command}\necho $? > ${script}.new && mv ${script}.new ${script}.exit\n`,
    );
    const submitted = spawnSync('sbatch', ['--ntasks=2', `--output=${script}.out`, `--error=${script}.err`, script], {
      env: { ...process.env, ...cluster.environment, ...openMpi!.environment },
      encoding: 'utf8',
    });
    expect(submitted.status, submitted.stderr).toBe(0);
    // sbatch --wait looks for the end of the job only every ten seconds.
    await expect.poll(() => existsSync(`${script}.exit`), { timeout: 100_000 }).toBe(true);
    expect(readFileSync(`${script}.exit`, 'utf8'), readFileSync(`${script}.err`, 'utf8')).toBe('0\n');
    expect(readFileSync(`${script}.err`, 'utf8')).toContain('2 processes with 1 thread');
    expect(JSON.parse(readFileSync(`${script}.out`, 'utf8'))).toMatchObject({ status: 'finished', step: 2 });
  });

  test('a partition that does not exist, and then a controller that is down, are errors that say so', async () => {
    const wrong = await study(writeStudy('wrong', 'slurm: { partition: nowhere }'), 'wrong');
    expect(wrong.stderr).toMatch(/sbatch: .*[Ii]nvalid partition/);
    expect(wrong.code).toBe(1);
    await cluster.stopController();
    const down = await study(writeStudy('down', 'slurm: { partition: test }'), 'down', cluster.impatient);
    expect(down.stderr).toMatch(/sbatch: .*(contact|connect)/i);
    expect(down.stderr).toMatch(/sinfo/);
    expect(down.code).toBe(1);
  });
});

test('a study runs through the commands of any scheduler', async () => {
  const path = writeStudy(
    'others',
    // What submits stays for the end of the job: one that nobody waits for has its number until init comes by.
    `command: { submit: '(setsid {script} > /dev/null 2>&1 & echo job $!; exec > /dev/null 2>&1; wait) &', status: 'kill -0 {id}', cancel: 'kill {id}', concurrent: 2 }`,
  );
  const args = ['study', path, '--launcher', 'command', '--no-latency', '--json', '--runs-dir', 'others'];
  const { code, stdout, stderr } = await runCli(args, { cwd: folder });
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ study: 'others' });
});

test('launchers that are not known, or lack what they need', async () => {
  const path = writeStudy('bad', '');
  for (const [args, message] of [
    [['--launcher', 'pbs'], /argument 'pbs' is invalid\. It must be one of local, slurm, command\./],
    [['--launcher', 'command'], /needs the commands of the scheduler\ncommand: \{ submit: "qsub/],
    [['--launcher', 'slurm', '--jobs', '3'], /set slurm\.concurrent in the study file/],
  ] as const) {
    const { code, stderr } = await runCli(['study', path, ...args], { cwd: folder });
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  }
});

/** Whether this Slurm's plugin finds the PMIx library, by the name that only a development package has on Debian. */
function whyNoPmix(): string | undefined {
  const found = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
  return /\blibpmix\.so /.test(found.stdout) ? undefined : 'srun cannot load PMIx (Debian: apt-get install libpmix-dev)';
}
