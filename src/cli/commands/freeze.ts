import type { Command } from 'commander';
import type { Frozen } from '../../deploy/freeze.ts';
import type { FrozenAccuracy, FrozenMetadata } from '../../deploy/metadata.ts';
import type { Run } from '../../runs/run-folder.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import type { WeightsKind } from '../../train/weights.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { dataDirOption, dataUrlOption, loadImages, type SourceOptions } from '../dataset.ts';
import { formatAccuracy, formatBytes, formatOperations } from '../../util/format.ts';
import { bytesFor } from '../../util/gzip.ts';
import { jsonOption, parseAssignment, runsDirOption, type Assignments } from '../options.ts';
import { claimOutput, forceOption, requireFrozenName } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { existingFrozenFile, isOfRun } from '../existing-file.ts';
import { weightsKind } from '../frozen-files.ts';
import { readReference } from '../saved-model.ts';

interface Options extends SourceOptions {
  readonly output?: string;
  readonly weights?: string;
  readonly model?: string;
  readonly set: Assignments;
  readonly classes?: string;
  readonly evaluate?: true;
  readonly force?: true;
  readonly data?: string;
  readonly runsDir: string;
  readonly json?: true;
}

export function addFreezeCommand(program: Command): void {
  program
    .command('freeze')
    .description('write a trained network as one ONNX file that takes images as they are')
    .argument('<run|file>', 'a run (its folder, <model>/<number>, or <model> for the newest) or a safetensors file')
    .option('-o, --output <file.onnx>', 'where to write; .onnx.gz compresses (default: <model>.onnx)')
    .option(...forceOption)
    .option('--weights <kind>', 'ema (moving averages) or raw (default: ema where there are any)')
    .option('--model <name>', 'model of the file, where it does not say')
    .option('--set <key=value>', 'setting of the model of the file, where it does not say; may be repeated', parseAssignment, {})
    .option('--classes <a,b,...>', 'names of the classes, where the file does not say')
    .option('--evaluate', 'measure the accuracy of the frozen file on all test images, and record it')
    .option('--data <name>', 'data set to evaluate on (default: what it was trained on)')
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(freezeModel);
}

async function freezeModel(reference: string, options: Options): Promise<void> {
  const { saved, run } = await readReference(reference, options);
  const { freeze } = await import('../../deploy/freeze.ts');
  const { createOnednnEngine } = await import('../../engine/onednn/engine.ts');
  const { runName } = await import('../../runs/run-folder.ts');
  const weights = await weightsKind(saved, options.weights);
  const file = options.output ?? `${saved.config.model}.onnx`;
  requireFrozenName(file);
  const name = run && runName(run);
  const existing = await existingFrozenFile(file, (each) => each.quantization === null && isOfRun(each, name, saved.config));
  const output = claimOutput(file, { source: reference, what: 'freeze', force: options.force === true, existing });
  const frozen = await freeze({
    saved,
    weights,
    engine: createOnednnEngine(),
    classes: options.classes?.split(',').map((name) => name.trim()),
    run: name,
  });
  const accuracy =
    options.evaluate === true
      ? await measureAccuracy(frozen, saved.config.dataset, options)
      : await recordedAccuracy(saved, run, weights);
  const bytes = bytesFor(file, frozen.encode(accuracy));
  output.write(bytes);
  report({ ...frozen.metadata, accuracy }, file, bytes.length, options.json === true);
}

/** Evaluates the frozen file itself. */
async function measureAccuracy({ metadata, encode }: Frozen, trainedOn: string, options: Options): Promise<FrozenAccuracy> {
  const { evaluateFrozen } = await import('../../deploy/evaluate.ts');
  const { openSession } = await import('../../deploy/onnx-runtime.ts');
  const dataset = await loadImages(options.data ?? trainedOn, options);
  const session = await openSession(encode(null), 'the frozen file', { threads: defaultThreads() });
  try {
    const evaluation = await evaluateFrozen({ session, metadata, dataset, split: 'test' });
    const { accuracy, images } = evaluation!;
    return { value: accuracy, split: 'test', images, dataset: dataset.name, fingerprint: dataset.fingerprint };
  } finally {
    await session.dispose();
  }
}

/** What the run's last evaluation says, if it is of these very weights, and of each image seen once as the frozen file sees it. */
async function recordedAccuracy(saved: SavedModel, run: Run | undefined, weights: WeightsKind): Promise<FrozenAccuracy | null> {
  if (run === undefined || saved.config.tta !== 'none') return null;
  const { readEvaluation } = await import('../../train/recorded-evaluation.ts');
  const evaluation = readEvaluation(run);
  if (evaluation === undefined || evaluation.step !== saved.step || evaluation.weights !== weights) return null;
  const { accuracy: value, split, images } = evaluation;
  const { dataset = '', datasetFingerprint = '' } = saved.file.metadata;
  return { value, split, images, dataset, fingerprint: datasetFingerprint };
}

function report(metadata: FrozenMetadata, file: string, bytes: number, json: boolean): void {
  const { model, weights, accuracy, parameters, operations, inputSize, classes, run, step } = metadata;
  if (json) {
    printJson({
      file,
      bytes,
      model,
      weights,
      accuracy: accuracy?.value ?? null,
      run,
      step,
      parameters,
      operations,
      inputSize,
      classes,
    });
    return;
  }
  const kind = weights === 'ema' ? 'moving averages' : 'raw weights';
  const at = step === null ? '' : `, step ${step}`;
  print(`wrote ${file}: ${formatBytes(bytes)}, ${run ?? model}${at} (${kind})`);
  const known =
    accuracy === null ? 'accuracy not measured (--evaluate)' : `accuracy ${formatAccuracy(accuracy.value)} on ${accuracy.split}`;
  print(`${formatOperations(operations)} operations an image, ${known}`);
  print(
    `input image uint8 [N, H, W, 3] of at least ${inputSize}x${inputSize} pixels; outputs logits and probabilities [N, ${classes.length}]`,
  );
}
