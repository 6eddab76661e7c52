import type { Command } from 'commander';
import { basename } from 'node:path';
import type { Dataset, SplitName } from '../../data/dataset.ts';
import { precisions, type Precision } from '../../engine/engine.ts';
import { shownDataset } from '../../report/shown-dataset.ts';
import type { SavedEvaluation } from '../../train/saved-evaluation.ts';
import { ttaLevels, type TtaLevel } from '../../train/test-time-augmentation.ts';
import { weightsKinds, type WeightsKind } from '../../train/weights.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { frozenFileName } from '../../util/file-names.ts';
import { formatAccuracy, formatCount } from '../../util/format.ts';
import { statIfReachable } from '../../util/regular-file.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { Interruption } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import { claimMistakesFile, type MistakesFile } from '../mistakes-file.ts';
import { jsonOption, oneOf, parseAssignment, integer, parseThreads, runsDirOption, type Assignments } from '../options.ts';
import { forceOption } from '../output-file.ts';
import { note, print, printTable, printJson, styles } from '../output.ts';
import { givenModel, readReference } from '../saved-model.ts';

interface Options extends DataOptions, EngineOption {
  readonly model?: string;
  readonly split: SplitName;
  readonly weights?: WeightsKind;
  readonly tta?: TtaLevel;
  readonly precision?: Precision;
  readonly watch?: true;
  readonly mistakes?: string;
  readonly force?: true;
  readonly batchSize: number;
  readonly threads?: number;
  readonly set: Assignments;
  readonly runsDir: string;
  readonly json?: true;
}

const splits: readonly SplitName[] = ['test', 'train', 'val'];

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('evaluate a run, a file of weights or a frozen file on every image of a split')
    .argument('<run|file>', 'a run (its folder, <model>/<number>, or <model> for the newest), a safetensors or an ONNX file')
    .option('--model <name|file>', 'model of the file, where it does not say')
    .option('--set <key=value>', 'setting of the model that the file does not record; may be repeated', parseAssignment, {})
    .option('--split <name>', 'test, train or val', oneOf(splits), 'test')
    .option('--weights <kind>', 'ema (moving averages) or raw (default: ema where there are any)', oneOf(weightsKinds))
    .option(
      '--tta <level>',
      'average the logits of several views: none, mirror or mirror+shift (default: as it was trained)',
      oneOf(ttaLevels),
    )
    .option('--precision <type>', 'precision of the evaluation: f32, bf16 or f16 (default: f32)', oneOf(precisions))
    .option('--watch', 'evaluate each new checkpoint until the training, in another process, ends')
    .option('--mistakes <file>', 'also write the mistakes: a page with the pictures (.html) or a table (.csv)')
    .option(...forceOption);
  addDataOptions(command, 'data set to evaluate on (default: what it was trained on)')
    .option('--batch-size <n>', 'images at a time; does not change the result', integer(1), 100)
    .option(...engineOption)
    .option('--threads <n>', 'OpenMP threads (default: physical cores)', parseThreads)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(evaluate);
}

async function evaluate(reference: string, options: Options): Promise<void> {
  if (frozenFileName.test(reference)) await evaluateFrozenFile(reference, options);
  else if (options.watch === true) await watch(reference, options);
  else await evaluateWeights(reference, options);
}

async function evaluateWeights(reference: string, options: Options): Promise<void> {
  const { evaluateSaved } = await import('../../train/saved-evaluation.ts');
  const { saved } = await readReference(reference, options);
  const file = claimMistakes(saved.path, options);
  const how = await evaluationOptions(reference, saved.config.dataset, options);
  const { dataset, split } = how;
  const useVal = saved.config.val;
  const predictions = file && (await collector(dataset, split, useVal));
  const evaluation = await interruptible('stopping', (signal) =>
    evaluateSaved(saved, { ...how, signal, onImage: predictions?.add }),
  );
  if (evaluation === undefined) throw new Interruption('the evaluation was stopped');
  if (options.json === true) printJson(evaluation);
  else printEvaluation(evaluation);
  await file?.write(predictions!, { title: titleOf(reference, evaluation, dataset), dataset, split, useVal });
}

function claimMistakes(source: string, { mistakes, force }: Options): MistakesFile | undefined {
  return mistakes === undefined ? undefined : claimMistakesFile(mistakes, source, force === true);
}

async function collector(dataset: Dataset, split: SplitName, useVal: boolean) {
  const { collectPredictions } = await import('../../train/predictions.ts');
  const { splitOf } = await import('../../data/image-set.ts');
  const { count } = splitOf(dataset, split, useVal);
  return { ...collectPredictions(count), count };
}

/** `tuto/1 after 1,000 steps: test images of cifar10` */
function titleOf(reference: string, { step, split }: Pick<Evaluated, 'step' | 'split'>, { name }: Dataset): string {
  const after = step === null ? '' : ` after ${formatCount(step)} steps`;
  const what = statIfReachable(reference)?.isFile() === true ? basename(reference) : reference;
  return `${what}${after}: ${split} images of ${shownDataset(name)}`;
}

async function watch(reference: string, options: Options): Promise<void> {
  if (statIfReachable(reference)?.isFile() === true) {
    throw new ConfigurationError('--watch follows a run, not a file', { fix: 'give the run, or leave --watch out' });
  }
  if (options.mistakes !== undefined) {
    throw new ConfigurationError('--mistakes is of one evaluation, and --watch makes several', {
      fix: 'leave one of them out',
    });
  }
  if (Object.keys(options.set).length > 0) {
    throw new ConfigurationError('--set is not for a run, which says itself what it trains', { fix: 'leave it out' });
  }
  const { findRun } = await import('../../runs/run-folder.ts');
  const { recordedConfig } = await import('../../train/resume.ts');
  const { watchRun } = await import('../../train/saved-evaluation.ts');
  const run = findRun(options.runsDir, reference);
  // For the functions of custom layers, which no checkpoint has.
  const given = options.model === undefined ? {} : await givenModel(options.model);
  const how = await evaluationOptions(reference, recordedConfig(run).dataset, options);
  const tell = options.json === true ? note : print;
  await interruptible('stopping', async (signal) => {
    const evaluations = await watchRun(run, {
      ...how,
      ...given,
      signal,
      onEvaluation: (evaluation) => tell(summarize(evaluation)),
    });
    if (options.json === true) printJson(evaluations);
    if (signal.aborted) throw new Interruption('the evaluation was stopped');
  });
}

async function evaluationOptions(reference: string, trainedOn: string, options: Options) {
  const { split, weights, tta, precision, batchSize, threads } = options;
  const dataset = await loadImages(datasetOf(reference, trainedOn, options), options);
  const engine = await openChosen(options, threads);
  return { engine, dataset, split, weights, tta, precision, batchSize };
}

/** Evaluates what the file computes in ONNX Runtime, its own preprocessing included. */
async function evaluateFrozenFile(path: string, options: Options): Promise<void> {
  const { model, weights, tta, precision, watch: follow, engine, set, split } = options;
  const given = [model, weights, tta, precision, follow, engine, ...Object.keys(set)];
  if (given.some((option) => option !== undefined)) {
    throw new ConfigurationError(
      '--model, --set, --weights, --tta, --precision, --engine and --watch are not for a frozen file, which says itself what it is',
      { fix: 'leave them out' },
    );
  }
  const { openFrozenModel } = await import('../../deploy/frozen-model.ts');
  const { evaluateFrozen } = await import('../../deploy/evaluate.ts');
  const file = claimMistakes(path, options);
  const frozen = await openFrozenModel(path, { threads: options.threads ?? defaultThreads() });
  const { metadata, session } = frozen;
  try {
    const dataset = await loadImages(datasetOf(path, metadata.config.dataset, options), options);
    const useVal = metadata.config.val;
    const predictions = file && (await collector(dataset, split, useVal));
    await interruptible('stopping', async (signal) => {
      const how = { session, metadata, dataset, split, batchSize: options.batchSize, onImage: predictions?.add };
      const evaluation = await evaluateFrozen(how, signal);
      if (evaluation === undefined) throw new Interruption('the evaluation was stopped');
      const result = { model: metadata.model, weights: metadata.weights, step: metadata.step, file: path, ...evaluation };
      if (options.json === true) printJson(result);
      else printEvaluation(result);
      await file?.write(predictions!, { title: titleOf(path, result, dataset), dataset, split, useVal });
    });
  } finally {
    await session.dispose();
  }
}

/** A frozen file computes in its own precision. */
type Evaluated = Omit<SavedEvaluation, 'precision'> & { readonly precision?: Precision };

function summarize({ step, split, weights, precision, tta, accuracy, loss }: Evaluated): string {
  const kind = weights === 'ema' ? 'moving average' : 'raw weights';
  const how = [
    kind,
    ...(tta === 'none' ? [] : [`views ${tta}`]),
    ...(precision === undefined || precision === 'f32' ? [] : [precision]),
  ].join(', ');
  const at = step === null ? '' : `step ${step}: `;
  return `${at}${split} accuracy ${formatAccuracy(accuracy)} (${how}), loss ${loss.toFixed(4)}`;
}

function printEvaluation(evaluation: Evaluated): void {
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
  printTable([header, ...rows], ['left', ...header.slice(1).map(() => 'right' as const)]);
  print('');
  print('Rows are labels, columns what was predicted.');
}
