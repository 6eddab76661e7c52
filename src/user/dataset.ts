/** Data sets by a name of the lab's or by a file of the user's. */
import type { Dataset } from '../data/dataset.ts';
import { loadOwnDataset, type DatasetDefinition } from '../data/own-dataset.ts';
import { loadNamedDataset, type LoadOptions } from '../data/registry.ts';
import { ConfigurationError } from '../util/errors.ts';
import { isDatasetFile } from '../util/file-names.ts';
import { loadFile, type UserFile } from './load-file.ts';
import { recordOfFile } from './recorded-file.ts';

/**
 * Loads the data set called `name` on the command line: `cifar10`, `synthetic` or `images:<folder>`, with options behind a question mark
 * (`images:<folder>?size=96x128&channels=1&test=0.2`), or a file whose default export is `defineDataset({ ... })`.
 *
 * @throws ConfigurationError for an unknown name or option, and for a file that cannot be run or gives what is no data set; DataError if the data
 *   is missing or damaged
 */
export async function loadDataset(name: string, options: LoadOptions = {}): Promise<Dataset> {
  if (!isDatasetFile(name)) return await loadNamedDataset(name, options);
  const file = await loadFile(name, { saysWhenSlow: options.onNote !== undefined });
  requireDefinition(file);
  try {
    return { ...(await loadOwnDataset(file.value, name)), records: recordOfFile('data', file) };
  } catch (error) {
    throw file.explain(error);
  }
}

function requireDefinition(file: UserFile): asserts file is UserFile & { readonly value: DatasetDefinition } {
  const { classes, train, test } = Object(file.value) as Partial<DatasetDefinition>;
  if (Array.isArray(classes) && typeof train === 'function' && typeof test === 'function') return;
  throw new ConfigurationError(`${file.name} must export what defineDataset returns as its default`, {
    fix: 'export default defineDataset({ name, classes, height, width, train, test }), as ablate new data writes it',
  });
}
