/**
 * A network as plain data that can be written as JSON: each layer with what it was added with, custom layers with what their functions say of their shape
 * and parameters. Building it again gives the same network and
 * checks everything that is said, so that a description from a file needs no other check.
 */
import { ConfigurationError } from '../util/errors.ts';
import type { LayerKind } from './layer.ts';
import { isLayerKind } from './layers/kinds.ts';
import { inputName, NetworkBuilder, withCustomLayers, type Network, type Tensor } from './network.ts';
import type { Shape } from './shape.ts';

export interface NetworkDescription {
  readonly name: string;
  /** `[C, H, W]` of one example. */
  readonly inputShape: Shape;
  readonly layers: readonly LayerDescription[];
  /** Name of the layer that makes the logits. */
  readonly output: string;
}

export interface LayerDescription {
  readonly kind: LayerKind;
  readonly name: string;
  /** Names of layers before it, or `input`. */
  readonly inputs: readonly string[];
  /** Absent if it has none. */
  readonly options?: object;
}

export function describeNetwork({ name, inputShape, layers, output }: Network): NetworkDescription {
  return {
    name,
    inputShape,
    layers: layers.map(({ kind, name: layer, inputs, options }) => ({
      ...{ kind, name: layer, inputs },
      ...(Object.keys(options).length > 0 && { options }),
    })),
    output,
  };
}

/** Without what only training needs, for files that are small. */
export function describeForInference(network: Network): NetworkDescription {
  const description = describeNetwork(network);
  const withoutTraining = ({ options = {}, ...layer }: LayerDescription): LayerDescription => {
    const kept = Object.entries(options).filter(([option]) => !trainingOptions.has(option));
    return { ...layer, ...(kept.length > 0 && { options: Object.fromEntries(kept) }) };
  };
  return { ...description, layers: description.layers.map(withoutTraining) };
}

const trainingOptions: ReadonlySet<string> = new Set(['initializer', 'biasInitializer', 'regularized', 'frozen']);

/**
 * Builds a described network.
 *
 * @param description of any type: what was read from a file
 * @throws ConfigurationError for what is no description, and for a layer that cannot be
 */
export function buildNetwork(description: unknown): Network {
  requireDescription(description);
  return rebuild(description, ({ options }) => options);
}

/**
 * The network with other widths: filters of convolutions and features of dense layers, by the layer's name. What depends on them follows,
 * depthwise convolutions too.
 *
 * @throws ConfigurationError if the layers then no longer fit together
 */
export function withWidths(network: Network, widths: ReadonlyMap<string, number>): Network {
  const layers = new Map(network.layers.map((layer) => [layer.name, layer]));
  const rebuilt = rebuild(describeNetwork(network), ({ name, options }, [input]) => {
    const layer = layers.get(name)!;
    const width = widths.get(name);
    if (layer.kind === 'dense') return { ...options, features: width ?? layer.attributes.features };
    if (layer.kind !== 'conv') return options;
    const { filters, groups } = layer.attributes;
    if (groups === 1 || groups !== layer.inputShapes[0]![0]) return { ...options, filters: width ?? filters };
    const channels = input!.shape[0]!;
    return { ...options, filters: (filters / groups) * channels, groups: channels };
  });
  return withCustomLayers(rebuilt, network.customLayers);
}

/** @param optionsOf the options of each layer, which may depend on its inputs as they now are */
function rebuild(
  { name: network, inputShape, layers, output }: NetworkDescription,
  optionsOf: (layer: LayerDescription, inputs: readonly Tensor[]) => object | undefined,
): Network {
  const b = new NetworkBuilder(network, inputShape);
  const tensors = new Map([[inputName, b.input]]);
  for (const layer of layers) {
    const { kind, name, inputs: names } = layer;
    // One that is not there yet is refused by the builder, with the layer's name.
    const inputs = names.map((each) => tensors.get(each) ?? { name: each, shape: [] });
    tensors.set(name, b.layer(kind, name, inputs, optionsOf(layer, inputs)));
  }
  const logits = tensors.get(output);
  if (logits === undefined || logits === b.input) {
    throw new ConfigurationError(`output (=${output}) must be a layer of network "${network}"`);
  }
  return b.build(logits);
}

/** More layers than any network that could be trained; a file that says so is damaged. */
const mostLayers = 10_000;

function requireDescription(value: unknown): asserts value is NetworkDescription {
  const isText = (each: unknown) => typeof each === 'string';
  const isObject = (each: unknown): each is Record<string, unknown> =>
    typeof each === 'object' && each !== null && !Array.isArray(each);
  const isLayer = (each: unknown) =>
    isObject(each) &&
    isLayerKind(each['kind']) &&
    isText(each['name']) &&
    Array.isArray(each['inputs']) &&
    each['inputs'].every(isText) &&
    (each['options'] === undefined || isObject(each['options']));
  if (!isObject(value)) throw new ConfigurationError('a network must be an object with name, inputShape, layers and output');
  const { name, inputShape, layers, output } = value;
  if (!isText(name) || !isText(output)) throw new ConfigurationError('name and output of a network must be text');
  if (!Array.isArray(inputShape)) throw new ConfigurationError('inputShape of a network must be a list of numbers');
  if (!Array.isArray(layers) || layers.length > mostLayers) {
    throw new ConfigurationError(`layers of a network must be a list of at most ${mostLayers}`);
  }
  const wrong = layers.findIndex((layer) => !isLayer(layer));
  if (wrong < 0) return;
  throw new ConfigurationError(`layer ${wrong} of network "${name}" must have a kind that there is, a name and its inputs`);
}
