import type { Command } from 'commander';
import { existsSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { SplitName } from '../../data/dataset.ts';
import type { Precision } from '../../engine/engine.ts';
import type { Run } from '../../runs/run-folder.ts';
import type { Evaluator } from '../../train/evaluate.ts';
import type { Evaluation } from '../../train/tally.ts';
import type { TtaLevel } from '../../train/test-time-augmentation.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import type { WeightsKind } from '../../train/weights.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { ConfigurationError, DataError } from '../../util/errors.ts';
import { frozenFileName } from '../../util/file-names.ts';
import { quoted } from '../../util/shell.ts';
import { alignColumns, formatCount } from '../../util/text-table.ts';
import { dataDirOption, dataUrlOption, loadImages, type SourceOptions } from '../dataset.ts';
import { Interruption } from '../errors.ts';
import { formatAccuracy } from '../../util/format.ts';
import { interruptible } from '../interrupt.ts';
import { jsonOption, parseAssignment, parsePositiveInteger, parseThreads, runsDirOption, type Assignments } from '../options.ts';
import { note, print, printJson, styles } from '../output.ts';

interface Options extends SourceOptions {
  readonly model?: string;
  readonly split: string;
  readonly weights?: string;
  readonly tta?: string;
  readonly precision?: string;
  readonly watch?: true;
  readonly data?: string;
  readonly batchSize: number;
  readonly threads?: number;
  readonly set: Assignments;
  readonly runsDir: string;
  readonly json?: true;
}

const splits: readonly SplitName[] = ['test', 'train', 'val'];
const precisions: readonly Precision[] = ['f32', 'bf16'];

/** How often `--watch` looks for a new checkpoint. */
const pollMs = 1000;

export function addEvalCommand(program: Command): void {
  program
    .command('eval')
    .description('evaluate a run, a file of weights or a frozen file on every image of a split')
    .argument('<run|file>', 'a run (its folder, <model>/<number>, or <model> for the newest), a safetensors or an ONNX file')
    .option('--model <name>', 'model of the file, where it does not say')
    .option('--set <key=value>', 'setting of the model of the file, where it does not say; may be repeated', parseAssignment, {})
    .option('--split <name>', 'test, train or val', 'test')
    .option('--weights <kind>', 'ema (moving averages) or raw (default: ema where there are any)')
    .option('--tta <level>', 'average the logits of several views: none, mirror or mirror+shift (default: as it was trained)')
    .option('--precision <type>', 'in which the network computes: f32 or bf16 (default: f32, whatever it was trained in)')
    .option('--watch', 'evaluate each new checkpoint while another process trains, until it ends')
    .option('--data <name>', 'data set to evaluate on (default: what it was trained on)')
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option('--batch-size <n>', 'images at a time; does not change the result', parsePositiveInteger, 100)
    .option('--threads <n>', 'OpenMP threads (default: physical cores)', parseThreads)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(evaluate);
}

async function evaluate(reference: string, options: Options): Promise<void> {
  const split = oneOf('split', options.split, splits);
  const { weightsKinds } = await import('../../train/weights.ts');
  const kind = options.weights === undefined ? undefined : oneOf('weights', options.weights, weightsKinds);
  if (frozenFileName.test(reference)) {
    await evaluateFrozenFile(reference, split, options);
    return;
  }
  const { ttaLevels } = await import('../../train/test-time-augmentation.ts');
  const tta = options.tta === undefined ? undefined : oneOf('tta', options.tta, ttaLevels);
  const precision = oneOf('precision', options.precision ?? 'f32', precisions);
  const { findWeights } = await import('../../train/saved-model.ts');
  const evaluator = createLazyEvaluator({ split, kind, tta, precision }, options);
  try {
    await interruptible('stopping', async (signal) => {
      if (options.watch === true) await watch(await runToWatch(reference, options.runsDir), evaluator, options, signal);
      else await evaluateOnce(findWeights(reference, options.runsDir).path, evaluator, options, signal);
      if (signal.aborted) throw new Interruption('the evaluation was stopped');
    });
  } finally {
    await evaluator.dispose();
  }
}

/** Evaluates what the file computes in ONNX Runtime, its own preprocessing included. */
async function evaluateFrozenFile(path: string, split: SplitName, options: Options): Promise<void> {
  const { model, weights, tta, precision, watch: follow, set } = options;
  const given = [model, weights, tta, precision, follow, ...Object.keys(set)];
  if (given.some((option) => option !== undefined)) {
    throw new ConfigurationError(
      '--model, --set, --weights, --tta, --precision and --watch are not for a frozen file, which says itself what it is',
      {
        fix: 'leave them out',
      },
    );
  }
  const { openFrozenModel } = await import('../../deploy/frozen-model.ts');
  const { evaluateFrozen } = await import('../../deploy/evaluate.ts');
  const frozen = await openFrozenModel(path, { threads: options.threads ?? defaultThreads() });
  const { metadata, session } = frozen;
  try {
    const dataset = await loadImages(options.data ?? metadata.config.dataset, options);
    await interruptible('stopping', async (signal) => {
      const evaluation = await evaluateFrozen({ session, metadata, dataset, split, batchSize: options.batchSize }, signal);
      if (evaluation === undefined) throw new Interruption('the evaluation was stopped');
      const result = { model: metadata.model, weights: metadata.weights, step: metadata.step, file: path, ...evaluation };
      if (options.json === true) printJson(result);
      else printEvaluation(result);
    });
  } finally {
    await session.dispose();
  }
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new ConfigurationError(`${option} (=${value}) must be one of ${allowed.join(', ')}`);
  return found;
}

async function runToWatch(reference: string, runsDir: string): Promise<Run> {
  if (existsSync(reference) && statSync(reference).isFile())
    throw new ConfigurationError('--watch follows a run, not a file', { fix: 'give the run, or leave --watch out' });
  const { findRun } = await import('../../runs/run-folder.ts');
  return findRun(runsDir, reference);
}

interface SavedEvaluation extends Evaluation {
  readonly model: string;
  readonly weights: WeightsKind;
  /** Absent for a frozen file. */
  readonly precision?: Precision;
  readonly step: number | null;
  readonly file: string;
}

/** Compiled for the first file it evaluates; the others must be of the same run. */
interface LazyEvaluator {
  /** Undefined if the signal was aborted meanwhile. */
  evaluate(path: string, signal: AbortSignal): Promise<SavedEvaluation | undefined>;
  dispose(): Promise<void>;
}

interface EvaluationChoice {
  readonly split: SplitName;
  /** Undefined for the preferred ones of a file. */
  readonly kind: WeightsKind | undefined;
  /** Undefined for that of the configuration. */
  readonly tta: TtaLevel | undefined;
  readonly precision: Precision;
}

function createLazyEvaluator(choice: EvaluationChoice, options: Options): LazyEvaluator {
  const { kind, precision } = choice;
  let evaluator: Evaluator | undefined;
  return {
    async evaluate(path, signal) {
      const { loadWeights, preferredWeights } = await import('../../train/weights.ts');
      const saved = await readSaved(path, options);
      evaluator ??= await compile(saved, choice, options);
      const { model } = saved.config;
      const weights = kind ?? preferredWeights(saved.file);
      loadWeights(evaluator.parameters, saved.file, { kind: weights, model, source: path });
      const evaluation = await evaluator.run(signal);
      return evaluation && { model, weights, precision, step: saved.step ?? null, file: path, ...evaluation };
    },
    dispose: async () => await evaluator?.dispose(),
  };
}

async function readSaved(path: string, { model, set }: Options): Promise<SavedModel> {
  const { readSavedModel } = await import('../../train/saved-model.ts');
  const { setKey } = await import('../../train/config.ts');
  const given = Object.entries(set).reduce(
    (keys, [key, value]) => setKey(keys, key, value),
    model === undefined ? {} : { model },
  );
  return readSavedModel(path, given);
}

async function compile(saved: SavedModel, { split, tta, precision }: EvaluationChoice, options: Options): Promise<Evaluator> {
  const { config } = saved;
  const { requireFits } = await import('../../train/classifier.ts');
  const { classifierFor } = await import('../../train/saved-model.ts');
  const dataset = await loadImages(options.data ?? config.dataset, options);
  const classifier = classifierFor(saved, dataset);
  requireFits(classifier, dataset, saved.path);
  const { createOnednnEngine } = await import('../../engine/onednn/engine.ts');
  const { createEvaluator } = await import('../../train/evaluate.ts');
  const engine = createOnednnEngine(options.threads === undefined ? {} : { threads: options.threads });
  return createEvaluator({
    ...{ engine, classifier, dataset, split, precision },
    useVal: config.val,
    batchSize: options.batchSize,
    tta: tta ?? config.tta,
  });
}

async function evaluateOnce(path: string, evaluator: LazyEvaluator, options: Options, signal: AbortSignal): Promise<void> {
  const evaluation = await evaluator.evaluate(path, signal);
  if (evaluation === undefined) return;
  if (options.json === true) printJson(evaluation);
  else printEvaluation(evaluation);
}

/** Evaluates the checkpoints of a run as they appear, in order, until it no longer trains. */
async function watch(run: Run, evaluator: LazyEvaluator, options: Options, signal: AbortSignal): Promise<void> {
  const { listCheckpoints } = await import('../../runs/checkpoint.ts');
  const { readStatus } = await import('../../runs/run-status.ts');
  const evaluations: SavedEvaluation[] = [];
  let evaluatedStep = -1;
  for (;;) {
    // Asked before looking for checkpoints: what was saved before the end is then not missed.
    const { status } = readStatus(run);
    const next = listCheckpoints(run).find((checkpoint) => checkpoint.step > evaluatedStep);
    if (next !== undefined) {
      evaluatedStep = next.step;
      const evaluation = await unlessPruned(next.path, () => evaluator.evaluate(next.path, signal));
      if (evaluation !== undefined) {
        evaluations.push(evaluation);
        if (options.json !== true) print(summarize(evaluation));
        else note(summarize(evaluation));
      }
    } else if (status !== 'running') {
      if (evaluatedStep < 0) {
        const { runName } = await import('../../runs/run-folder.ts');
        throw new DataError(`${runName(run)} has no checkpoint, and is not being trained`, {
          fix: `ablate train --resume ${quoted(runName(run))}`,
        });
      }
      break;
    } else {
      await delay(pollMs, undefined, { signal }).catch(() => undefined);
    }
    if (signal.aborted) break;
  }
  if (options.json === true) printJson(evaluations);
}

/** The training process removes old checkpoints: one that is gone is passed over. */
async function unlessPruned<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (existsSync(path)) throw error;
    return undefined;
  }
}

function summarize({ step, split, weights, precision, tta, accuracy, loss }: SavedEvaluation): string {
  const kind = weights === 'ema' ? 'moving average' : 'raw weights';
  const how = [kind, ...(tta === 'none' ? [] : [`views ${tta}`]), ...(precision === 'bf16' ? [precision] : [])].join(', ');
  const at = step === null ? '' : `step ${step}: `;
  return `${at}${split} accuracy ${formatAccuracy(accuracy)} (${how}), loss ${loss.toFixed(4)}`;
}

function printEvaluation(evaluation: SavedEvaluation): void {
  const { model, images, imagesPerSecond, perClass, confusion } = evaluation;
  print(styles(process.stdout).bold(`${model}, ${summarize(evaluation)}`));
  print(`${formatCount(images)} images, ${formatCount(Math.round(imagesPerSecond))} a second`);
  print('');
  const header = ['label', 'accuracy', ...perClass.map((_, i) => String(i))];
  const rows = perClass.map(({ label, accuracy }, i) => [
    `${i} ${label}`,
    formatAccuracy(accuracy),
    ...confusion[i]!.map(String),
  ]);
  print(alignColumns([header, ...rows], ['left', ...header.slice(1).map(() => 'right' as const)]));
  print('');
  print('Rows are labels, columns what was predicted.');
}
