import type { ArenaEntry, TrainingPlan } from '../engine/engine.ts';

/** A parameter's share in the weight-decay loss: `coefficient * sum(w * w) / 2`. */
export interface DecayedParameter {
  readonly entry: ArenaEntry;
  readonly coefficient: number;
}

/**
 * The weight-decay term that a coupled rule adds to the loss: sum over parameters of coefficient * sum(w^2) / 2. Its gradient is
 * in the optimizer; this is for reports.
 *
 * @returns a function that computes it at the plan's parameters of the moment (padding is zero, so it adds nothing)
 */
export function createWeightDecayLoss(
  decayed: readonly DecayedParameter[],
  { parameters, vectorMath }: Pick<TrainingPlan, 'parameters' | 'vectorMath'>,
): () => Promise<number> {
  const parts = decayed.map(({ entry: { offset, length } }) => parameters.values.part(offset, offset + length));
  const sumsOfSquares = vectorMath.sumsOfSquares(parts);
  return async () => {
    const sums = await sumsOfSquares();
    return decayed.reduce((total, { coefficient }, i) => total + (coefficient * sums[i]!) / 2, 0);
  };
}
