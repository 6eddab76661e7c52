import { ConfigurationError } from '../util/errors.ts';
import { didYouMean } from '../util/suggest.ts';
import { loadCifar10 } from './cifar10.ts';
import type { Dataset, OnDataProgress } from './dataset.ts';

export interface LoadOptions {
  /** Where the data set's files are. */
  readonly dataDir?: string;
  /** A mirror to download from if the original host fails. */
  readonly dataUrl?: string;
  /** Where downloads are kept; default the user's cache folder. */
  readonly cacheDir?: string;
  readonly onProgress?: OnDataProgress;
}

interface DatasetKind {
  /** How it is written on the command line: `cifar10`, or `images:<folder>` with an argument after the colon. */
  readonly pattern: string;
  load(argument: string, options: LoadOptions): Promise<Dataset>;
}

/** Adding a data set: its file, and a line here. */
const kinds: Readonly<Record<string, DatasetKind>> = {
  cifar10: { pattern: 'cifar10', load: (_, options) => loadCifar10(options) },
};

/**
 * Loads the data set called `name` on the command line: `cifar10`, `synthetic` or `images:<folder>`.
 *
 * @throws ConfigurationError for an unknown name; DataError if the data is missing or damaged
 */
export async function loadDataset(name: string, options: LoadOptions = {}): Promise<Dataset> {
  const colon = name.indexOf(':');
  const kindName = colon < 0 ? name : name.slice(0, colon);
  const argument = colon < 0 ? '' : name.slice(colon + 1);
  const kind = Object.hasOwn(kinds, kindName) ? kinds[kindName] : undefined;
  const fits = kind !== undefined && kind.pattern.includes(':') === (argument !== '');
  if (!fits) {
    const allowed = Object.values(kinds).map((each) => each.pattern);
    throw new ConfigurationError(`data set (=${name}) must be one of ${allowed.join(', ')}.${didYouMean(kindName, Object.keys(kinds))}`);
  }
  return kind.load(argument, options);
}
