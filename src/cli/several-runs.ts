/** Several trainings in one command: what is shown meanwhile, and what has become of them. */
import type { Engine } from '../engine/engine.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import type { Outcome } from '../train/side-by-side.ts';
import type { TrainHooks, TrainResult } from '../train/train-options.ts';
import { ConfigurationError } from '../util/errors.ts';
import { formatAccuracy, formatCount, formatDuration } from '../util/format.ts';
import { quoted } from '../util/shell.ts';
import { Interruption } from './errors.ts';
import { note, print, printTable, styles } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { describeEvaluation, shortPath } from './training-display.ts';

/** Seeds in a list at most: a typing error shall not fill the disk. */
const mostSeeds = 1000;

/**
 * Of `--seeds`: `1..8`, `1,2,5` or both, `1..4,9`.
 *
 * @throws ConfigurationError for anything else, and for a seed that is given twice
 */
export function parseSeeds(text: string): readonly number[] {
  const wrong = (why: string) =>
    new ConfigurationError(`--seeds (=${text}) ${why}`, { fix: '--seeds 1..8 trains eight networks, --seeds 1,2,5 three' });
  const seeds = text.split(',').flatMap((part) => {
    const [, from, to = from] = /^\s*(\d{1,10})\s*(?:\.\.\s*(\d{1,10})\s*)?$/.exec(part) ?? [];
    if (from === undefined) throw wrong('must be integers of at least 0 with commas between them, or a range: 1..8');
    const [first, last] = [Number(from), Number(to)];
    if (last < first) throw wrong(`has the range ${first}..${last}, which ends before it begins`);
    if (last - first >= mostSeeds) throw wrong(`may have ${formatCount(mostSeeds)} seeds at most`);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  if (seeds.length > mostSeeds) throw wrong(`may have ${formatCount(mostSeeds)} seeds at most`);
  const twice = seeds.find((seed, i) => seeds.indexOf(seed) < i);
  if (twice !== undefined) throw wrong(`has ${twice} twice, which would train the same network again`);
  return seeds;
}

/** Hooks of each training; `finish` ends the line. */
export interface SeveralDisplay {
  readonly hooks: readonly TrainHooks[];
  readonly onNotice: (notice: string) => void;
  readonly finish: () => void;
}

/** One line for all: the steps of all trainings, how many runs are done, and the mean of their latest losses. */
export function severalDisplay(configs: readonly TrainingConfig[], engine: Engine): SeveralDisplay {
  const [{ model, dataset, recipe, batchSize }] = configs as readonly [TrainingConfig];
  note(`${configs.length} networks ${model} on ${dataset}, recipe ${recipe}, batch ${batchSize}`);
  note(`computing with ${engine.description}, ${engine.sideBySide === undefined ? 'one after the other' : 'side by side'}`);
  const total = configs.reduce((sum, { steps }) => sum + steps, 0);
  const steps = configs.map(() => 0);
  const losses = configs.map((): number | undefined => undefined);
  let progress: Progress | undefined;
  const log = (line: string) => {
    if (progress === undefined) note(line);
    else progress.log(line);
  };
  const update = () => {
    const done = steps.reduce((sum, step) => sum + step, 0);
    progress ??= createProgress({ unit: 'step', total, start: done });
    const known = losses.filter((loss) => loss !== undefined);
    const over = configs.filter((config, i) => steps[i] === config.steps).length;
    const loss =
      known.length === 0 ? '' : `  mean loss ${(known.reduce((sum, each) => sum + each, 0) / known.length).toFixed(3)}`;
    progress.update(done, `${over}/${configs.length} runs${loss}`);
  };
  const hooks = configs.map(({ seed }, i): TrainHooks => ({
    onStart({ run, step }) {
      steps[i] = step;
      if (run !== undefined)
        log(`seed ${seed}: ${step > 0 ? `continuing after step ${step}` : 'recording'} in ${shortPath(run.path)}`);
    },
    onStep({ step, loss }) {
      steps[i] = step;
      losses[i] = loss;
      update();
    },
    onNotice: log,
    onEvaluation: (evaluation) => log(`seed ${seed}, step ${evaluation.step}: ${describeEvaluation(evaluation)}`),
  }));
  return { hooks, onNotice: log, finish: () => progress?.finish() };
}

/** Prints a line for each run, and the mean over them. */
export async function printSeveral(configs: readonly TrainingConfig[], outcomes: readonly Outcome[]): Promise<void> {
  const { bold } = styles(process.stdout);
  const trained = outcomes.flatMap((outcome, i) =>
    outcome.state === 'trained' ? [{ ...outcome.result, seed: configs[i]!.seed }] : [],
  );
  const rows = trained.map(({ run, seed, step, evaluations }) => [
    run === undefined ? '' : shortPath(run.path),
    String(seed),
    formatCount(step),
    evaluations[0] === undefined ? '' : formatAccuracy(evaluations[0].accuracy),
  ]);
  if (rows.length > 0) printTable([['run', 'seed', 'steps', 'accuracy'], ...rows], ['left', 'right', 'right', 'right']);
  const accuracies = trained.flatMap(({ evaluations }) => evaluations[0]?.accuracy ?? []);
  if (accuracies.length > 1) {
    const { estimateMean } = await import('../study/statistics.ts');
    const { mean, deviation = 0 } = estimateMean(accuracies);
    print(
      bold(
        `mean accuracy ${formatAccuracy(mean)}, standard deviation ${formatAccuracy(deviation)} over ${accuracies.length} runs`,
      ),
    );
  }
  const seconds = Math.max(0, ...trained.map((result) => result.seconds));
  if (seconds > 0) print(`in ${formatDuration(seconds)}`);
}

/**
 * What the command ends with, once what was trained is printed.
 *
 * @throws Interruption if it was stopped, else the first of the errors
 */
export function endSeveral(configs: readonly TrainingConfig[], outcomes: readonly Outcome[], isStopped: boolean): void {
  const failed = outcomes.flatMap((outcome, i) =>
    outcome.state === 'failed' ? [{ seed: configs[i]!.seed, error: outcome.error }] : [],
  );
  for (const { seed, error } of failed.slice(1)) note(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
  if (failed.length > 0) throw failed[0]!.error;
  const open = outcomes.flatMap((outcome) =>
    outcome.state === 'trained' && outcome.result.stopped === 'signal' ? [outcome.result] : [],
  );
  const notBegun = outcomes.flatMap((outcome, i) => (outcome.state === 'notBegun' ? [configs[i]!.seed] : []));
  if (!isStopped || open.length + notBegun.length === 0) return;
  const rest = notBegun.length === 0 ? '' : `; seeds that were not begun: ${notBegun.join(',')}`;
  const again = open.flatMap(({ run }) => (run === undefined ? [] : ['--resume', quoted(shortPath(run.path))]));
  throw new Interruption(`${describeOpen(open)}${rest}`, {
    ...(again.length > 0 && { fix: `ablate train ${again.join(' ')} continues` }),
  });
}

function describeOpen(open: readonly TrainResult[]): string {
  if (open.length === 0) return 'stopped between two runs';
  return `${open.length} ${open.length === 1 ? 'run is' : 'runs are'} stopped, and saved, after step ${open.map(({ step }) => step).join(', ')}`;
}
