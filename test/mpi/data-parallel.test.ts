/** One training on several processes: real mpirun, real runs. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../../src/runs/checkpoint.ts';
import { openRun } from '../../src/runs/run-folder.ts';
import { readStatus } from '../../src/runs/run-status.ts';
import type { Tensor } from '../../src/runs/safetensors.ts';
import { readMetrics } from '../../src/runs/metrics.ts';
import { runCli, type Finished } from '../run-cli.ts';
import { writeNoiseImages } from '../noise-images.ts';
import { mpich, openMpi, runInTurn, startJob, whyNoMpich, whyNoOpenMpi, type MpiLauncher } from './launch.ts';
import { skippable } from '../skippable.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-mpi-'));
  writeNoiseImages(join(folder, 'images'), { train: 24 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = ['--data', 'images:images', '--batch-size', '16', '--threads', '1', '--learning-rate', '0.02', '--json'];
/** Neither batch normalization nor dropout: what it computes does not depend on how the batch is divided. */
const plain = ['train', 'cs231n', ...common, '--set', 'conv1.filters=16', '--set', 'dense1.features=16'];
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

interface Trained extends Finished {
  /** Of the last checkpoint. */
  readonly step: number;
  readonly weights: Map<string, Tensor>;
}

/** Runs command lines in turn on two processes; each trains one model, in the folder of runs that it is named after. */
async function twoInTurn<Name extends string>(
  launcher: MpiLauncher,
  commands: Readonly<Record<Name, readonly string[]>>,
): Promise<Readonly<Record<Name, Trained>>> {
  const names = Object.keys(commands) as Name[];
  const lines = names.map((runs) => [...commands[runs], '--runs-dir', runs]);
  const ended = await runInTurn(launcher, 2, lines, { cwd: folder });
  const entries = names.map((runs, i) => {
    const [model] = readdirSync(join(folder, runs));
    const { step, tensors } = loadCheckpoint(latestCheckpoint(runOf(model!, runs))!.path);
    return [runs, { ...ended[i]!, step, weights: new Map(tensors) }] as const;
  });
  return Object.fromEntries(entries) as Record<Name, Trained>;
}

/** The weights of a training that came to its end. One process reports. */
function finished({ code, stdout, stderr, weights }: Trained, images = 22): Map<string, Tensor> {
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ status: 'finished', evaluation: { images } });
  return weights;
}

async function writeTemplates(): Promise<void> {
  for (const [kind, file] of [
    ['model', 'own.ts'],
    ['data', 'data.ts'],
    ['augmentation', 'own-augment.ts'],
  ] as const) {
    const { code, stderr } = await runCli(['new', kind, file], { cwd: folder });
    expect(code, stderr).toBe(0);
  }
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

  const bf16 = [...tenSteps, '--set', 'gradientPrecision=bf16'];
  const brought = [...plain, '--steps', '3', '--engine', 'reference'];
  const fourNormalized = [...normalized, '--steps', '4'];
  const pruned = [
    ...[...plain, '--steps', '8', '--set', 'pruning.type=magnitude', '--set', 'pruning.sparsity=0.8'],
    ...['--teacher', 'teacher/cs231n/1'],
  ];
  const own = ['train', 'own.ts', ...common.with(1, './data.ts'), '--set', 'filters=4', '--set', 'inputSize=8', '--steps', '6'];
  const augmented = [...plain, '--steps', '6', '--augment-with', 'own-augment.ts', '--set', 'augmentation.mixup=1'];
  const flat = [...plain, '--steps', '20', '--set', 'learningRate=1e-12', '--no-ema', '--eval-every', '2', '--val'];

  let trainings: ReturnType<typeof trainAll> | undefined;
  /** What the tests train on two processes, once, and in one job, as starting takes far longer than training. */
  const onTwo = () => (trainings ??= trainAll());
  async function trainAll() {
    await writeTemplates();
    await alone([...plain, '--steps', '2'], 'teacher');
    return await twoInTurn(launcher, {
      two: tenSteps,
      bf16,
      brought,
      'bn-sync': [...fourNormalized, '--set', 'syncBatchNorm=true'],
      'bn-own': fourNormalized,
      pruned: [...pruned, '--save-every', '4'],
      own: [...own, '--save-every', '3'],
      augmented: [...augmented, '--save-every', '3'],
      patience: [...flat.filter((arg) => arg !== '--learning-rate' && arg !== '0.02'), '--patience', '2'],
      time: [...tenSteps, '--max-time', '0.001s'],
    });
  }
  const tenStepsOnTwo = async () => finished((await onTwo()).two);

  let resumptions: ReturnType<typeof resumeAll> | undefined;
  /** Those of them that go on from a checkpoint, on new processes, without the files of the user. */
  const resumedOnTwo = () => (resumptions ??= resumeAll());
  async function resumeAll() {
    await onTwo();
    takeBack('cs231n', 'pruned', 4);
    takeBack('own', 'own', 3);
    takeBack('cs231n', 'augmented', 3);
    cpSync(join(folder, 'time'), join(folder, 'time-four'), { recursive: true });
    for (const file of ['own.ts', 'own-augment.ts']) rmSync(join(folder, file));
    const resume = ['train', '--resume', 'cs231n/1', '--threads', '1', '--json'];
    return await twoInTurn(launcher, {
      pruned: resume,
      own: resume.with(2, 'own/1'),
      augmented: resume,
      time: [...resume, '--max-time', '1h'],
    });
  }

  test('2 processes with a share of the batch each train as one process with all of it', async () => {
    expect(distance(await tenStepsAlone(), await tenStepsOnTwo())).toBeLessThan(1e-5);
    const waits = readMetrics(join(runOf('cs231n', 'two').path, 'metrics.jsonl')).flatMap(
      ({ metrics }) => metrics['train/gradientWaitMs'] ?? [],
    );
    expect(Math.min(...waits)).toBeGreaterThan(0);
    expect(JSON.parse(readFileSync(join(runOf('cs231n', 'two').path, 'environment.json'), 'utf8'))).toMatchObject({
      versions: { mpi: expect.stringMatching(/^Open MPI v4/) as string },
    });
  });

  test('arrays that have to be brought to the host are summed and sent alike', async () => {
    const one = await alone([...plain, '--steps', '3'], 'few');
    expect(distance(one, finished((await onTwo()).brought))).toBeLessThan(1e-5);
  });

  test('synchronized batch normalization is that of the whole batch; each process normalizing its own part is not', async () => {
    const one = await alone(fourNormalized, 'bn-one');
    const ended = await onTwo();
    // Few steps: rounding grows with every one of a network with batch normalization, at a pace that depends on the processor.
    expect(distance(one, finished(ended['bn-sync']))).toBeLessThan(1e-5);
    expect(distance(one, finished(ended['bn-own']))).toBeGreaterThan(1e-3);
  });

  test('pruning and a teacher are on 2 processes what they are on one, after a resume too', async () => {
    const straight = finished((await onTwo()).pruned);
    const one = await alone(pruned, 'pruned-one');
    expect(distance(one, straight)).toBeLessThan(1e-5);
    expect(distance(one, finished((await resumedOnTwo()).pruned))).toBeLessThan(1e-5);
  });

  test('gradients sent as bf16 stay close', async () => {
    const rounded = distance(await tenStepsOnTwo(), finished((await onTwo()).bf16));
    expect(rounded).toBeGreaterThan(0);
    expect(rounded).toBeLessThan(bf16Tolerance);
  });

  test('a network of the user on own data goes on to the bit, without the file of the network', async () => {
    const straight = finished((await onTwo()).own, 50);
    expect(distance(straight, finished((await resumedOnTwo()).own, 50))).toBe(0);
  });

  test('an augmentation of the user, and mixup, are on 2 processes what they are on one; the run goes on to the bit without the file', async () => {
    const straight = finished((await onTwo()).augmented);
    expect(distance(straight, finished((await resumedOnTwo()).augmented))).toBe(0);
    const written = await runCli(['new', 'augmentation', 'own-augment.ts'], { cwd: folder });
    expect(written.code, written.stderr).toBe(0);
    expect(distance(await alone(augmented, 'augmented-alone'), straight)).toBeLessThan(1e-4);
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
    for (const [stopped, expected] of [
      ['patience', { step: 6 }],
      ['time', { step: 1 }],
    ] as const) {
      const { code, stdout, stderr, step } = (await onTwo())[stopped];
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ status: 'interrupted', stopped, ...expected });
      expect({ step }).toEqual(expected);
    }
  });

  test('resumed on as many processes it continues to the bit, on another number nearly so', async () => {
    const two = await tenStepsOnTwo();
    // Stopped after its first step, each with the rest of the time.
    expect(distance(two, finished((await resumedOnTwo()).time))).toBe(0);
    const resume = ['train', '--resume', 'cs231n/1', '--threads', '1', '--max-time', '1h', '--runs-dir', 'time-four'];
    const { code, stderr } = await start(4, resume).finished;
    expect(code, stderr).toBe(0);
    expect(distance(two, weightsOf('cs231n', 'time-four'))).toBeLessThan(1e-5);
  });

  describe('refuses, on all processes at once and without waiting:', () => {
    test('an impossible limit', async () => {
      const { code, stderr, seconds } = await start(2, [...plain, '--steps', '4', '--patience', '2', '--runs-dir', 'impossible'])
        .finished;
      expect([code, stderr]).toEqual([2, expect.stringContaining('patience needs validation images')]);
      expect(seconds).toBeLessThan(30);
      expect(existsSync(join(folder, 'impossible'))).toBe(false);
    });

    test('a batch that cannot be divided', async () => {
      const { code, stderr } = await start(2, [...plain, '--batch-size', '15', '--steps', '2', '--runs-dir', 'none']).finished;
      expect(stderr.match(/batchSize \(=15\) must be a multiple of the 2 processes that train together/g)).toHaveLength(1);
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
      for (const rank of [0, 1]) writeNoiseImages(join(folder, `host${rank}`, 'images'), { train: 10, test: 1, seed: rank });
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
  const ended = await twoInTurn(mpich!, {
    'mpich-two': tenSteps,
    'mpich-bf16': [...tenSteps, '--set', 'gradientPrecision=bf16'],
  });
  expect(distance(one, finished(ended['mpich-two']))).toBeLessThan(1e-5);
  expect(distance(one, finished(ended['mpich-bf16']))).toBeLessThan(bf16Tolerance);
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
