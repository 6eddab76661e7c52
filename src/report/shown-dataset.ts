import { basename, isAbsolute } from 'node:path';
import type { TrainingConfig } from '../train/config-schema.ts';
import { isDatasetFile } from '../util/file-names.ts';

/** A data set as a report names it: of a folder of images, or a file of code, the name alone, as where it lies is nobody else's business. */
export function shownDataset(name: string): string {
  if (isAbsolute(name) || isDatasetFile(name)) return basename(name);
  const [kind, ...rest] = name.split(':');
  return rest.length === 0 ? name : `${kind}:${basename(rest.join(':'))}`;
}

/** The files of augmentations and weights that configurations name by their whole paths. */
export function filesNamedIn(configs: readonly TrainingConfig[]): string[] {
  return [...new Set(configs.flatMap(({ augmentWith, init, teacher }) => [augmentWith, init, teacher]).filter(isAbsolute))];
}

/**
 * What is reported, with every mention of a data set as `shownDataset` says it: in configurations, command lines and the text of a study.
 *
 * @param names of the data sets and files, as runs and studies name them
 */
export function withShownDatasets<T>(reported: T, names: readonly string[]): T {
  if (typeof reported === 'string') {
    return names.reduce<string>((text, name) => text.replaceAll(name, shownDataset(name)), reported) as T;
  }
  if (Array.isArray(reported)) return reported.map((each: unknown) => withShownDatasets(each, names)) as T;
  if (typeof reported !== 'object' || reported === null) return reported;
  return Object.fromEntries(
    Object.entries(reported).map(([key, value]) => [key, withShownDatasets(value as unknown, names)]),
  ) as T;
}
