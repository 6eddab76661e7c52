/** Models by a name of the lab's or by a file of the user's, which is written exactly as the lab's own are. */
import type { ModelDefinition } from '../models/model.ts';
import { modelDefinition, modelNames } from '../models/registry.ts';
import type { CustomLayers } from '../nn/custom.ts';
import { withCustomLayers } from '../nn/network.ts';
import { ConfigurationError } from '../util/errors.ts';
import { isCodeFile } from '../util/file-names.ts';
import { loadFile, type LoadFileOptions, type UserFile } from './load-file.ts';

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
  const definition = checkDefinition(file);
  return {
    file,
    definition: {
      ...definition,
      build(...given) {
        try {
          const network = definition.build(...given);
          return withCustomLayers(network, network.customLayers && explained(network.customLayers, file));
        } catch (error) {
          throw file.explain(error);
        }
      },
    },
  };
}

/** Layers of the user's own whose errors, while they compute, have the file's name and line too. */
function explained(layers: CustomLayers, file: UserFile): CustomLayers {
  const guarded = (work: () => void) => {
    try {
      work();
    } catch (error) {
      throw file.explain(error);
    }
  };
  return new Map(
    [...layers].map(([name, layer]) => [
      name,
      {
        ...layer,
        forward: (given) => guarded(() => layer.forward(given)),
        backward: (given) => guarded(() => layer.backward(given)),
      },
    ]),
  );
}

const fix = 'export default defineModel({ name, settings, layers }), as ablate new model writes it';

function checkDefinition({ name: file, value }: UserFile): ModelDefinition {
  const { name, settings, build } = Object(value) as Partial<ModelDefinition>;
  if (typeof build !== 'function' || typeof settings !== 'object' || name === undefined) {
    throw new ConfigurationError(`${file} must export what defineModel returns as its default`, { fix });
  }
  if (modelNames().includes(name)) {
    throw new ConfigurationError(`${file}: name (=${name}) is that of one of the lab's models`, {
      fix: 'give it a name of its own',
    });
  }
  return value as ModelDefinition;
}
