/** Weights named on the command line: those of a run, or of a file. */
import type { Command } from 'commander';
import type { Run } from '../runs/run-folder.ts';
import type { SavedModel, TrainedModelOptions } from '../train/saved-model.ts';
import { weightsKinds, type WeightsKind } from '../train/weights.ts';
import { ConfigurationError } from '../util/errors.ts';
import { isCodeFile } from '../util/file-names.ts';
import type { EngineOption } from './engine.ts';
import { oneOf, parseAssignment, parseNames, type Assignments } from './options.ts';

export interface ReferenceOptions {
  readonly runsDir: string;
  /** Model of a file that does not say. */
  readonly model?: string | undefined;
  /** Settings of the model of a file that does not say. */
  readonly set?: Assignments | undefined;
}

export interface WeightsOptions extends ReferenceOptions {
  readonly weights?: WeightsKind;
  readonly set: Assignments;
  readonly classes?: readonly string[];
}

/** For a command that makes something of trained weights: which, and what a file does not say of them. */
export function addWeightsOptions(command: Command): Command {
  return command
    .option(
      '--weights <kind>',
      'of a run or safetensors file: ema (moving averages) or raw (default: ema where there are any)',
      oneOf(weightsKinds),
    )
    .option('--model <name|file>', 'model of the safetensors file, where it does not say')
    .option('--set <key=value>', 'setting of the model that the file does not record; may be repeated', parseAssignment, {})
    .option('--classes <a,b,...>', 'names of the classes, where the file does not say', parseNames);
}

/** @throws ConfigurationError if options of `addWeightsOptions`, or an engine, are given for a frozen file */
export function requireNoWeightsOptions({ weights, model, set, classes, engine }: WeightsOptions & Partial<EngineOption>): void {
  const options = { weights, model, set: Object.keys(set)[0], classes, engine };
  const given = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : `--${name}`));
  if (given.length === 0) return;
  throw new ConfigurationError(
    `${given.join(' and ')} ${given.length === 1 ? 'is' : 'are'} not for a frozen file, which says itself what it is`,
    { fix: `leave out ${given.join(' and ')}` },
  );
}

/**
 * Reads the newest checkpoint of a run (its folder, `<model>/<number>`, or `<model>` for the newest), or a safetensors file.
 *
 * @throws DataError if there is none, or it is damaged
 */
export async function readReference(
  reference: string,
  { runsDir, model, set = {} }: ReferenceOptions,
): Promise<{ readonly saved: SavedModel; readonly run: Run | undefined }> {
  const { readTrainedModel } = await import('../train/saved-model.ts');
  const { given = {}, definition } = model === undefined ? {} : await givenModel(model);
  return readTrainedModel(reference, { runsFolder: runsDir, given: { ...given, ...set }, definition });
}

/** What `--model` says: the model's name, and of a file its definition. */
export async function givenModel(model: string): Promise<Pick<TrainedModelOptions, 'given' | 'definition'>> {
  const { loadModel } = await import('../user/model-file.ts');
  if (!isCodeFile(model)) return { given: { model } };
  const { definition } = await loadModel(model, { watched: true });
  return { given: { model: definition.name }, definition };
}
