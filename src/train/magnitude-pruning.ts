/**
 * Iterative magnitude pruning (Han et al., 2015): round by round the weights of least magnitude become zero, and the others are trained on.
 * Only the choice of the weights is here; the trainer makes the rounds, masks.ts holds what was chosen.
 */
import type { DeviceArray, ParameterArena } from '../engine/engine.ts';
import { sizeOf } from '../nn/shape.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import { prunableEntries } from './masks.ts';

export type MagnitudePruning = Extract<TrainingConfig['pruning'], { readonly type: 'magnitude' }>;

/** The weights of one parameter, and which of them are pruned already. */
export interface WeightsToPrune {
  /** `conv1.weight` */
  readonly name: string;
  readonly values: Float32Array;
  /** 0 for weights that are pruned already, and stay so. Default: none is. */
  readonly mask?: Float32Array;
}

/**
 * The part of the weights that is zero after the pruning of a round, 0 to rounds - 1. With s the final sparsity and p = (round + 1) / rounds
 *
 *     cubic       s * (1 - (1 - p)^3)    Zhu and Gupta (2017), equation 1, from no sparsity on: much at first, little in the end
 *     geometric   1 - (1 - s)^p          each round takes the same part of the weights that are left
 */
export function sparsityOfRound({ sparsity, rounds, growth }: MagnitudePruning, round: number): number {
  const progress = (round + 1) / rounds;
  return growth === 'cubic' ? sparsity * (1 - (1 - progress) ** 3) : 1 - (1 - sparsity) ** progress;
}

/**
 * The masks with which a part of the weights is zero: of all weights together (`global`), or of each parameter (`layer`), rounded to a whole
 * number of weights. Those of least magnitude are pruned, of equals the first; the largest of every parameter is kept, so that no layer
 * is cut. What is pruned already stays so, even if it is more than asked for.
 *
 * @returns by name, 0 or 1 for each weight
 * @throws ConfigurationError if that many cannot be pruned
 */
export function magnitudeMasks(
  weights: readonly WeightsToPrune[],
  sparsity: number,
  scope: MagnitudePruning['scope'],
): Map<string, Float32Array> {
  const groups = scope === 'global' ? [weights] : weights.map((one) => [one]);
  return new Map(groups.flatMap((group) => masksOf(group, sparsity)));
}

function masksOf(group: readonly WeightsToPrune[], sparsity: number): [string, Float32Array][] {
  const total = group.reduce((sum, { values }) => sum + values.length, 0);
  const zeros = zeroCount(
    sparsity,
    group.map(({ name, values }) => ({ name, length: values.length })),
  );
  const ranks = group.map(rankedMagnitudes);
  const sorted = new Float32Array(total);
  let offset = 0;
  for (const rank of ranks) {
    sorted.set(rank, offset);
    offset += rank.length;
  }
  sorted.sort();
  // All below the threshold are pruned, and the first so many of those that equal it.
  const threshold = sorted[zeros - 1] ?? -Infinity;
  let equals = zeros - countBelow(sorted, threshold);
  return group.map(({ name, mask }, i) => {
    const chosen = ranks[i]!.map((rank, position) => {
      const pruned = mask?.[position] === 0 || rank < threshold || (rank === threshold && equals-- > 0);
      return pruned ? 0 : 1;
    });
    return [name, chosen];
  });
}

/** Magnitudes; -1 for what is pruned already, and infinite for the largest, which is kept. */
function rankedMagnitudes({ values, mask }: WeightsToPrune): Float32Array {
  const ranks = values.map((value, i) => (mask?.[i] === 0 ? -1 : Math.abs(value)));
  let largest = 0;
  ranks.forEach((rank, i) => {
    if (rank > ranks[largest]!) largest = i;
  });
  ranks[largest] = Infinity;
  return ranks;
}

/** Elements of an ascending array below a value. */
function countBelow(sorted: Float32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Size {
  readonly name: string;
  readonly length: number;
}

/** How many weights of a group a sparsity makes zero. Throws ConfigurationError if a parameter would keep none. */
function zeroCount(sparsity: number, group: readonly Size[]): number {
  const total = group.reduce((sum, { length }) => sum + length, 0);
  const zeros = Math.round(sparsity * total);
  if (zeros <= total - group.length) return zeros;
  const what = group.length === 1 ? group[0]!.name : `one of the ${group.length} layers`;
  const most = Math.floor(((total - group.length) / total) * 1e4) / 1e4;
  throw new ConfigurationError(
    `pruning.sparsity (=${sparsity}) must be at most ${most}: ${total} weights would leave ${total - zeros}, and ${what} with none`,
  );
}

/**
 * Checks before the first step that a network can be pruned as asked.
 *
 * @param prunedAlready whether each weight of the arena is pruned at the start, by mask in the arena's layout
 * @throws ConfigurationError if it cannot
 */
export async function requirePrunable(
  arena: ParameterArena,
  pruning: MagnitudePruning,
  prunedAlready: DeviceArray | undefined,
): Promise<void> {
  const weights = await Promise.all(
    prunableEntries(arena).map(async (entry) => ({
      name: entry.spec.name,
      length: sizeOf(entry.spec.shape),
      zeros: prunedAlready === undefined ? 0 : zerosIn(await arena.read(entry, prunedAlready)),
    })),
  );
  requireSparsity(weights, pruning);
}

/** The weights of one parameter, counted. */
export interface CountedWeights extends Size {
  /** Pruned already. */
  readonly zeros: number;
}

/** @throws ConfigurationError if a layer would keep no weight, or more of them are pruned already than is asked for */
export function requireSparsity(
  weights: readonly CountedWeights[],
  { sparsity, scope }: Pick<MagnitudePruning, 'sparsity' | 'scope'>,
): void {
  if (weights.length === 0) throw new ConfigurationError('the network has no weights that can be pruned');
  for (const group of scope === 'global' ? [weights] : weights.map((one) => [one])) zeroCount(sparsity, group);
  const total = weights.reduce((sum, { length }) => sum + length, 0);
  const already = weights.reduce((sum, { zeros }) => sum + zeros, 0) / total;
  if (already > sparsity) {
    throw new ConfigurationError(
      `pruning.sparsity (=${sparsity}) must be above ${already.toFixed(4)}, the sparsity of the weights it starts from`,
    );
  }
}

/** Weights that a mask prunes. */
export function zerosIn(mask: Float32Array): number {
  return mask.filter((bit) => bit === 0).length;
}
