import type { Command } from 'commander';
import type { Frozen } from '../../deploy/freeze.ts';
import type { FrozenAccuracy, FrozenMetadata } from '../../deploy/metadata.ts';
import type { Run } from '../../runs/run-folder.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { formatAccuracy, formatBytes, formatOperations } from '../../util/format.ts';
import { formatSize } from '../../util/image-size.ts';
import { requireFrozenName } from '../../util/file-names.ts';
import { bytesFor } from '../../util/gzip.ts';
import { jsonOption, runsDirOption } from '../options.ts';
import { claimOutput, forceOption } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { existingFrozenFile, isOfRun } from '../existing-file.ts';
import { addWeightsOptions, readReference, type WeightsOptions } from '../saved-model.ts';

interface Options extends DataOptions, WeightsOptions, EngineOption {
  readonly output?: string;
  readonly evaluate?: true;
  readonly force?: true;
  readonly json?: true;
}

export function addFreezeCommand(program: Command): void {
  const command = program
    .command('freeze')
    .description('write a trained network as one ONNX file that takes image bytes')
    .argument('<run|file>', 'a run (its folder, <model>/<number>, or <model> for the newest) or a safetensors file')
    .option('-o, --output <file.onnx>', 'where to write; .onnx.gz compresses (default: <model>.onnx)')
    .option(...forceOption);
  addWeightsOptions(command).option('--evaluate', 'measure the accuracy of the frozen file on all test images, and record it');
  addDataOptions(command, 'data set to evaluate on (default: what it was trained on)')
    .option(...engineOption)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(freezeModel);
}

async function freezeModel(reference: string, options: Options): Promise<void> {
  const { saved, run } = await readReference(reference, options);
  const { freeze } = await import('../../deploy/freeze.ts');
  const { runName } = await import('../../runs/run-folder.ts');
  const file = options.output ?? `${saved.config.model}.onnx`;
  requireFrozenName(file);
  const name = run && runName(run);
  const existing = await existingFrozenFile(file, (each) => each.quantization === null && isOfRun(each, name, saved.config));
  const output = claimOutput(file, { source: reference, what: 'freeze', force: options.force === true, existing });
  const frozen = await freeze({
    saved,
    weights: options.weights,
    engine: await openChosen(options),
    classes: options.classes,
    run: name,
  });
  const accuracy = await accuracyOf(frozen, saved, run, options);
  const bytes = bytesFor(file, frozen.encode(accuracy));
  output.write(bytes);
  await report({ ...frozen.metadata, accuracy }, file, bytes.length, options.json === true);
}

/** Of the frozen file itself, or what its run has recorded. */
async function accuracyOf(
  { metadata, encode }: Frozen,
  saved: SavedModel,
  run: Run | undefined,
  options: Options,
): Promise<FrozenAccuracy | null> {
  const { accuracyRecord, evaluateFile, recordedAccuracy } = await import('../../deploy/evaluate.ts');
  if (options.evaluate !== true) return run === undefined ? null : recordedAccuracy(run, saved, metadata.weights);
  const dataset = await loadImages(datasetOf(saved.path, saved.config.dataset, options), options);
  const evaluation = await evaluateFile(encode(null), { metadata, dataset, split: 'test', threads: defaultThreads() });
  return accuracyRecord(evaluation!, dataset);
}

async function report(metadata: FrozenMetadata, file: string, bytes: number, json: boolean): Promise<void> {
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
  const { imageShapeOf } = await import('../../deploy/metadata.ts');
  const [channels] = imageShapeOf(metadata);
  const kind = weights === 'ema' ? 'moving averages' : 'raw weights';
  const at = step === null ? '' : `, step ${step}`;
  print(`wrote ${file}: ${formatBytes(bytes)}, ${run ?? model}${at} (${kind})`);
  const known =
    accuracy === null ? 'accuracy not measured (--evaluate)' : `accuracy ${formatAccuracy(accuracy.value)} on ${accuracy.split}`;
  print(`${formatOperations(operations)} operations an image, ${known}`);
  print(
    `input image uint8 [N, H, W, ${channels}] of at least ${formatSize(inputSize)} pixels; outputs logits and probabilities [N, ${classes.length}]`,
  );
}
