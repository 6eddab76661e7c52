/** What of a configuration can be told without a path of the machine. */
import type { TrainingConfig } from '../train/config-schema.ts';
import { isDatasetFile } from '../util/file-names.ts';

/** A configuration as frozen files have it. */
export function configWithoutPaths(config: TrainingConfig): TrainingConfig {
  const { pruning } = config;
  return {
    ...withoutFolder(config),
    init: withoutPath(config.init),
    teacher: withoutPath(config.teacher),
    pruning: pruning.type === 'none' ? pruning : { ...pruning, rewind: withoutPath(pruning.rewind) },
  };
}

/** A folder of images is `images`, a file of code `file`. */
export function withoutFolder<T extends { readonly dataset: string }>(record: T): T {
  return { ...record, dataset: isDatasetFile(record.dataset) ? 'file' : record.dataset.split(':')[0]! };
}

/** @param reference none, rate, the name of a run, or the path of a run or a file */
function withoutPath(reference: string): string {
  return /^(none|rate|[A-Za-z0-9]+\/\d+)$/.test(reference) ? reference : 'file';
}
