/** How a network with fewer filters is said in the settings of its model, so that it is an ordinary network of that model. */
import type { BuildOptions } from '../../models/registry.ts';
import { buildModel, modelDefinition } from '../../models/registry.ts';
import { widthPrefix, type ResolvedSettings } from '../../models/settings.ts';
import type { Network } from '../../nn/network.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { makesChannels } from './filter-order.ts';

/** The images and classes that a model is built for. */
export type BuiltFor = Required<Pick<BuildOptions, 'input' | 'classes'>>;

/**
 * The settings with which a model's layers have the given widths. A setting that gives all of its layers their width is changed
 * (`conv1.filters`); for layers that their setting cannot tell apart there is a setting for each (`width.group1/conv1`).
 *
 * @param settings complete, of the network as it is
 * @param widths filters or features by layer, of all layers that make channels
 */
export function shrinkSettings(
  model: string,
  settings: ResolvedSettings,
  builtFor: BuiltFor,
  widths: ReadonlyMap<string, number>,
): ResolvedSettings {
  const build = (changed: ResolvedSettings): Network => buildModel(model, { ...builtFor, settings: changed });
  const before = widthsOf(build(settings));
  const shrunk: Record<string, boolean | number | string> = { ...settings };
  for (const [name, setting] of Object.entries(modelDefinition(model).settings)) {
    const value = settings[name];
    if (setting.type !== 'integer' || typeof value !== 'number') continue;
    const wider = tryBuild(() => build({ ...settings, [name]: value + 1 }));
    const layers = [...before.keys()].filter((layer) => before.get(layer) === value && wider?.get(layer) === value + 1);
    const wanted = new Set(layers.map((layer) => widths.get(layer)));
    const [width] = wanted;
    if (wanted.size === 1 && width !== undefined) shrunk[name] = width;
  }
  // Sums may need several widths at once: layers whose own setting has not done it get theirs, and then the network is built.
  const reached = tryBuild(() => build(shrunk));
  if (reached === undefined) return withEachWidth(settings, before, widths);
  return withEachWidth(shrunk, reached, widths);
}

function withEachWidth(
  settings: ResolvedSettings,
  before: ReadonlyMap<string, number>,
  widths: ReadonlyMap<string, number>,
): ResolvedSettings {
  const different = [...widths].filter(([layer, width]) => before.get(layer) !== width);
  return { ...settings, ...Object.fromEntries(different.map(([layer, width]) => [widthPrefix + layer, width])) };
}

function widthsOf(network: Network): Map<string, number> {
  return new Map(network.layers.filter(makesChannels).map(({ name, outputShape }) => [name, outputShape[0]!]));
}

/** Undefined for settings with which there is no network, such as sums of different widths. */
function tryBuild(build: () => Network): Map<string, number> | undefined {
  try {
    return widthsOf(build());
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined;
    throw error;
  }
}
