/** A file of weights together with what it says of the network they belong to: all that evaluating or exporting it needs. */
import { existsSync, statSync } from 'node:fs';
import type { ModelDefinition } from '../models/model.ts';
import { modelDefinition } from '../models/registry.ts';
import { withCustomLayers } from '../nn/network.ts';
import { bestCheckpoint, bestName, latestCheckpoint } from '../runs/checkpoint.ts';
import { checkpointsFolder, findRun, runName, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { readSafetensors, type Safetensors } from '../runs/safetensors.ts';
import { parseWeightsMetadata } from '../runs/weights-metadata.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { frozenFileName, isCodeFile, weightsFileName } from '../util/file-names.ts';
import { quoted } from '../util/shell.ts';
import { resolveWith } from './config.ts';
import { checkRecordedConfig } from './complete-config.ts';
import { createClassifier, decodeClassifier, type Classifier, type DatasetFacts } from './classifier.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { requireMasks } from './masks.ts';
import { modelOf } from './weights.ts';

export interface SavedModel {
  readonly path: string;
  readonly file: Safetensors;
  /** What it was trained with; for weights from elsewhere the defaults, changed as the user says. */
  readonly config: TrainingConfig;
  /** Steps trained; undefined for weights from elsewhere. */
  readonly step: number | undefined;
  /** What the weights belong to; undefined for weights from elsewhere: `classifierFor` makes one. */
  readonly classifier: Classifier | undefined;
  /** Of weights from elsewhere: their model, where it is none of the lab's own. */
  readonly definition?: ModelDefinition;
}

/**
 * The classifier that weights belong to: their own, or for weights from elsewhere what their model is for images of the data set.
 *
 * @throws ConfigurationError if the images are too small for the model
 */
export function classifierFor({ classifier, config, definition }: SavedModel, images: DatasetFacts): Classifier {
  return classifier ?? createClassifier(config, images, definition);
}

/** Behind the name of a run: its best checkpoint in place of its newest. */
const bestSuffix = `@${bestName}`;

/**
 * The file of weights that a reference names: a safetensors file (compressed with gzip or not), or the newest checkpoint of a run.
 *
 * @param reference the path of a file or of a run's folder, `<model>/<number>`, or `<model>` for its newest run; with `@best` the checkpoint that was
 *   best on validation images in place of the newest
 * @param runsFolder the folder of all runs
 * @throws DataError if there is none, or it is a frozen file
 */
export function findWeights(reference: string, runsFolder: string): { readonly path: string; readonly run: Run | undefined } {
  if (frozenFileName.test(reference)) {
    throw new DataError(`${reference} is a frozen file, which cannot be trained on`, {
      fix: 'give the run, or the file of weights, that it was frozen from',
    });
  }
  if (isCodeFile(reference)) {
    throw new DataError(`${reference} is a file of code, not a trained network`, {
      fix: `train it, and give the run: ablate train ${quoted(reference)}`,
    });
  }
  if (existsSync(reference) && statSync(reference).isFile()) return { path: reference, run: undefined };
  if (weightsFileName.test(reference)) throw new DataError(`there is no file ${reference}`, { fix: 'check the path' });
  if (reference.endsWith(bestSuffix)) {
    const run = findRun(runsFolder, reference.slice(0, -bestSuffix.length));
    const best = bestCheckpoint(run);
    if (best !== undefined) return { path: best.path, run };
    throw new DataError(`${runName(run)} has no checkpoint that is the best on validation images`, {
      fix: `Trainings with --val keep one. ${runName(run)} alone is its newest`,
    });
  }
  const run = findRun(runsFolder, reference);
  const latest = latestCheckpoint(run);
  if (latest === undefined) throw withoutCheckpoint(run);
  return { path: latest.path, run };
}

function withoutCheckpoint(run: Run): DataError {
  const name = runName(run);
  const { status, step, saved } = readStatus(run);
  if (status === 'running') {
    return new DataError(`${name} has no checkpoint yet`, {
      fix: `wait for the first, as ablate eval ${quoted(name)} --watch does`,
    });
  }
  const neverHadOne = step === 0 || saved === false;
  return new DataError(`${name} has no checkpoint`, {
    fix: neverHadOne
      ? `train it: ablate train --resume ${quoted(name)}`
      : `restore one in ${checkpointsFolder(run)}, or take another run`,
  });
}

/**
 * A reference that will mean the same later: of the name of a model, which stands for its newest run, that run's own name; `none` stays.
 *
 * @throws DataError if there is no such run
 */
export function fixedReference(reference: string, runsFolder: string): string {
  if (reference === 'none') return reference;
  const { run } = findWeights(reference, runsFolder);
  if (run === undefined) return reference;
  if (reference === run.model) return runName(run);
  return reference === run.model + bestSuffix ? runName(run) + bestSuffix : reference;
}

export interface TrainedModelOptions {
  /** The folder of all runs; default `runs`. */
  readonly runsFolder?: string;
  /** Of a file from elsewhere, which does not say: the name of its model, and its settings. */
  readonly given?: ConfigOverrides;
  /** Of a file from elsewhere: its model, where it is none of the lab's own. */
  readonly definition?: ModelDefinition | undefined;
}

/**
 * Reads the weights that a reference names (see `findWeights`) with all that they say of themselves.
 *
 * @returns with the run that they are of; undefined for a file
 * @throws DataError if there are none, or they are damaged
 */
export function readTrainedModel(
  reference: string,
  { runsFolder = 'runs', given = {}, definition }: TrainedModelOptions = {},
): { readonly saved: SavedModel; readonly run: Run | undefined } {
  const { path, run } = findWeights(reference, runsFolder);
  return { saved: readSavedModel(path, given, definition), run };
}

/**
 * Reads a checkpoint, or a safetensors file from elsewhere, of which `given` must name the model.
 *
 * @param given the model and other keys, as far as the user gave them; a checkpoint knows its own and only its model may be repeated
 * @param definition the model of that name, where it is none of the lab's own: for weights that do not say, and for the functions of custom layers
 * @throws DataError for a file that is no safetensors file, is damaged, or of another model; ConfigurationError if the model is not known
 */
export function readSavedModel(path: string, given: ConfigOverrides = {}, definition?: ModelDefinition): SavedModel {
  const file = readSafetensors(path);
  const metadata = parseWeightsMetadata(file.metadata, path);
  requireMasks(file.tensors, path);
  const model = modelOf(file);
  if (given['model'] !== undefined && model !== undefined && given['model'] !== model) {
    throw new DataError(`${path} is of model ${model}, not ${JSON.stringify(given['model'])}`, {
      fix: `leave --model out, or give --model ${model}`,
    });
  }
  if (metadata === undefined) {
    if (given['model'] === undefined && model === undefined) {
      throw new ConfigurationError(`${path} does not say which model its weights are for`, { fix: 'add --model <name>' });
    }
    const find = definition === undefined ? modelDefinition : () => definition;
    const config = resolveWith(find, { ...given, model: given['model'] ?? model });
    return { path, file, config, step: undefined, classifier: undefined, ...(definition !== undefined && { definition }) };
  }
  const changed = Object.keys(given).find((key) => key !== 'model');
  if (changed !== undefined) {
    throw new ConfigurationError(`${changed} is fixed by ${path}, which records how it was trained`, {
      fix: `leave ${changed} out`,
    });
  }
  const { step } = metadata;
  const config = checkRecordedConfig(metadata.config, path);
  return { path, file, config, step, classifier: withFunctions(decodeClassifier(metadata.classifier, path), config, definition) };
}

/** With the functions of its custom layers, which no file of weights has. */
function withFunctions(classifier: Classifier, config: TrainingConfig, definition: ModelDefinition | undefined): Classifier {
  const { network, imageShape, classes } = classifier;
  if (definition === undefined || network.layers.every(({ kind }) => kind !== 'custom')) return classifier;
  const { customLayers } = createClassifier(config, { shape: imageShape, classes }, definition).network;
  return { ...classifier, network: withCustomLayers(network, customLayers) };
}
