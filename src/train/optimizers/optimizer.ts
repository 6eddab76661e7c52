/** What an optimizer is, and what it is made from. To add one: its file, and a line in registry.ts. */
import type * as z from 'zod';
import type { DeviceArray, TrainingPlan } from '../../engine/engine.ts';
import type { DecayedParameter } from '../weight-decay-loss.ts';
import type { UpdateRules } from './segments.ts';
import type { WeightDecay } from './weight-decay.ts';

export interface Optimizer {
  /**
   * State beside the parameters, by name, each an array in the arena's layout that starts at zero. Saved in checkpoints as
   * `opt.<slot>.<parameter>`; where pruning starts over it is zero again.
   */
  readonly slots: Readonly<Record<string, DeviceArray>>;
  /** The parameters whose decay is a term of the loss. */
  readonly decayed: readonly DecayedParameter[];
  /** Whether the update of a weight depends on other weights, so that pruned ones must be cleared after it. */
  readonly mixesWeights?: boolean;
  /**
   * Updates the arena's values from its gradients, which it may change.
   *
   * @param learningRate of this step, for the gradient of the mean loss
   * @param taken steps taken since the slots were zero
   * @param steps of the run or, where pruning starts over, of its round: decides which segments are frozen by now
   * @param earlyRate the learning rate of segments that are trained for a part of the run; default: that of all
   */
  step(learningRate: number, taken: number, steps: number, earlyRate?: number): void;
}

/** What an optimizer updates, and by which rules beside its own options. */
export interface Updated {
  readonly plan: Pick<TrainingPlan, 'parameters' | 'vectorMath'>;
  readonly rules: UpdateRules;
}

/** One kind of optimizer: its part of the configuration's schema, and how it is made. */
export interface OptimizerKind<Schema extends z.ZodObject> {
  /** The literal `type` and the options. */
  readonly schema: Schema;
  /** What a configuration has where its recipe is for another optimizer and nobody says: rates of one are of no use to another. */
  readonly usual: { readonly learningRate: number; readonly weightDecay: WeightDecay };
  create(updated: Updated, options: z.output<Schema>): Optimizer;
}

/** For the compiler to infer the options from the schema. */
export function defineOptimizer<Schema extends z.ZodObject>(kind: OptimizerKind<Schema>): OptimizerKind<Schema> {
  return kind;
}
