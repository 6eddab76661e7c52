/** What a record under docs/results/ says of a finished run, and how records of several machines become one. */
import { readEnvironment, runName, type Run } from '../../src/runs/run-folder.ts';
import { readRunResults } from '../../src/study/run-results.ts';
import type { TrainingConfig } from '../../src/train/config-schema.ts';

export interface RecordedRun {
  readonly run: string;
  readonly seed: number;
  /** A fraction. */
  readonly accuracy: number;
  /** Stepping alone; earlier records have none. */
  readonly trainingSeconds?: number;
  readonly threads: number;
  /** Earlier records have none: float32, or that of their experiment. */
  readonly precision?: TrainingConfig['precision'];
  readonly processor: string | undefined;
  readonly versions?: Readonly<Record<string, string>>;
  readonly commit: string | undefined;
}

export function recordRun(run: Run, { seed, batchSize, threads, precision }: TrainingConfig, accuracy: number): RecordedRun {
  const { cpu, versions, git } = readEnvironment(run);
  const { trainingSeconds } = readRunResults(run, batchSize);
  return {
    ...{ run: runName(run), seed, accuracy, trainingSeconds, threads, precision },
    ...{ processor: cpu.model, versions, commit: git?.commit },
  };
}

/** The runs of both, in order of their seeds; of one seed the new one. */
export function mergeRuns(earlier: readonly RecordedRun[], now: readonly RecordedRun[]): RecordedRun[] {
  const kept = earlier.filter(({ seed }) => !now.some((run) => run.seed === seed));
  return [...kept, ...now].sort((a, b) => a.seed - b.seed);
}
