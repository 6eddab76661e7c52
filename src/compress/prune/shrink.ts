/** Structured pruning: removes filters of a trained network. */
import { withWidths } from '../../nn/description.ts';
import { countOperations, countParameters, type Network } from '../../nn/network.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { requireShapes } from '../../train/weights.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { channelsOf, type Channels } from './channels.ts';
import { removalOrder, type FilterScope } from './filter-order.ts';
import { shrinkWeights, widthsWithout } from './shrink-weights.ts';

/** How much is left at most, at least one of these. As many filters are removed as meet all that are given. */
export interface ShrinkTarget {
  /** Part of the operations, in (0, 1). */
  readonly operations?: number;
  /** Part of the filters that can be removed, in (0, 1): of these so many are left, to rounding. */
  readonly filters?: number;
  /** Number of parameters. */
  readonly parameters?: number;
}

export interface ShrinkOptions {
  readonly network: Network;
  /** Of all parameters, by name. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Of the weights that may be pruned one by one, by the name of the parameter; empty if none ever was. */
  readonly masks?: ReadonlyMap<string, Tensor>;
  readonly target: ShrinkTarget;
  readonly scope: FilterScope;
}

export interface Shrunk {
  readonly network: Network;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Without those of the filters that are gone. */
  readonly masks: ReadonlyMap<string, Tensor>;
  /** Layers that lost filters, in the order of the network. */
  readonly layers: readonly { readonly name: string; readonly before: number; readonly after: number }[];
}

/** There are no filters whose removal leaves so little. */
export class OutOfReachError extends ConfigurationError {
  /** What can be reached in place of what was asked for. */
  readonly least: ShrinkTarget | undefined;

  constructor(message: string, least?: ShrinkTarget) {
    super(message);
    this.least = least;
  }
}

/**
 * Removes the least important filters until no more is left than asked for. What the smaller network computes is what the whole network computes
 * if nothing reads the removed channels, but for local response normalization, whose windows then reach over other neighbours.
 *
 * @throws ConfigurationError for a target out of range; OutOfReachError for one out of reach, and for a network without filters to remove;
 *   DataError for weights of another network
 */
export function shrinkNetwork({ network, weights, masks = new Map(), target, scope }: ShrinkOptions): Shrunk {
  requireTarget(target);
  requireShapes(network.parameters, weights, 'the network to prune');
  const channels = channelsOf(network);
  const order = removalOrder(network, channels, weights, scope);
  if (order.length === 0) throw nothingToRemove(network, channels);
  const networkWithout = (count: number): Network => withWidths(network, widthsWithout(channels, new Set(order.slice(0, count))));
  const count = removals(target, network, channels, order, networkWithout);
  const removed = new Set(order.slice(0, count));
  const shrunk = networkWithout(count);
  const widths = new Map(shrunk.layers.map(({ name, outputShape }) => [name, outputShape[0]!]));
  return {
    network: shrunk,
    weights: shrinkWeights(network, channels, weights, removed),
    masks: shrinkWeights(network, channels, masks, removed),
    layers: network.layers
      .filter(({ kind }) => kind === 'conv' || kind === 'dense')
      .map(({ name, outputShape }) => ({ name, before: outputShape[0]!, after: widths.get(name)! }))
      .filter(({ before, after }) => before !== after),
  };
}

function requireTarget({ operations, filters, parameters }: ShrinkTarget): void {
  for (const [name, value] of Object.entries({ operations, filters })) {
    if (value === undefined || (value > 0 && value < 1)) continue;
    throw new ConfigurationError(`${name} (=${value}) must be a number in (0, 1): the part that is left`);
  }
  if (parameters !== undefined && !(parameters >= 1))
    throw new ConfigurationError(`parameters (=${parameters}) must be at least 1`);
}

function nothingToRemove(network: Network, { channels, outputs }: Channels): OutOfReachError {
  const reasons = network.layers
    .filter(({ kind }) => kind === 'conv' || kind === 'dense')
    .map(({ name }) => `${name}: ${channels[outputs.get(name)![0]!]!.fixed ?? 'it has one filter'}`);
  return new OutOfReachError(`model "${network.name}" has no filters that can be removed (${reasons.join('; ')})`);
}

/** The fewest channels to remove, from the front of `order`, so that every target is met. */
function removals(
  { operations, filters, parameters }: ShrinkTarget,
  network: Network,
  channels: Channels,
  order: readonly number[],
  networkWithout: (count: number) => Network,
): number {
  const counts = filters === undefined ? [0] : [filtersToRemove(filters, channels, order)];
  const all = countOperations(network);
  const measures = [
    { name: 'operations', limit: operations, measure: (of: Network) => countOperations(of) / all },
    { name: 'parameters', limit: parameters, measure: (of: Network) => countParameters(of.parameters) },
  ];
  for (const { name, limit, measure } of measures) {
    if (limit === undefined) continue;
    const least = measure(networkWithout(order.length));
    if (least > limit) {
      const lowest = least < 1 ? roundedUp(least) : least;
      throw new OutOfReachError(
        `${name} (=${limit}) must be at least ${lowest} for model "${network.name}": that is with one filter in every layer`,
        least === 1 && name === 'operations' ? undefined : { [name]: least },
      );
    }
    counts.push(smallestCount(order.length, (count) => measure(networkWithout(count)) <= limit));
  }
  return Math.max(...counts);
}

/** How many channels must go so that the given part of those that may go is left. */
function filtersToRemove(part: number, { channels }: Channels, order: readonly number[]): number {
  const candidates = channels.filter(({ fixed }) => fixed === undefined).length;
  const count = candidates - Math.round(part * candidates);
  if (count <= order.length) return count;
  throw new OutOfReachError(
    `filters (=${part}) must be at least ${roundedUp((candidates - order.length) / candidates)}: every layer keeps one filter`,
  );
}

/** The smallest number up to `most` that is enough, where each one above it is enough too and `most` is: found by halving. */
function smallestCount(most: number, isEnough: (count: number) => boolean): number {
  if (isEnough(0)) return 0;
  let tooFew = 0;
  let enough = most;
  while (enough - tooFew > 1) {
    const middle = (tooFew + enough) >> 1;
    if (isEnough(middle)) enough = middle;
    else tooFew = middle;
  }
  return enough;
}

function roundedUp(fraction: number): number {
  return Math.ceil(fraction * 1e4) / 1e4;
}
