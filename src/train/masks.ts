/**
 * Which weights of a network are pruned: a mask of 0 (zero, and stays so) or 1 (trained) for each weight of its convolutions and dense
 * layers. Weights, momentum, averages and slow weights that are zero stay zero when their gradient is, so holding a mask takes one pass over
 * the gradients each step.
 */
import type { ArenaEntry, DeviceArray, ParameterArena, TrainingPlan } from '../engine/engine.ts';
import { sizeOf } from '../nn/shape.ts';
import { checkpointFormat, checkpointWeights } from '../runs/checkpoint-weights.ts';
import type { Safetensors, Tensor } from '../runs/safetensors.ts';
import { DataError } from '../util/errors.ts';
import { preferredWeights } from './weights.ts';

/** The prefix of the masks' tensors in a checkpoint. */
export const maskPrefix = 'mask.';

export interface Masks {
  /** In the arena's layout: 0 for pruned weights (and padding), 1 for all other parameters. */
  readonly values: DeviceArray;
  /** Sets the gradients of pruned weights to zero. To be called before each update of the weights. */
  maskGradients(): void;
  /** Sets the elements of pruned weights to zero, in an array of the arena's layout. */
  clear(array: DeviceArray): void;
}

/** The parameters that may be pruned: the trainable weights of convolutions and dense layers. */
export function prunableEntries(arena: ParameterArena): readonly ArenaEntry[] {
  return arena.entries.filter(({ spec }) => spec.role === 'weight' && spec.kind === 'trainable');
}

/** Whether a checkpoint or weights file is of a network that was pruned. */
export function hasMasks(tensors: ReadonlyMap<string, Tensor>): boolean {
  return [...tensors.keys()].some((name) => name.startsWith(maskPrefix));
}

/** @throws DataError if a mask has other values than 0 and 1 */
export function requireMasks(tensors: ReadonlyMap<string, Tensor>, source: string): void {
  for (const [name, { data }] of tensors) {
    const wrong = name.startsWith(maskPrefix) ? data.find((value) => value !== 0 && value !== 1) : undefined;
    if (wrong === undefined) continue;
    throw new DataError(
      `${source} is damaged: ${name} has the value ${wrong}, and masks have 0 for pruned weights and 1 for others`,
      {
        fix: 'use another file, or an earlier checkpoint',
      },
    );
  }
}

/** The masks among a checkpoint's tensors, by the names of the weights; none if no weight was ever pruned. */
export function masksAmong(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const masks = [...tensors].filter(([name]) => name.startsWith(maskPrefix));
  return new Map(masks.map(([name, mask]) => [name.slice(maskPrefix.length), mask]));
}

/**
 * A file of pruned weights alone has no masks: its zeros say which weights stay zero. A checkpoint has its masks, if it was ever pruned.
 * Pruning leaves every layer a weight: where all are zero, they are first values.
 *
 * @param path what to call the file in errors
 */
export function withItsMasks(file: Safetensors, path: string): Safetensors {
  if (hasMasks(file.tensors) || file.metadata['format'] === checkpointFormat) return file;
  const weights = [...checkpointWeights(file, preferredWeights(file), path)].filter(([name]) => name.endsWith('.weight'));
  const masks = new Map(weights.map(([name, { shape, data }]) => [name, { shape, data: maskOfZeros(data) }]));
  if (![...masks.values()].some(({ data }) => data.includes(0))) return file;
  return { ...file, tensors: withMasks(file.tensors, masks) };
}

function maskOfZeros(weights: Float32Array): Float32Array {
  const first = weights.every((value) => value === 0);
  return weights.map((value) => (value === 0 && !first ? 0 : 1));
}

/** Weights with their masks, as a checkpoint has them. */
export function withMasks(weights: ReadonlyMap<string, Tensor>, masks: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map([...weights, ...[...masks].map(([name, mask]) => [maskPrefix + name, mask] as const)]);
}

/** Masks of a plan's weights, none of them pruned yet: write them into `values`. */
export async function createMasks({
  parameters: arena,
  vectorMath,
}: Pick<TrainingPlan, 'parameters' | 'vectorMath'>): Promise<Masks> {
  const values = arena.allocate();
  for (const entry of arena.entries) await arena.write(entry, new Float32Array(sizeOf(entry.spec.shape)).fill(1), values);
  const weights = (array: DeviceArray) => array.part(0, arena.trainableLength);
  return {
    values,
    maskGradients: vectorMath.multiply(weights(values), weights(arena.gradients)),
    // Not a product, which would make -0 of what is negative.
    clear: (array) => vectorMath.clearWhere(weights(values), weights(array))(),
  };
}
