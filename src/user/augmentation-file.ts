/** Augmentation from a file of the user's, as code that other threads can run. */
import { fileURLToPath } from 'node:url';
import { ConfigurationError } from '../util/errors.ts';
import { defineAugmentation, type AugmentationDefinition } from './augmentation.ts';
import { isCodeFile } from '../util/file-names.ts';
import { explaining, loadFile, type LoadFileOptions, type UserFile } from './load-file.ts';

export interface LoadedAugmentation {
  readonly definition: AugmentationDefinition;
  readonly file: UserFile;
}

const fix = 'export default defineAugmentation({ name, apply(image, random) { ... } }), as ablate new augmentation writes it';

/**
 * Loads an augmentation.
 *
 * @param name the path of a file whose default export is `defineAugmentation({ ... })`
 * @throws ConfigurationError for a file that cannot be run or exports something else; DataError if there is none
 */
export async function loadAugmentation(name: string, options: LoadFileOptions = {}): Promise<LoadedAugmentation> {
  if (!isCodeFile(name)) {
    throw new ConfigurationError(`augmentWith (=${name}) must be none, or a file of code that ends in .ts, .js, .mts or .mjs`, {
      key: 'augmentWith',
      fix: 'ablate new augmentation augment.ts writes one to start from',
    });
  }
  const file = await loadFile(name, { ...options, library: augmentationLibrary(), example: fix });
  const definition = explaining(file, () => definitionIn(file.value));
  if (definition === undefined) {
    throw new ConfigurationError(`${name} must export what defineAugmentation returns as its default`, { fix });
  }
  return { definition, file };
}

function definitionIn(value: unknown): AugmentationDefinition | undefined {
  const { name, settings, apply } = Object(value) as Partial<AugmentationDefinition>;
  if (typeof name !== 'string' || settings === undefined || Object(settings) !== settings || typeof apply !== 'function')
    return undefined;
  return defineAugmentation({ name, settings, apply });
}

/** The module that such files import as `ablate`. */
export function augmentationLibrary(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./augmentation-exports.${extension}`, import.meta.url));
}
