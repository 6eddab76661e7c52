/** The models that a study names: the lab's by their names, the user's by files, which are loaded before anything is planned. */
import { dirname } from 'node:path';
import { modelDefinition } from '../models/registry.ts';
import { isCodeFile, type LoadFileOptions } from '../user/load-file.ts';
import { loadModel, type LoadedModel } from '../user/model-file.ts';
import { AblateError } from '../util/errors.ts';
import type { Path } from '../util/schema.ts';
import type { StudyFile } from './study-file.ts';

/** Finds a model by what a study calls it. Throws ConfigurationError if there is none. */
export type StudyModels = (name: string) => LoadedModel;

/** For studies without files of code. */
export const labModels: StudyModels = (name) => ({ definition: modelDefinition(name), file: undefined });

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
