/** Options that say where images come from, and loading them with progress; shared by all commands that read images. */
import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Dataset, OnDataProgress } from '../data/dataset.ts';
import { ConfigurationError } from '../util/errors.ts';
import { formatBytes } from '../util/format.ts';
import { note } from './output.ts';
import { createProgress, type Progress } from './progress.ts';

export const dataDirOption = [
  '--data-dir <folder>',
  'folder of the data (default: $ABLATE_DATA_DIR, then the user cache)',
] as const;
export const dataUrlOption = ['--data-url <url>', 'mirror of the archive, used if the original host fails'] as const;

export interface SourceOptions {
  readonly dataDir?: string;
  readonly dataUrl?: string;
}

export interface DataOptions extends SourceOptions {
  readonly data?: string;
}

/** For a command that reads one data set, of the user's choice. */
export function addDataOptions(command: Command, what = 'data set (default: what it was trained on)'): Command {
  return command
    .option('--data <name>', what)
    .option(...dataDirOption)
    .option(...dataUrlOption);
}

/**
 * The data set to load: the one that the user names, else the one that `source` was trained on.
 *
 * @throws ConfigurationError where that is of the user's own and a frozen file, which keeps no paths, cannot say where it is, or there is no such folder from here
 */
export function datasetOf(source: string, trainedOn: string, { data }: DataOptions): string {
  if (data !== undefined) return data;
  const folder = /^images:([^?]+)/.exec(trainedOn)?.[1];
  if (folder !== undefined && !existsSync(folder)) {
    throw new ConfigurationError(`${source} was trained on ${trainedOn}, and from here there is no folder ${resolve(folder)}`, {
      fix: 'say where it is: --data images:<folder>',
    });
  }
  const own = trainedOn === 'images' ? 'a folder of images' : trainedOn === 'file' ? 'a data file' : undefined;
  if (own === undefined) return trainedOn;
  throw new ConfigurationError(`${source} was trained on ${own}, and files do not say where that is`, {
    fix: `say where: --data ${trainedOn === 'images' ? 'images:<folder>' : '<file>'}`,
  });
}

/** Loads the data set called `name`, saying so where the images are generated. `quiet` says nothing. */
export async function loadImages(name: string, { dataDir, dataUrl }: SourceOptions, quiet = false): Promise<Dataset> {
  const { loadDataset } = await import('../user/dataset.ts');
  const source = { ...(dataDir !== undefined && { dataDir }), ...(dataUrl !== undefined && { dataUrl }) };
  if (quiet) return await loadDataset(name, source);
  const dataset = await withDataProgress((onProgress, onNote) => loadDataset(name, { ...source, onProgress, onNote }));
  if (dataset.synthetic) note('The images are synthetic: drawn by this program, not photographs.');
  return dataset;
}

/** Shows what takes long while `work` prepares a data set. */
export async function withDataProgress<T>(
  work: (onProgress: OnDataProgress, onNote: (line: string) => void) => Promise<T>,
): Promise<T> {
  let shown: { readonly activity: string; readonly progress: Progress } | undefined;
  const onProgress: OnDataProgress = ({ activity, done, total = 0, unit }) => {
    if (shown?.activity !== activity) {
      shown?.progress.finish();
      note(activity);
      shown = { activity, progress: createProgress({ unit, total, ...(unit === 'bytes' && { format: formatBytes }) }) };
    }
    shown.progress.update(done, '');
  };
  try {
    return await work(onProgress, (line) => (shown === undefined ? note(line) : shown.progress.log(line)));
  } finally {
    shown?.progress.finish();
  }
}
