/** Data sets by a name of the lab's or by a file of the user's. */
import type { Dataset } from '../data/dataset.ts';
import { loadOwnDataset, type DatasetDefinition } from '../data/own-dataset.ts';
import { loadNamedDataset, type LoadOptions } from '../data/registry.ts';
import { ConfigurationError } from '../util/errors.ts';
import { isDatasetFile } from '../util/file-names.ts';
import { explaining, loadFile, whileWatched } from './load-file.ts';
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
  const watched = options.onNote !== undefined;
  const file = await loadFile(name, { watched });
  if (!explaining(file, () => isDefinition(file.value))) {
    throw new ConfigurationError(`${name} must export what defineDataset returns as its default`, {
      fix: 'export default defineDataset({ name, classes, height, width, train, test }), as ablate new data writes it',
    });
  }
  try {
    const dataset = await whileWatched(watched ? name : undefined, () => loadOwnDataset(file.value as DatasetDefinition, name));
    return { ...dataset, records: recordOfFile('data', file) };
  } catch (error) {
    throw file.explain(error);
  }
}

function isDefinition(value: unknown): boolean {
  const { classes, train, test } = Object(value) as Partial<DatasetDefinition>;
  return Array.isArray(classes) && typeof train === 'function' && typeof test === 'function';
}
