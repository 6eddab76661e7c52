/** One training on several processes: real mpirun, real runs. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../../src/runs/checkpoint.ts';
import { openRun } from '../../src/runs/run-folder.ts';
import { readStatus } from '../../src/runs/run-status.ts';
import type { Tensor } from '../../src/runs/safetensors.ts';
import { readMetrics } from '../../src/runs/metrics.ts';
import { runCli } from '../run-cli.ts';
import { writeNoiseImages } from '../noise-images.ts';
import { mpich, openMpi, startJob, whyNoMpich, whyNoOpenMpi, type MpiLauncher } from './launch.ts';
import { skippable } from '../skippable.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-mpi-'));
  writeNoiseImages(join(folder, 'images'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = ['--data', 'images:images', '--batch-size', '16', '--threads', '1', '--learning-rate', '0.02', '--json'];
/** Neither batch normalization nor dropout: what it computes does not depend on how the batch is divided. */
const plain = ['train', 'cs231n', ...common, '--set', 'dense1.features=16'];
const normalized = [
  ...['train', 'alex2', ...common, '--set', 'batchNorm=true', '--set', 'conv1.filters=16', '--set', 'conv2.filters=16'],
  ...['--set', 'dense1.features=16', '--set', 'dense2=false'],
];

const tenSteps = [...plain, '--steps', '10'];
let one: Promise<Map<string, Tensor>> | undefined;
const tenStepsAlone = () => (one ??= alone(tenSteps, 'one'));

/** Biases start at zero, so that they are all gradients, each rounded to 8 bits: 2^-8 of a share, and again of the sum. */
const bf16Tolerance = 0.01;

/** Trains on one process without any launcher, in its own folder of runs. */
async function alone(args: readonly string[], runs: string): Promise<Map<string, Tensor>> {
  const { code, stderr } = await runCli([...args, '--runs-dir', runs], { cwd: folder });
  expect(code, stderr).toBe(0);
  return weightsOf(args[1]!, runs);
}

async function onProcesses(
  launcher: MpiLauncher,
  processes: number,
  args: readonly string[],
  runs: string,
): Promise<Map<string, Tensor>> {
  const { code, stderr, stdout } = await startJob(launcher, processes, [...args, '--runs-dir', runs], { cwd: folder }).finished;
  expect(code, stderr).toBe(0);
  // One process reports.
  expect(JSON.parse(stdout)).toMatchObject({ status: 'finished', evaluation: { images: 22 } });
  return weightsOf(args[1]!, runs);
}

function runOf(model: string, runs: string, number = 1) {
  return openRun(join(folder, runs, model, String(number)));
}

function weightsOf(model: string, runs: string): Map<string, Tensor> {
  return new Map(loadCheckpoint(latestCheckpoint(runOf(model, runs))!.path).tensors);
}

/** The largest |a - b| / |a| over all tensors, in the norm of each. */
function distance(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>): number {
  expect([...b.keys()]).toEqual([...a.keys()]);
  const distances = [...a].map(([name, { data }]) => {
    const other = b.get(name)!.data;
    const squares = data.reduce((sum, value) => sum + value ** 2, 0);
    const differences = data.reduce((sum, value, i) => sum + (value - other[i]!) ** 2, 0);
    return Math.sqrt(differences / (squares || 1));
  });
  return Math.max(...distances);
}

describe.skipIf(whyNoOpenMpi)(skippable('with Open MPI', whyNoOpenMpi), () => {
  const launcher = openMpi!;
  const start = (processes: number, args: readonly string[], environment: Record<string, string> = {}) =>
    startJob(launcher, processes, args, { cwd: folder, environment });

  let two: Promise<Map<string, Tensor>> | undefined;
  const tenStepsOnTwo = () => (two ??= onProcesses(launcher, 2, tenSteps, 'two'));

  test('2 and 4 processes with a share of the batch each train as one process with all of it', async () => {
    const one = await tenStepsAlone();
    expect(distance(one, await tenStepsOnTwo())).toBeLessThan(1e-5);
    expect(distance(one, await onProcesses(launcher, 4, tenSteps, 'four'))).toBeLessThan(1e-5);
    const waits = readMetrics(join(runOf('cs231n', 'two').path, 'metrics.jsonl')).flatMap(
      ({ metrics }) => metrics['train/gradientWaitMs'] ?? [],
    );
    expect(Math.min(...waits)).toBeGreaterThan(0);
    expect(JSON.parse(readFileSync(join(runOf('cs231n', 'two').path, 'environment.json'), 'utf8'))).toMatchObject({
      versions: { mpi: expect.stringMatching(/^Open MPI v4/) as string },
    });
  });

  test('arrays that have to be brought to the host are summed and sent alike', async () => {
    const args = [...plain, '--set', 'conv1.filters=8', '--steps', '3'];
    const other = await onProcesses(launcher, 2, [...args, '--engine', 'reference'], 'brought');
    expect(distance(await alone(args, 'few'), other)).toBeLessThan(1e-5);
  });

  test('synchronized batch normalization is that of the whole batch; each process normalizing its own part is not', async () => {
    const args = [...normalized, '--steps', '4'];
    const one = await alone(args, 'bn-one');
    const synchronized = await onProcesses(launcher, 2, [...args, '--set', 'syncBatchNorm=true'], 'bn-sync');
    // Few steps: rounding grows with every one of a network with batch normalization, at a pace that depends on the processor.
    expect(distance(one, synchronized)).toBeLessThan(1e-5);
    expect(distance(one, await onProcesses(launcher, 2, args, 'bn-own'))).toBeGreaterThan(1e-3);
  });

  test('pruning and a teacher are on 2 processes what they are on one, after a resume too', async () => {
    await alone([...plain, '--steps', '2'], 'teacher');
    const pruned = ['--set', 'pruning.type=magnitude', '--set', 'pruning.sparsity=0.8', '--teacher', 'teacher/cs231n/1'];
    const one = await alone([...plain, '--steps', '8', ...pruned], 'pruned-one');
    const args = [...plain, '--steps', '8', '--save-every', '4', ...pruned];
    expect(distance(one, await onProcesses(launcher, 2, args, 'pruned-two'))).toBeLessThan(1e-5);
    takeBack('cs231n', 'pruned-two', 4);
    const { code, stderr } = await start(2, ['train', '--resume', 'cs231n/1', '--threads', '1', '--runs-dir', 'pruned-two'])
      .finished;
    expect(code, stderr).toBe(0);
    expect(distance(one, weightsOf('cs231n', 'pruned-two'))).toBeLessThan(1e-5);
  });

  test('gradients sent as bf16 stay close', async () => {
    const exact = await tenStepsOnTwo();
    const rounded = distance(exact, await onProcesses(launcher, 2, [...tenSteps, '--set', 'gradientPrecision=bf16'], 'bf16'));
    expect(rounded).toBeGreaterThan(0);
    expect(rounded).toBeLessThan(bf16Tolerance);
  });

  test('a network of the user on own data goes on to the bit, without the file of the network', async () => {
    const written = await runCli(['new', 'model', 'own.ts'], { cwd: folder });
    expect(written.code, written.stderr).toBe(0);
    const data = await runCli(['new', 'data', 'data.ts'], { cwd: folder });
    expect(data.code, data.stderr).toBe(0);
    const args = ['train', 'own.ts', ...common.with(1, './data.ts'), '--set', 'filters=4', '--set', 'inputSize=8'];
    const trained = await start(2, [...args, '--steps', '6', '--save-every', '3', '--runs-dir', 'own']).finished;
    expect(trained.code, trained.stderr).toBe(0);
    const straight = weightsOf('own', 'own');
    takeBack('own', 'own', 3);
    rmSync(join(folder, 'own.ts'));
    const resume = ['train', '--resume', 'own/1', '--threads', '1', '--runs-dir', 'own'];
    const { code, stderr } = await start(2, resume).finished;
    expect(code, stderr).toBe(0);
    expect(distance(straight, weightsOf('own', 'own'))).toBe(0);
  });

  test('an augmentation of the user, and mixup, are on 2 processes what they are on one; the run goes on to the bit without the file', async () => {
    const written = await runCli(['new', 'augmentation', 'own-augment.ts'], { cwd: folder });
    expect(written.code, written.stderr).toBe(0);
    const args = [...plain, '--augment-with', 'own-augment.ts', '--set', 'augmentation.mixup=1'];
    const one = await alone([...args, '--steps', '6'], 'augmented-alone');
    const straight = await onProcesses(launcher, 2, [...args, '--steps', '6', '--save-every', '3'], 'augmented');
    expect(distance(one, straight)).toBeLessThan(1e-4);
    takeBack('cs231n', 'augmented', 3);
    rmSync(join(folder, 'own-augment.ts'));
    const resume = ['train', '--resume', 'cs231n/1', '--threads', '1', '--runs-dir', 'augmented'];
    const { code, stderr } = await start(2, resume).finished;
    expect(code, stderr).toBe(0);
    expect(distance(straight, weightsOf('cs231n', 'augmented'))).toBe(0);
  });

  test('resumed on as many processes it continues to the bit, on another number nearly so', async () => {
    const straight = await onProcesses(launcher, 2, [...plain, '--steps', '8', '--save-every', '4'], 'resumed');
    takeBack('cs231n', 'resumed', 4);
    const resume = ['train', '--resume', 'cs231n/1', '--steps', '8', '--threads', '1', '--json'];
    const { code, stderr } = await start(2, [...resume, '--runs-dir', 'resumed']).finished;
    expect(code, stderr).toBe(0);
    expect(distance(straight, weightsOf('cs231n', 'resumed'))).toBe(0);
    const further = await start(4, [...resume.with(4, '12'), '--runs-dir', 'resumed']).finished;
    expect(further.code, further.stderr).toBe(0);
    expect(JSON.parse(further.stdout)).toMatchObject({ step: 12, status: 'finished' });
  });

  test('a killed process ends the job in seconds; the checkpoint is whole, and another number of processes goes on', async () => {
    let killedAt = 0;
    const job = startJob(
      launcher,
      2,
      [...plain, '--steps', '1000000', '--save-every', '5', '--log-every', '1', '--runs-dir', 'killed'],
      {
        cwd: folder,
        onStderr: (text) => {
          if (killedAt > 0 || !/^step [1-9]\d*\//m.test(text) || !hasCheckpoint('killed')) return;
          killedAt = performance.now();
          process.kill(pidOfRank(job.child.pid!, 1), 'SIGKILL');
        },
      },
    );
    const { code } = await job.finished;
    expect(killedAt).toBeGreaterThan(0);
    expect((performance.now() - killedAt) / 1000).toBeLessThan(10);
    expect(code).not.toBe(0);
    const { step } = loadCheckpoint(latestCheckpoint(runOf('cs231n', 'killed'))!.path);
    const resumed = await runCli(
      ['train', '--resume', 'cs231n/1', '--steps', String(step + 2), '--runs-dir', 'killed', '--json'],
      { cwd: folder },
    );
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ step: step + 2 });
  });

  test('a process that does not answer ends the job after the time it is given, with a message; the run can be resumed', async () => {
    let halted = false;
    const job = startJob(launcher, 2, [...plain, '--steps', '1000000', '--log-every', '1', '--runs-dir', 'silent'], {
      cwd: folder,
      environment: { ABLATE_MPI_TIMEOUT: '3' },
      onStderr: (text) => {
        if (halted || !/^step [1-9]\d*\//m.test(text)) return;
        halted = true;
        process.kill(pidOfRank(job.child.pid!, 1), 'SIGSTOP');
      },
    });
    const { code, stderr } = await job.finished;
    expect(stderr).toMatch(/the other processes did not answer for 3 s \(the sum of the gradients\)\n.*--resume/);
    expect(code).toBe(1);
    expect(readStatus(runOf('cs231n', 'silent'))).toMatchObject({ status: 'interrupted' });
  });

  test('one process that is asked to stop stops all after the same step, saved', async () => {
    let asked = false;
    const job = startJob(launcher, 2, [...plain, '--steps', '1000000', '--log-every', '1', '--runs-dir', 'stopped'], {
      cwd: folder,
      onStderr: (text) => {
        if (asked || !/^step [1-9]\d*\//m.test(text)) return;
        asked = true;
        process.kill(pidOfRank(job.child.pid!, 1), 'SIGTERM');
      },
    });
    const { code, stdout, stderr } = await job.finished;
    expect(code, stderr).toBe(130);
    const { step, status } = JSON.parse(stdout) as { step: number; status: string };
    expect(status).toBe('interrupted');
    expect(latestCheckpoint(runOf('cs231n', 'stopped'))!.step).toBe(step);
  });

  test('want of improvement and the end of the time stop all after the same step, saved', async () => {
    const flat = [...plain, '--steps', '20', '--set', 'learningRate=1e-12', '--no-ema', '--eval-every', '2', '--val'];
    const limits: [string, readonly string[], object][] = [
      ['patience', [...flat.filter((arg) => arg !== '--learning-rate' && arg !== '0.02'), '--patience', '2'], { step: 6 }],
      ['time', [...tenSteps, '--max-time', '0.001s'], { step: 1 }],
    ];
    for (const [stopped, args, expected] of limits) {
      const { code, stdout, stderr } = await startJob(launcher, 2, [...args, '--runs-dir', stopped], { cwd: folder }).finished;
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ status: 'interrupted', stopped, ...expected });
      expect(latestCheckpoint(runOf('cs231n', stopped))).toMatchObject(expected);
    }
    // With the rest of the time, on as many processes, it is what it would have been without.
    const rest = ['train', '--resume', 'cs231n/1', '--runs-dir', 'time', '--max-time', '1h', '--json'];
    const { code, stderr } = await startJob(launcher, 2, rest, { cwd: folder }).finished;
    expect(code, stderr).toBe(0);
    expect(distance(weightsOf('cs231n', 'time'), await tenStepsOnTwo())).toBe(0);
  });

  describe('refuses, on all processes at once and without waiting:', () => {
    test('an impossible limit', async () => {
      for (const [limit, expected] of [
        [['--max-time', '0s'], 'for example 90s, 30m, 2h or 1h30m'],
        [['--patience', '2'], 'patience needs validation images'],
      ] as const) {
        const args = [...plain, '--steps', '4', ...limit, '--runs-dir', 'impossible'];
        const { code, stderr, seconds } = await startJob(launcher, 2, args, { cwd: folder }).finished;
        expect([code, stderr]).toEqual([2, expect.stringContaining(expected)]);
        expect(seconds).toBeLessThan(30);
      }
      expect(existsSync(join(folder, 'impossible'))).toBe(false);
    });

    test('a batch that cannot be divided', async () => {
      const { code, stderr } = await start(3, [...plain, '--steps', '2', '--runs-dir', 'none']).finished;
      expect(stderr.match(/batchSize \(=16\) must be a multiple of the 3 processes that train together/g)).toHaveLength(1);
      expect(code).toBe(2);
    });

    test('different options', async () => {
      // Process 1 gets another seed.
      writeFileSync(join(folder, 'seed.sh'), 'exec "$@" --seed "$((OMPI_COMM_WORLD_RANK + 1))"\n');
      const { code, stderr } = await startJob(wrapped('seed.sh'), 2, [...plain, '--steps', '2', '--runs-dir', 'none'], {
        cwd: folder,
      }).finished;
      expect(stderr).toContain('process 1 differs from process 0 in their options');
      expect(code).toBe(2);
    });

    test('different images', async () => {
      for (const rank of [0, 1]) writeNoiseImages(join(folder, `host${rank}`, 'images'), { seed: rank });
      writeFileSync(join(folder, 'folder.sh'), 'cd "host$OMPI_COMM_WORLD_RANK" && exec "$@"\n');
      const { code, stderr } = await startJob(wrapped('folder.sh'), 2, [...plain, '--steps', '2'], { cwd: folder }).finished;
      expect(stderr).toContain('process 1 differs from process 0 in the images of images:images');
      expect(code).toBe(2);
    });

    test('an error of one process alone, which says where', async () => {
      writeFileSync(join(folder, 'elsewhere.sh'), 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then cd /; fi; exec "$@"\n');
      const { code, stderr, seconds } = await startJob(
        wrapped('elsewhere.sh'),
        2,
        [...plain, '--steps', '2', '--runs-dir', 'none'],
        {
          cwd: folder,
        },
      ).finished;
      expect(stderr).toMatch(/^process 1 on \S+:\n.*images/m);
      expect(code).toBe(1);
      expect(seconds).toBeLessThan(60);
    });

    test('a missing MPI library, with what installs it', async () => {
      const { code, stderr } = await start(2, plain, { ABLATE_MPI_LIBRARY: '/nowhere/libmpi.so' }).finished;
      expect(stderr).toMatch(/the library of Open MPI, whose launcher started this process, was not found/);
      expect(stderr).toContain('sudo apt-get install -y openmpi-bin, on every machine');
      expect(code).not.toBe(0);
    });

    function wrapped(script: string): MpiLauncher {
      return { ...launcher, command: (processes) => [...launcher.command(processes), 'bash', join(folder, script)] };
    }
  });

  /** As if the run had been killed after the step of its last checkpoint but one. */
  function takeBack(model: string, runs: string, step: number): void {
    const run = runOf(model, runs);
    rmSync(latestCheckpoint(run)!.path);
    expect(latestCheckpoint(run)!.step).toBe(step);
  }

  function hasCheckpoint(runs: string): boolean {
    return latestCheckpoint(runOf('cs231n', runs)) !== undefined;
  }
});

test.skipIf(whyNoMpich)(skippable('with MPICH, 2 processes train as one', whyNoMpich), async () => {
  const one = await tenStepsAlone();
  expect(distance(one, await onProcesses(mpich!, 2, tenSteps, 'mpich-two'))).toBeLessThan(1e-5);
  const rounded = await onProcesses(mpich!, 2, [...tenSteps, '--set', 'gradientPrecision=bf16'], 'mpich-bf16');
  expect(distance(one, rounded)).toBeLessThan(bf16Tolerance);
  const path = join(runOf('cs231n', 'mpich-two').path, 'environment.json');
  expect(readFileSync(path, 'utf8')).toContain('"mpi": "MPICH');
});

test('several tasks of an srun that does not connect them are refused', async () => {
  const { code, stderr } = await runCli([...plain], { cwd: folder, environment: { SLURM_STEP_NUM_TASKS: '4' } });
  expect(stderr).toMatch(/srun started 4 processes, but gave them no way to find each other\nsrun --mpi=pmix/);
  expect(code).toBe(2);
});

/** The process of a rank among the children of mpirun. */
function pidOfRank(mpirun: number, rank: number): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = /\) \S+ (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1];
      const environment = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      if (Number(parent) === mpirun && environment.includes(`OMPI_COMM_WORLD_RANK=${rank}`)) return Number(name);
    } catch {
      // It has just ended.
    }
  }
  throw new Error(`process ${rank} was not found`);
}
