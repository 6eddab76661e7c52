/**
 * How long runs will take. What there is to compute is known; how fast this machine is, runs that it has recorded with the same engine say: of the same
 * network and precision if there is one, else of the precision, else any. Starting a run takes what it takes this process: the program and the images are loaded there, too.
 */
import { hostname } from 'node:os';
import type { EngineName } from '../engine/registry.ts';
import { readMetrics } from '../runs/metrics.ts';
import { allRuns, metricsPath, readConfig, readEnvironment, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { countOperations } from '../nn/network.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { checkConfig } from '../train/complete-config.ts';
import { createClassifier, type DatasetFacts, type TrainingFacts } from '../train/classifier.ts';
import { networkChecksum, recordedClassifier } from '../train/classifier-record.ts';
import { passesOfTraining, workLeft } from '../train/work.ts';
import { AblateError } from '../util/errors.ts';
import type { PlannedRun } from './plan.ts';
import { formatCounted } from '../util/format.ts';
import { processorTime } from '../util/processor-time.ts';

/** Guesses, for a core with AVX2, which decide where no run was recorded on this machine, and between networks of different sizes. */
const guess = {
  operationsPerSecond: 50e9,
  /** Of a step, whatever the network. */
  secondsPerStep: 0.0015,
  /** Of an evaluation. */
  secondsPerEvaluation: 0.03,
  /** Beside loading the program and the images: loading the engine, compiling the network, starting workers. */
  startSeconds: 0.5,
} as const;
/** Starting workers takes a part of it. */
const secondsOfStarting = 2;
/** Newest runs of each model that are read. */
const runsRead = 5;

/** The images that runs are evaluated on take their time, too. */
export interface ImageFacts extends TrainingFacts {
  readonly testImages: number;
  /** That training leaves out with `val: true`, and runs are evaluated on then. */
  readonly validationImages: number;
}

export interface Predictor {
  /** Seconds of what is left after `step` steps: a process that starts, trains and evaluates with this many threads. */
  seconds(training: Pick<PlannedRun, 'config' | 'classifier'>, threads: number, step?: number): number;
  /** The part of it until the first step. */
  readonly startSeconds: number;
  /** What predictions rest on, for people. */
  readonly basis: string;
}

interface Measured {
  readonly network: string;
  readonly precision: TrainingConfig['precision'];
  /** How many times as long as guessed its steps took. */
  readonly slowness: number;
}

export interface PredictorOptions {
  /** That will train; default: any. */
  readonly engine?: EngineName | undefined;
  /** How long a process takes until it has the program and the images; by default, what it took this one. */
  readonly loadedSeconds?: number;
}

/** Reads what runs under `runsFolder` tell about this machine. */
export function createPredictor(
  runsFolder: string,
  facts: ImageFacts,
  { engine, loadedSeconds = secondsUntilNow() }: PredictorOptions = {},
): Predictor {
  const measured = newestOfEachModel(allRuns(runsFolder)).flatMap((run) => measure(run, facts, engine) ?? []);
  const slownessOf = (those: readonly Measured[]) => median(those.map(({ slowness }) => slowness));
  const startSeconds = loadedSeconds + guess.startSeconds;
  return {
    seconds({ config, classifier }, threads, step = 0) {
      const network = networkChecksum(classifier.network);
      const alike = measured.filter(({ precision }) => precision === config.precision);
      const same = alike.filter((each) => each.network === network);
      const images = config.val ? facts.validationImages : facts.testImages;
      const { steps, trainingPasses, evaluations, evaluationPasses } = workLeft(config, images, step);
      const operations = countOperations(classifier.network);
      const guessed =
        steps * guess.secondsPerStep +
        evaluations * guess.secondsPerEvaluation +
        secondsOf((trainingPasses + evaluationPasses) * operations, threads);
      return startSeconds + guessed * (slownessOf(same) ?? slownessOf(alike) ?? slownessOf(measured) ?? 1);
    },
    startSeconds,
    basis:
      measured.length === 0
        ? 'a guess, as no run was recorded on this machine yet'
        : `${formatCounted(measured.length, 'run')} recorded on this machine`,
  };
}

/** Seconds until runs are done that are started in this order, so many at a time. */
export function secondsInAll(seconds: readonly number[], atATime: number): number {
  const busyUntil = Array<number>(Math.min(atATime, seconds.length)).fill(0);
  for (const each of seconds) busyUntil[busyUntil.indexOf(Math.min(...busyUntil))]! += each;
  return Math.max(...busyUntil);
}

/** Since this process was started, but for waiting: images that had to be downloaded will be there for the next one. */
function secondsUntilNow(): number {
  const { wallMs, ownMs } = processorTime();
  return Math.min(wallMs, ownMs) / 1000;
}

function secondsOf(operations: number, threads: number): number {
  return operations / (guess.operationsPerSecond * threads);
}

function measure(run: Run, facts: DatasetFacts, engine: EngineName | undefined): Measured | undefined {
  try {
    if (readStatus(run).step === 0) return undefined;
    const environment = readEnvironment(run);
    // What went on elsewhere or otherwise is no measure.
    if (
      environment.continued !== undefined ||
      environment.host !== hostname() ||
      (engine !== undefined && environment.engine !== engine)
    )
      return undefined;
    const config = checkConfig(readConfig(run));
    const imagesPerSecond = usualSpeed(run, config.batchSize);
    if (imagesPerSecond === undefined) return undefined;
    const { batchSize, threads, precision } = config;
    const { network } = recordedClassifier(run) ?? createClassifier(config, facts);
    const operations = batchSize * passesOfTraining * countOperations(network);
    const guessed = guess.secondsPerStep + secondsOf(operations, threads);
    return { network: networkChecksum(network), precision, slowness: batchSize / imagesPerSecond / guessed };
  } catch (error) {
    // A run of another version or other images: nothing to learn from.
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

/** Images a second of its steps; undefined where too little is recorded. The first record includes starting the workers that prepare the images. */
function usualSpeed(run: Run, batchSize: number): number | undefined {
  const records = readMetrics(metricsPath(run)).flatMap(({ step, metrics }) => {
    const speed = metrics['train/imagesPerSecond'];
    return speed === undefined ? [] : [{ step, speed }];
  });
  const [first, ...rest] = records;
  const isOfStart = rest.length > 0 || first === undefined || (first.step * batchSize) / first.speed < secondsOfStarting;
  return median((isOfStart ? rest : records).map(({ speed }) => speed));
}

function newestOfEachModel(runs: readonly Run[]): Run[] {
  const byModel = new Map<string, Run[]>();
  for (const run of runs) byModel.set(run.model, [...(byModel.get(run.model) ?? []), run].slice(-runsRead));
  return [...byModel.values()].flat();
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
