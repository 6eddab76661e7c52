/** Models by a name of the lab's or by a file of the user's, which is written exactly as the lab's own are. */
import { requireModel, type ModelDefinition } from '../models/model.ts';
import { modelDefinition, modelNames } from '../models/registry.ts';
import type { CustomLayers } from '../nn/custom.ts';
import { withCustomLayers } from '../nn/network.ts';
import { ConfigurationError } from '../util/errors.ts';
import { isCodeFile } from '../util/file-names.ts';
import { explaining, loadFile, type LoadFileOptions, type UserFile } from './load-file.ts';

export interface LoadedModel {
  readonly definition: ModelDefinition;
  /** Undefined for the lab's own models. */
  readonly file: UserFile | undefined;
}

/**
 * Finds a model.
 *
 * @param reference a name of the lab's, or the path of a file whose default export is `defineModel({ ... })`
 * @throws ConfigurationError for an unknown name, and for a file that cannot be run or exports something else
 */
export async function loadModel(reference: string, options: LoadFileOptions = {}): Promise<LoadedModel> {
  if (!isCodeFile(reference)) return { definition: modelDefinition(reference), file: undefined };
  const file = await loadFile(reference, options);
  const definition = explaining(file, () => definitionIn(file.value));
  if (definition === undefined) {
    throw new ConfigurationError(`${reference} must export what defineModel returns as its default`, {
      fix: 'export default defineModel({ name, settings, layers }), as ablate new model writes it',
    });
  }
  if (modelNames().includes(definition.name)) {
    throw new ConfigurationError(`${reference}: name (=${definition.name}) is that of one of the lab's models`, {
      fix: 'give it a name of its own',
    });
  }
  return {
    file,
    definition: {
      ...definition,
      build: (...given) =>
        explaining(file, () => {
          const network = definition.build(...given);
          return withCustomLayers(network, network.customLayers && explained(network.customLayers, file));
        }),
    },
  };
}

/** Layers of the user's own whose errors, while they compute, have the file's name and line too. */
function explained(layers: CustomLayers, file: UserFile): CustomLayers {
  return new Map(
    [...layers].map(([name, layer]) => [
      name,
      {
        ...layer,
        forward: (given) => explaining(file, () => layer.forward(given)),
        backward: (given) => explaining(file, () => layer.backward(given)),
      },
    ]),
  );
}

/** A model as `defineModel` returns it, each of its parts read once; undefined if the value is none. Throws what `requireModel` throws. */
function definitionIn(value: unknown): ModelDefinition | undefined {
  const { name, summary, settings, weightDecay2017, defaultInputSize, build } = Object(value) as Partial<ModelDefinition>;
  if (typeof name !== 'string' || typeof summary !== 'string' || settings === undefined || Object(settings) !== settings)
    return undefined;
  if (typeof weightDecay2017 !== 'number' || typeof defaultInputSize !== 'number' || typeof build !== 'function')
    return undefined;
  requireModel(name, settings);
  return { name, summary, settings, weightDecay2017, defaultInputSize, build };
}
