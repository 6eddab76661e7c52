import { ConfigurationError } from '../util/errors.ts';
import { statIfReachable } from '../util/regular-file.ts';
import { quoted } from '../util/shell.ts';
import { didYouMean } from '../util/suggest.ts';
import { loadCifar10 } from './cifar10.ts';
import type { Dataset, OnDataProgress } from './dataset.ts';
import { loadImageFolder } from './image-folder.ts';
import { generateSynthetic } from './synthetic.ts';

export interface LoadOptions {
  /** Where the data set's files are. */
  readonly dataDir?: string;
  /** A mirror to download from if the original host fails. */
  readonly dataUrl?: string;
  /** Where downloads are kept; default the user's cache folder. */
  readonly cacheDir?: string;
  /** Whether what is not on this machine may be downloaded; default true. */
  readonly download?: boolean;
  readonly onProgress?: OnDataProgress | undefined;
  /** Is told in a line what else there is to know: what of a folder was passed over. */
  readonly onNote?: ((text: string) => void) | undefined;
}

interface DatasetKind {
  /** How it is written on the command line: `cifar10`, or `images:<folder>` with an argument after the colon. */
  readonly pattern: string;
  load(argument: string, options: LoadOptions): Promise<Dataset>;
}

/** To add a data set: its file, and a line here. */
const kinds: Readonly<Record<string, DatasetKind>> = {
  cifar10: { pattern: 'cifar10', load: (_, options) => loadCifar10(options) },
  synthetic: { pattern: 'synthetic', load: () => Promise.resolve(generateSynthetic()) },
  images: {
    pattern: 'images:<folder>',
    load: (folder, { onProgress, onNote }) => loadImageFolder(folder, { onProgress, onNote }),
  },
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
  const takesArgument = kind?.pattern.includes(':') === true;
  if (kind === undefined || takesArgument !== colon >= 0 || takesArgument !== (argument !== '')) {
    const allowed = Object.values(kinds).map((each) => each.pattern);
    const isFolder = statIfReachable(name)?.isDirectory() === true;
    const suggestion = kind === undefined && !isFolder ? didYouMean(kindName, Object.keys(kinds)) : '';
    throw new ConfigurationError(`data set (=${name}) must be one of ${allowed.join(', ')}.${suggestion}`, {
      ...(isFolder && { fix: `for the pictures in that folder: ${quoted(`images:${name}`)}` }),
      ...(takesArgument && { fix: `say which folder: --data ${kind.pattern}` }),
    });
  }
  return kind.load(argument, options);
}
