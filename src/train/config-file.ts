/** Files of configuration keys, for `--config`: YAML that somebody wrote, or the config.json of a run. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ModelDefinition } from '../models/model.ts';
import { datasetBeside, isCodeFile } from '../util/file-names.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { Path } from '../util/schema.ts';
import { parseYaml, readText, type YamlFile } from '../util/yaml-file.ts';
import { resolveConfig } from './config.ts';
import { fullKey } from './complete-config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';

/** In bytes: far above what all keys take. */
const largestConfigFile = 1e6;

export interface ConfigFile {
  readonly path: string;
  /** The keys that it has, as written. */
  readonly keys: ConfigOverrides;
  /** An error of a configuration that is partly from this file: with the line, where what is wrong is written here. */
  explain(error: unknown, stronger: ConfigOverrides): unknown;
}

/**
 * Reads a file of keys. Which keys and values there are is checked when a configuration is made of them.
 *
 * @throws AblateError if it cannot be read; ConfigurationError, with the line, if it is no YAML or no list of keys
 */
export function readConfigFile(path: string): ConfigFile {
  const file = parseYaml(readText(path, largestConfigFile, 'a file of keys', 'docs/training.md'), path, 'a file of keys');
  const { value } = file;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigurationError(`${path} has no keys of a configuration`, {
      fix: 'write one in each line, for example learningRate: 0.05',
    });
  }
  const keys: ConfigOverrides = { ...value, ...filesBeside(path, value as ConfigOverrides) };
  if (keys['model'] !== undefined && typeof keys['model'] !== 'string') {
    throw new ConfigurationError(`${file.where(['model'])}: model must be the name of a model, or of a file of your own`, {
      key: 'model',
    });
  }
  for (const key of Object.keys(keys)) {
    if (keys[key] === null)
      throw new ConfigurationError(`${file.where([key])}: ${key} has no value`, { key, fix: 'give one, or leave the key out' });
  }
  return {
    path,
    keys,
    explain(error, stronger) {
      if (!(error instanceof ConfigurationError) || error.key === undefined) return error;
      const at = [error.key, ...error.otherKeys]
        .filter((key) => !Object.keys(stronger).some((name) => covers(name, key)))
        .map((key) => placeOf(key, file))
        .find((place) => place !== undefined);
      if (at === undefined) return error;
      const { key, otherKeys, fix } = error;
      return new ConfigurationError(`${file.where(at)}: ${error.message}`, { key, otherKeys, fix, cause: error });
    },
  };
}

/** What a file of keys names lies beside it, whoever reads it. */
function filesBeside(path: string, { augmentWith, dataset }: ConfigOverrides): ConfigOverrides {
  const folder = dirname(path);
  // What a run has recorded is as it was seen from where it was started.
  const isRecord = existsSync(join(folder, 'status.json'));
  return {
    ...(typeof augmentWith === 'string' && isCodeFile(augmentWith) && { augmentWith: resolve(folder, augmentWith) }),
    ...(typeof dataset === 'string' && !isRecord && { dataset: datasetBeside(folder, dataset) }),
  };
}

/**
 * The complete configuration of a file of keys, changed by further ones, of which the last is the strongest.
 *
 * @throws ConfigurationError naming the key, its value and what is allowed, with the line if that is in the file
 *
 * @example
 * loadConfig('run.yaml', { seed: 3 });
 */
export function loadConfig(path: string, ...layers: readonly ConfigOverrides[]): TrainingConfig {
  return resolveFile(readConfigFile(path), layers);
}

/** As `loadConfig`, of a file that is read, and a model that may be anybody's. */
export function resolveFile(file: ConfigFile, layers: readonly ConfigOverrides[], model?: ModelDefinition): TrainingConfig {
  try {
    return resolveConfig(file.keys, ...layers, ...(model === undefined ? [] : [{ model }]));
  } catch (error) {
    throw file.explain(error, Object.assign({}, ...layers) as ConfigOverrides);
  }
}

/** The model that a file names: a name of the lab's, or a file beside it. Undefined if it names none. */
export function modelOfFile({ path, keys }: ConfigFile, isCodeFile: (name: string) => boolean): string | undefined {
  const { model } = keys;
  if (typeof model !== 'string') return undefined;
  return isCodeFile(model) ? resolve(dirname(path), model) : model;
}

/** Whether a key that was given decides another one: `schedule` all that is in it. */
function covers(given: string, key: string): boolean {
  const [whole, part] = [fullKey(given), fullKey(key)];
  return whole === part || part.startsWith(`${whole}.`);
}

/** Where a file has a key: in its group, by its dotted name, or as a setting of the model by its own name. */
function placeOf(key: string, file: YamlFile): Path | undefined {
  const plain = key.replace(/^modelSettings\./, '');
  const [group, ...rest] = key.split('.') as [string, ...string[]];
  const places: Path[] = [[key], [plain], [`model.${plain}`], [group, rest.join('.')], [group]];
  return places.find((place) => file.has(place) && !(place.length === 1 && place[0] === 'modelSettings'));
}
