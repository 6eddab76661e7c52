/** The scale of the loss, where a plan has one, as a checkpoint keeps it. */
import type { LossScale } from '../engine/engine.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { DataError } from '../util/errors.ts';
import { slotPrefix } from './weights.ts';

/** Beside the optimizer's slots: scale, steps since it was changed, steps left out. */
const tensorName = `${slotPrefix('lossScaling')}state`;

export function lossScaleTensor({ scale, goodSteps, skippedSteps }: LossScale): readonly [name: string, tensor: Tensor] {
  return [tensorName, { shape: [3], data: Float32Array.of(scale, goodSteps, skippedSteps) }];
}

/**
 * The scale in a checkpoint's tensors.
 *
 * @param source what to call their origin in errors, usually a path
 * @throws DataError if there is none, or it is none that a training could have left
 */
export function lossScaleIn(tensors: ReadonlyMap<string, Tensor>, source: string): LossScale {
  const [scale = NaN, goodSteps = NaN, skippedSteps = NaN] = tensors.get(tensorName)?.data ?? [];
  const isPower = scale > 0 && Number.isInteger(Math.log2(scale));
  if (isPower && [goodSteps, skippedSteps].every((count) => Number.isInteger(count) && count >= 0)) {
    return { scale, goodSteps, skippedSteps };
  }
  const found = tensors.has(tensorName) ? `${tensorName} (=${scale}, ${goodSteps}, ${skippedSteps})` : `no ${tensorName}`;
  throw new DataError(`${source} has ${found}: a training in float16 goes on with a power of two and two counts`, {
    fix: 'go on from another checkpoint of the run, or start a new run',
  });
}
