import * as z from 'zod';
import { ConfigurationError } from '../util/errors.ts';
import { longestSide, parseSize, sidesOf } from '../util/image-size.ts';
import { statIfReachable } from '../util/regular-file.ts';
import { check } from '../util/schema.ts';
import { quoted } from '../util/shell.ts';
import { didYouMean } from '../util/suggest.ts';
import { cifar10, loadCifar10 } from './cifar10.ts';
import { loadCifar100, publishedCifar100Files } from './cifar100.ts';
import type { Dataset } from './dataset.ts';
import { fashionMnist, loadIdxDataset, mnist, publishedIdx, type IdxDataset } from './mnist.ts';
import type { ImageShape } from './pixel-planes.ts';
import type { PublishedDataset, SourceOptions } from './published.ts';
import { generateSynthetic } from './synthetic.ts';

export interface LoadOptions extends SourceOptions {
  /** Is told in a line what else there is to know: what of a folder was passed over, how pictures were scaled. */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** A data set by its name, as far as it can be told without reading it. */
interface NamedDataset {
  load(options: LoadOptions): Promise<Dataset>;
  /** Of its images. */
  readonly shape: ImageShape;
  /** What there is to fetch and verify of it. */
  readonly published?: PublishedDataset;
}

/** Numbers where the text is one. */
type QueryOptions = Readonly<Record<string, number | string>>;

interface DatasetKind {
  /** How it is written on the command line: `cifar10`, or `images:<folder>` with an argument after the colon. */
  readonly pattern: string;
  /**
   * What is meant by a name of this kind.
   *
   * @param argument what is between the colon and a question mark
   * @param options what is behind the question mark, by name
   * @throws ConfigurationError for options that it does not have, or out of range
   */
  named(argument: string, options: QueryOptions): NamedDataset;
}

function idxKind(published: IdxDataset): DatasetKind {
  return {
    pattern: published.name,
    named(_, given) {
      check(z.strictObject({}), given);
      return { shape: [1, 28, 28], load: (options) => loadIdxDataset(published, options), published: publishedIdx(published) };
    },
  };
}

const shareInWords = 'a number between 0 and 1, the part of each class that is for testing';

/** To add a data set: its file, and a line here. */
const kinds: Readonly<Record<string, DatasetKind>> = {
  cifar10: {
    pattern: 'cifar10',
    named(_, given) {
      check(z.strictObject({}), given);
      return { shape: [3, 32, 32], load: loadCifar10, published: cifar10 };
    },
  },
  cifar100: {
    pattern: 'cifar100',
    named(_, given) {
      const { labels } = check(z.strictObject({ labels: z.enum(['fine', 'coarse']).default('fine') }), given);
      return { shape: [3, 32, 32], load: (options) => loadCifar100(labels, options), published: publishedCifar100Files() };
    },
  },
  mnist: idxKind(mnist),
  'fashion-mnist': idxKind(fashionMnist),
  synthetic: {
    pattern: 'synthetic',
    named(_, given) {
      check(z.strictObject({}), given);
      return { shape: [3, 32, 32], load: () => Promise.resolve(generateSynthetic()) };
    },
  },
  images: {
    pattern: 'images:<folder>',
    named(folder, given) {
      const { size = 32, channels, ...split } = check(folderOptions, given);
      const chosen = { size, ...(channels !== undefined && { channels }), ...split };
      return {
        shape: [channels ?? 3, ...sidesOf(size)],
        // Loaded only for pictures: their decoder is slow to load.
        load: async ({ onProgress, onNote }) =>
          (await import('./image-folder.ts')).loadImageFolder(folder, { ...chosen, onProgress, onNote }),
      };
    },
  },
};

/** Behind `images:<folder>?`. */
const folderOptions = z.strictObject({
  size: z
    .union([z.number(), z.string()])
    .transform((given) => (typeof given === 'string' ? parseSize(given) : given) ?? 0)
    .refine(
      (size) => sidesOf(size).every((side) => Number.isInteger(side) && side >= 1 && side <= longestSide),
      `a size in pixels, 96 or 96x128 (height x width), each side from 1 to ${longestSide}`,
    )
    .optional(),
  channels: z.union([z.literal(1), z.literal(3)], '1 (grey) or 3 (colour)').optional(),
  test: z.number(shareInWords).gt(0, shareInWords).lt(1, shareInWords).optional(),
  seed: z.int().min(0).optional(),
});

/**
 * Loads the data set called `name` on the command line: `cifar10`, `synthetic` or `images:<folder>`, with options behind a question mark:
 * `images:<folder>?size=96x128&channels=1&test=0.2`.
 *
 * @throws ConfigurationError for an unknown name or option; DataError if the data is missing or damaged
 */
export async function loadNamedDataset(name: string, options: LoadOptions = {}): Promise<Dataset> {
  return { ...(await namedDataset(name).load(options)), name };
}

/**
 * The shape of the images of a data set, as far as its name tells.
 *
 * @returns undefined for a name of no data set
 */
export function shapeByName(name: string): ImageShape | undefined {
  try {
    return namedDataset(name).shape;
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined;
    throw error;
  }
}

/**
 * What there is to fetch and verify of a data set.
 *
 * @throws ConfigurationError for an unknown name, and for a data set whose files are not published
 */
export function publishedDataset(name: string): PublishedDataset {
  const { published } = namedDataset(name);
  if (published !== undefined) return published;
  const names = Object.keys(kinds).filter((kind) => !kinds[kind]!.pattern.includes(':') && kinds[kind]!.named('', {}).published);
  throw new ConfigurationError(`data set (=${name}) must be one of ${names.join(', ')}: the others are not downloaded`, {
    fix: 'ablate data show reads any data set',
  });
}

function namedDataset(name: string): NamedDataset {
  const [, kindName = '', argument, query] = /^([^:?]*)(?::([^]*?))?(?:\?([^?]*))?$/.exec(name) ?? [];
  const kind = Object.hasOwn(kinds, kindName) ? kinds[kindName] : undefined;
  const takesArgument = kind?.pattern.includes(':') === true;
  if (kind === undefined || takesArgument !== (argument !== undefined) || argument === '') {
    const allowed = Object.values(kinds).map((each) => each.pattern);
    const isFolder = statIfReachable(name)?.isDirectory() === true;
    const suggestion = kind === undefined && !isFolder ? didYouMean(kindName, Object.keys(kinds)) : '';
    throw new ConfigurationError(`data set (=${name}) must be one of ${allowed.join(', ')}, or a file (data.ts).${suggestion}`, {
      ...(isFolder && { fix: `for the pictures in that folder: ${quoted(`images:${name}`)}` }),
      ...(takesArgument && { fix: `say which folder: --data ${kind.pattern}` }),
    });
  }
  try {
    return kind.named(argument ?? '', readQuery(query));
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new ConfigurationError(`data set (=${name}): ${error.message}`, { cause: error, fix: error.fix, key: error.key });
  }
}

/** `size=96&channels=1` by name. */
function readQuery(query: string | undefined): QueryOptions {
  const options: Record<string, number | string> = {};
  for (const part of query?.split('&') ?? []) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(part) ?? [];
    if (key === undefined) {
      throw new ConfigurationError(`what is behind the question mark (=${query ?? ''}) must be options: size=96&channels=1`);
    }
    if (Object.hasOwn(options, key)) throw new ConfigurationError(`${key} is given twice`, { key });
    options[key] = /^\d+(\.\d+)?$/.test(value!) ? Number(value) : value!;
  }
  return options;
}
