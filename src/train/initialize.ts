import type { ParameterArena } from '../engine/engine.ts';
import { initialValues, type Initializer, type ParameterSpec } from '../nn/parameter.ts';
import type { TrainingConfig } from './config-schema.ts';

/** Fills the arena with the first values of every parameter, a function of the seed and the parameters' names. */
export async function initializeParameters(
  arena: ParameterArena,
  seed: number,
  override: TrainingConfig['initializer'],
): Promise<void> {
  for (const entry of arena.entries) {
    await arena.write(entry, initialValues(entry.spec, seed, initializerOf(entry.spec, override)), arena.values);
  }
}

/** The override is for trained weights; biases, normalization and frozen filters keep what their layer says. */
function initializerOf(spec: ParameterSpec, override: TrainingConfig['initializer']): Initializer {
  if (override.type === 'model' || spec.role !== 'weight' || spec.kind !== 'trainable') return spec.initializer;
  // Passing channels through makes sense for convolutions only.
  // Stryker disable next-line ConditionalExpression,StringLiteral: of others none are passed through anyway
  if (override.type === 'dirac' && spec.shape.length !== 4) return { type: 'uniformFanIn' };
  return override;
}
