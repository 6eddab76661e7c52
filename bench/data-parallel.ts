/**
 * One training divided among the cores of this machine by MPI, against the same training on as many threads of one process: images a
 * second, and how long each step waits for the sum of the gradients, with and without overlapping it with the backward pass. Also the
 * time of a step for smaller and smaller parts of the batch, from which bench/scaling-model.ts computes what larger clusters would do.
 * The kinds are run in turn, each in processes of its own. Needs Open MPI and a quiet machine.
 *
 *     npx tsx bench/data-parallel.ts [--models nin2,tuto] [--processes 2] [--rounds 5] [--steps 60] [--warm-up 10]
 *                                    [--parts 128,64,32,16,8,4,2] [--out docs/results/data-parallel.json]
 */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { singleProcess, type Collective } from '../src/cluster/collective.ts';
import { detectLaunch } from '../src/cluster/launch.ts';
import { joinProcesses } from '../src/cluster/mpi/collective.ts';
import { loadDataset } from '../src/user/dataset.ts';
import { createTrainingLoader } from '../src/data/loader.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { resolveConfig } from '../src/train/config.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { createClassifier, trainingPreprocessing } from '../src/train/classifier.ts';
import { createTrainer, trainingOptions } from '../src/train/trainer.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { percentile } from '../src/util/percentile.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'nin2,tuto' },
    processes: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '60' },
    'warm-up': { type: 'string', default: '10' },
    parts: { type: 'string', default: '128,64,32,16,8,4,2' },
    out: { type: 'string', default: 'docs/results/data-parallel.json' },
    /** Set in the processes that this script starts: what they measure, as JSON. */
    measure: { type: 'string' },
  },
});

/** What one measurement runs; the processes are those of the launcher. */
interface Task {
  readonly model: string;
  /** Of all processes together. */
  readonly batchSize: number;
  readonly threads: number;
  readonly overlap: boolean;
  readonly gradientPrecision: 'f32' | 'bf16';
}

interface Measured {
  /** Median milliseconds from one updated set of weights to the next. */
  readonly msPerStep: number;
  readonly imagesPerSecond: number;
  /** Milliseconds a step waits for sums that are not done, of process 0; 0 for a process alone. */
  readonly gradientWaitMs: number;
  /** Median milliseconds of the backward pass, without what it waits for. */
  readonly backwardMs: number;
  readonly gradientBytes: number;
  /** `Open MPI v4.1.4`; undefined for a process alone. */
  readonly mpi: string | undefined;
}

if (options.measure === undefined) compare();
else await measure(JSON.parse(options.measure) as Task);

/** Runs in every process; process 0 prints the result. */
async function measure({ model, batchSize, threads, overlap, gradientPrecision }: Task): Promise<void> {
  const launch = detectLaunch();
  const joined = launch === undefined ? undefined : joinProcesses(launch, { overlap });
  const collective: Collective = joined ?? singleProcess;
  const dataset = await loadDataset('cifar10').catch(() => loadDataset('synthetic'));
  const steps = Number(options.steps);
  const warmUp = Number(options['warm-up']);
  const config = resolveConfig({ model, dataset: dataset.name, batchSize, threads, gradientPrecision, steps: steps + warmUp });
  const classifier = createClassifier(config, dataset);
  const { network } = classifier;
  const preprocessing = trainingPreprocessing(classifier, config);
  const partSize = batchSize / collective.worldSize;
  const plan = await createOnednnEngine({ threads }).compileTraining(network, trainingOptions(config, collective));
  await initializeParameters(plan.parameters, config.seed, config.initializer);
  const backwardTimes: number[] = [];
  const trainer = createTrainer(
    {
      ...plan,
      backward: (onProgress) => {
        const before = performance.now();
        plan.backward(onProgress);
        backwardTimes.push(performance.now() - before);
      },
    },
    config,
    collective,
  );
  const { rank, worldSize } = collective;
  const { seed } = config;
  const { shape, train: images } = dataset;
  const loader = createTrainingLoader({ images, shape, preprocessing, batchSize: partSize, seed, firstStep: 0, rank, worldSize });
  const times: number[] = [];
  let waitMs = 0;
  for (let step = 0; step < warmUp + steps; step++) {
    const before = performance.now();
    await trainer.train((await loader.next())!, false);
    await trainer.losses();
    times.push(performance.now() - before);
    const { 'train/gradientWaitMs': waited = 0 } = collective.metrics(1);
    if (step >= warmUp) waitMs += waited;
  }
  await loader.dispose();
  const msPerStep = percentile(times.slice(warmUp), 0.5);
  const result: Measured = {
    msPerStep,
    imagesPerSecond: (1000 * batchSize) / msPerStep,
    gradientWaitMs: waitMs / steps,
    backwardMs: percentile(backwardTimes.slice(warmUp), 0.5),
    gradientBytes: 4 * plan.parameters.trainableLength,
    mpi: joined?.version,
  };
  if (rank === 0) process.stdout.write(`${JSON.stringify(result)}\n`);
  collective.dispose();
}

/** Starts a measurement on `processes` processes, or one without a launcher. */
function start(task: Task, processes: number): Measured {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const { steps, 'warm-up': warmUp } = options;
  const script = [fileURLToPath(import.meta.url), '--steps', steps, '--warm-up', warmUp, '--measure', JSON.stringify(task)];
  const command = [process.execPath, '--import', tsx, ...script];
  const [file, ...args] = processes === 1 ? command : ['mpirun', '--bind-to', 'none', '-np', String(processes), ...command];
  const root = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };
  const output = execFileSync(file!, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...root },
  });
  return JSON.parse(output) as Measured;
}

function compare(): void {
  const processes = Number(options.processes);
  const batchSize = 128;
  const kinds = {
    oneProcess: { processes: 1, threads: processes, overlap: true, gradientPrecision: 'f32' },
    overlapped: { processes, threads: 1, overlap: true, gradientPrecision: 'f32' },
    notOverlapped: { processes, threads: 1, overlap: false, gradientPrecision: 'f32' },
    bf16Gradients: { processes, threads: 1, overlap: true, gradientPrecision: 'bf16' },
  } as const;
  const names = Object.keys(kinds) as (keyof typeof kinds)[];
  const models = options.models.split(',').map((model) => {
    const rounds: Record<keyof typeof kinds, Measured>[] = [];
    for (let round = 0; round < Number(options.rounds); round++) {
      const measured = names.map((name) => {
        const { processes: count, ...settings } = kinds[name];
        return [name, start({ model, batchSize, ...settings }, count)] as const;
      });
      rounds.push(Object.fromEntries(measured) as Record<keyof typeof kinds, Measured>);
      const speeds = measured.map(([name, { imagesPerSecond, gradientWaitMs }]) => {
        return `${name} ${imagesPerSecond.toFixed(0)} images/s (waits ${gradientWaitMs.toFixed(2)} ms)`;
      });
      console.log(`${model}, round ${round + 1}: ${speeds.join(', ')}`);
    }
    const medians = Object.fromEntries(
      names.map((name) => {
        const median = (key: 'msPerStep' | 'imagesPerSecond' | 'gradientWaitMs' | 'backwardMs') =>
          percentile(
            rounds.map((each) => each[name][key]),
            0.5,
          );
        return [
          name,
          {
            msPerStep: median('msPerStep'),
            imagesPerSecond: median('imagesPerSecond'),
            gradientWaitMs: median('gradientWaitMs'),
            backwardMs: median('backwardMs'),
          },
        ];
      }),
    );
    // In pairs, so that what disturbs a round disturbs both sides of its ratio.
    const efficiency = percentile(
      rounds.map(({ oneProcess, overlapped }) => overlapped.imagesPerSecond / oneProcess.imagesPerSecond),
      0.5,
    );
    const parts = options.parts.split(',').map((text) => {
      const { msPerStep, backwardMs } = start({ model, batchSize: Number(text), ...kinds.oneProcess }, 1);
      return { batchSize: Number(text), msPerStep, backwardMs };
    });
    console.log(
      `${model}: ${processes} processes reach ${(100 * efficiency).toFixed(1)}% of one process with ${processes} threads`,
    );
    const { gradientBytes } = rounds[0]!.oneProcess;
    return { model, batchSize, gradientBytes, efficiency, medians, parts, rounds };
  });
  const mpi = models[0]!.rounds[0]!.overlapped.mpi!;
  const environment = describeEnvironment({ threads: processes, libraries: { mpi } });
  const command = `npx tsx bench/data-parallel.ts ${process.argv.slice(2).join(' ')}`.trim();
  const { steps, rounds, 'warm-up': warmUp } = options;
  const settings = { steps: Number(steps), warmUpSteps: Number(warmUp), rounds: Number(rounds) };
  writeFileAtomic(options.out, `${JSON.stringify({ command, environment, processes, ...settings, models }, undefined, 2)}\n`);
  console.log(`written to ${options.out}`);
}
