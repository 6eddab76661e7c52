/** The models that a study names: the lab's by their names, the user's by files, which are loaded before anything is planned. */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ModelDefinition } from '../models/model.ts';
import { modelDefinition, modelNames } from '../models/registry.ts';
import type { LoadFileOptions } from '../user/load-file.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { readSafetensors } from '../runs/safetensors.ts';
import { findWeights } from '../train/saved-model.ts';
import { teacherChecksum } from '../train/teacher.ts';
import { namedStart, startChecksum } from '../train/training-start.ts';
import { keysOfFile, type AugmentationKeys } from '../train/own-augmentation.ts';
import { loadAugmentation } from '../user/augmentation-file.ts';
import { loadModel, type LoadedModel } from '../user/model-file.ts';
import { recordOfFile } from '../user/recorded-file.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { isCodeFile } from '../util/file-names.ts';
import type { Path } from '../util/schema.ts';
import type { StudyFile } from './study-file.ts';

/** What a study names: models, files of augmentations, and the weights that trainings start from or learn from. */
export interface StudyModels {
  /** Finds a model by what a study calls it. Throws ConfigurationError if there is none. */
  (name: string): LoadedModel;
  /** By what the study calls it; undefined for one that was not loaded. */
  readonly augmentation?: (name: string) => StudyAugmentation | undefined;
  /** What a configuration says of the weights that it names; undefined for a study whose weights were not looked for. Throws DataError if there are none. */
  readonly weights?: (config: TrainingConfig) => WeightsKeys;
}

export type WeightsKeys = Pick<TrainingConfig, 'init' | 'initChecksum' | 'teacher' | 'teacherChecksum'>;

/** An augmentation as a study plans with it. */
export interface StudyAugmentation {
  /** What a configuration says of it. Throws ConfigurationError for settings that it does not have. */
  keys(config: TrainingConfig): AugmentationKeys;
  /** What a run keeps of it. */
  readonly records: Readonly<Record<string, unknown>>;
}

/** For studies without files of code. */
export const labModels: StudyModels = (name) => ({ definition: modelDefinition(name), file: undefined });

/** For studies that name models of the program's own, beside the lab's. Throws ConfigurationError if two have one name. */
export function studyModels(...definitions: readonly ModelDefinition[]): StudyModels {
  const names = [...modelNames(), ...definitions.map(({ name }) => name)];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new ConfigurationError(`two models are called "${twice}"`, { fix: 'give the one of your own another name' });
  }
  const byName = new Map(definitions.map((definition) => [definition.name, { definition, file: undefined }]));
  return (name) => byName.get(name) ?? labModels(name);
}

export interface StudyModelsOptions extends LoadFileOptions {
  /** Of the runs that a study names as `init` or `teacher`; default: `runs`. */
  readonly runsFolder?: string;
}

/**
 * Loads the files of code that a study names as models or augmentations, relative to its own folder. The weights that it names are files there, or
 * runs; they are read when the study is planned.
 *
 * @throws ConfigurationError naming the line of the study file
 */
export async function loadStudyModels(
  file: StudyFile,
  { runsFolder = 'runs', ...options }: StudyModelsOptions = {},
): Promise<StudyModels> {
  const given = { folder: dirname(file.path), ...options };
  const models = await loadNamed(file, ['model', 'models'], (name) => loadModel(name, given));
  const augmentations = await loadNamed(file, ['augmentWith'], async (name): Promise<StudyAugmentation> => {
    const loaded = await loadAugmentation(name, given);
    return { keys: (config) => keysOfFile(loaded, config), records: recordOfFile('augmentation', loaded.file) };
  });
  const find = (name: string): LoadedModel => models.get(name) ?? labModels(name);
  return Object.assign(find, {
    augmentation: (name: string) => augmentations.get(name),
    weights: (config: TrainingConfig) => keysOfWeights(config, given.folder, runsFolder),
  });
}

function keysOfWeights(config: TrainingConfig, folder: string, runsFolder: string): WeightsKeys {
  const { init, teacher } = config;
  const read = (reference: string) => {
    try {
      const { path } = findWeights(placeOf(reference, folder), runsFolder);
      return { path, file: readSafetensors(path) };
    } catch (error) {
      if (!(error instanceof AblateError)) throw error;
      const named = Object.entries({ init, teacher }).find(([, value]) => value === reference);
      throw new ConfigurationError(error.message, { key: named?.[0] ?? 'pruning.rewind', fix: error.fix, cause: error });
    }
  };
  return {
    ...{ init: placeOf(init, folder), initChecksum: startChecksum(namedStart(config, read)) },
    ...{ teacher: placeOf(teacher, folder), teacherChecksum: teacher === 'none' ? '' : teacherChecksum(read(teacher)) },
  };
}

/** A file beside the study's is named by its whole path, as trainings are started elsewhere. */
function placeOf(reference: string, folder: string): string {
  const path = resolve(folder, reference);
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? path : reference;
}

/** What each file of code becomes that is the value of one of the keys, or in a list of such a name. */
async function loadNamed<T>(
  file: StudyFile,
  keys: readonly string[],
  load: (name: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  const loaded = new Map<string, T>();
  for (const { name, at } of filesNamed(file.source, keys, [])) {
    try {
      loaded.set(name, loaded.get(name) ?? (await load(name)));
    } catch (error) {
      if (!(error instanceof AblateError)) throw error;
      throw file.error(at, error.message, error.fix);
    }
  }
  return loaded;
}

function filesNamed(value: unknown, keys: readonly string[], at: Path): { readonly name: string; readonly at: Path }[] {
  if (typeof value === 'string') {
    const isNamed = keys.includes(String(at.at(-1))) || keys.includes(String(at.at(-2)));
    return isNamed && isCodeFile(value) ? [{ name: value, at }] : [];
  }
  return Object.entries(Object(value) as object).flatMap(([key, inner]) => filesNamed(inner, keys, [...at, key]));
}
