/** The models that a study names: the lab's by their names, the user's by files, which are loaded before anything is planned. */
import { dirname } from 'node:path';
import type { ModelDefinition } from '../models/model.ts';
import { modelDefinition, modelNames } from '../models/registry.ts';
import { isCodeFile, type LoadFileOptions } from '../user/load-file.ts';
import { loadModel, type LoadedModel } from '../user/model-file.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import type { Path } from '../util/schema.ts';
import type { StudyFile } from './study-file.ts';

/** Finds a model by what a study calls it. Throws ConfigurationError if there is none. */
export type StudyModels = (name: string) => LoadedModel;

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

/**
 * Loads the files of code that a study names as models, relative to its own folder.
 *
 * @throws ConfigurationError naming the line of the study file
 */
export async function loadStudyModels(file: StudyFile, options: LoadFileOptions = {}): Promise<StudyModels> {
  const loaded = new Map<string, LoadedModel>();
  for (const { name, at } of filesNamed(file.source, [])) {
    if (loaded.has(name)) continue;
    try {
      loaded.set(name, await loadModel(name, { folder: dirname(file.path), ...options }));
    } catch (error) {
      if (!(error instanceof AblateError)) throw error;
      throw file.error(at, error.message, error.fix);
    }
  }
  return (name) => loaded.get(name) ?? labModels(name);
}

/** Of the keys `model` wherever they are, and of the list `models`. */
function filesNamed(value: unknown, at: Path): { readonly name: string; readonly at: Path }[] {
  if (typeof value === 'string') {
    const isModel = at.at(-1) === 'model' || at.at(-2) === 'models';
    return isModel && isCodeFile(value) ? [{ name: value, at }] : [];
  }
  if (typeof value !== 'object' || value === null) return [];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([key, inner]) => filesNamed(inner, [...at, key]));
}
