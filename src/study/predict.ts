/**
 * How long runs will take. Time goes with operations: from runs recorded on this machine comes how many a second a thread trains, of the same
 * network if there is one, else of any.
 */
import { hostname } from 'node:os';
import { allRuns, readConfig, readEnvironment, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { countOperations } from '../nn/network.ts';
import { checkConfig } from '../train/config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { AblateError } from '../util/errors.ts';
import { networkOf, type DatasetFacts } from './plan.ts';
import { readRunResults } from './run-results.ts';

/** Training is a forward pass and a backward pass of twice the operations. */
const passes = 3;
/** Where no run was recorded on this machine: a guess, for a core with AVX2. */
const guessedOperationsPerSecond = 50e9;
/** Newest runs of each model that are read. */
const runsRead = 5;

export interface Predictor {
  /** Seconds of training and evaluation, with this many threads. */
  seconds(config: TrainingConfig, threads: number): number;
  /** What predictions rest on, for people. */
  readonly basis: string;
}

interface Measured {
  readonly network: string;
  /** Of training, by one thread. */
  readonly operationsPerSecond: number;
}

/** Reads what runs under `runsFolder` tell about this machine. */
export function createPredictor(runsFolder: string, facts: DatasetFacts): Predictor {
  const measured = newestOfEachModel(allRuns(runsFolder)).flatMap((run) => measure(run, facts) ?? []);
  const overall = median(measured.map(({ operationsPerSecond }) => operationsPerSecond));
  return {
    seconds(config, threads) {
      const network = networkKey(config);
      const same = measured.filter((each) => each.network === network).map(({ operationsPerSecond }) => operationsPerSecond);
      const perThread = median(same) ?? overall ?? guessedOperationsPerSecond;
      const operations = countOperations(networkOf(config, facts));
      const trained = config.steps * config.batchSize * operations * passes;
      const evaluations = config.evalEvery > 0 ? Math.ceil(config.steps / config.evalEvery) : 1;
      const kinds = config.movingAverage.type === 'none' ? 1 : 2;
      const images = config.val ? (facts.validationImages ?? facts.evaluationImages) : facts.evaluationImages;
      return (trained + evaluations * kinds * images * operations) / (perThread * threads);
    },
    basis:
      measured.length === 0
        ? 'a guess, as no run was recorded on this machine yet'
        : `${measured.length} ${measured.length === 1 ? 'run' : 'runs'} recorded on this machine`,
  };
}

/** Seconds until runs are done that are started in this order, so many at a time. */
export function secondsInAll(seconds: readonly number[], atATime: number): number {
  const busyUntil = Array<number>(Math.min(atATime, seconds.length)).fill(0);
  for (const each of seconds) busyUntil[busyUntil.indexOf(Math.min(...busyUntil))]! += each;
  return Math.max(...busyUntil);
}

function measure(run: Run, facts: DatasetFacts): Measured | undefined {
  try {
    if (readStatus(run).step === 0) return undefined;
    const environment = readEnvironment(run);
    if (environment.host !== hostname()) return undefined;
    const config = checkConfig(readConfig(run));
    const { imagesPerSecond } = readRunResults(run, config.batchSize);
    if (imagesPerSecond === undefined) return undefined;
    const operations = countOperations(networkOf(config, facts));
    return { network: networkKey(config), operationsPerSecond: (imagesPerSecond * operations * passes) / config.threads };
  } catch (error) {
    // A run of another version or other images: nothing to learn from.
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

function networkKey({ model, modelSettings, inputSize }: TrainingConfig): string {
  return JSON.stringify([model, modelSettings, inputSize]);
}

function newestOfEachModel(runs: readonly Run[]): Run[] {
  const byModel = new Map<string, Run[]>();
  for (const run of runs) byModel.set(run.model, [...(byModel.get(run.model) ?? []), run].slice(-runsRead));
  return [...byModel.values()].flat();
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
