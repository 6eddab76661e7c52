/** All models by name. To add one: its file (or a line in its family's), and a line here for a new family. */
import type { Network } from '../nn/network.ts';
import { formatShape } from '../nn/shape.ts';
import { ConfigurationError } from '../util/errors.ts';
import { didYouMean } from '../util/suggest.ts';
import { airbenchFamily } from './airbench.ts';
import { alexFamily } from './alex.ts';
import { inceptionFamily } from './inception.ts';
import type { InputSize, ModelDefinition } from './model.ts';
import { mobilenetFamily } from './mobilenet.ts';
import { ninFamily } from './nin.ts';
import { resnetFamily } from './resnet.ts';
import { resolveSettings } from './settings.ts';
import { smallFamily } from './small.ts';
import { squeezeFamily } from './squeeze.ts';
import { xceptionFamily } from './xception.ts';

const definitions: ReadonlyMap<string, ModelDefinition> = new Map(
  [
    ...[...alexFamily, ...ninFamily, ...squeezeFamily, ...smallFamily],
    ...[...inceptionFamily, ...xceptionFamily, ...airbenchFamily, ...resnetFamily, ...mobilenetFamily],
  ].map((definition) => [definition.name, definition]),
);

/** Names of all models, by family. */
export function modelNames(): readonly string[] {
  return [...definitions.keys()];
}

/** Throws ConfigurationError for an unknown name. */
export function modelDefinition(name: string): ModelDefinition {
  const definition = definitions.get(name);
  if (definition === undefined) {
    throw new ConfigurationError(`there is no model "${name}".${didYouMean(name, modelNames())}`, {
      key: 'model',
      fix: `The models are: ${modelNames().join(', ')}`,
    });
  }
  return definition;
}

export interface BuildOptions {
  /** By dotted name (`conv1.filters`); the others keep their defaults. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Side of square RGB images, or `[C, H, W]`. Default: what the model was published with. */
  readonly input?: number | readonly [channels: number, height: number, width: number];
  /** Default 10. */
  readonly classes?: number;
}

/**
 * Builds a model's network, whose output is the logits `[classes]`.
 * Throws ConfigurationError for an unknown model or setting, a value out of range, and an input too small for the model.
 */
export function buildModel(model: string | ModelDefinition, options: BuildOptions = {}): Network {
  const definition = typeof model === 'string' ? modelDefinition(model) : model;
  const { name } = definition;
  const { settings = {}, input = definition.defaultInputSize, classes = 10 } = options;
  if (!Number.isInteger(classes) || classes < 2) {
    throw new ConfigurationError(`classes (=${classes}) must be an integer of at least 2 for model "${name}"`);
  }
  return definition.build(resolveSettings(name, definition.settings, settings), inputSize(name, input), classes);
}

function inputSize(model: string, input: number | readonly [number, number, number]): InputSize {
  const [channels, height, width] = typeof input === 'number' ? [3, input, input] : input;
  if (![channels, height, width].every((extent) => Number.isInteger(extent) && extent > 0)) {
    const given = typeof input === 'number' ? input : formatShape(input);
    throw new ConfigurationError(
      `input (=${given}) must be a positive integer, or channels x height x width, for model "${model}"`,
    );
  }
  return { channels, height, width };
}
