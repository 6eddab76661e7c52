/** An engine that trains with the weights that quantization will leave of them. */
import type { ArenaEntry, DeviceArray, Engine, TrainingPlan } from '../../engine/engine.ts';
import { quantizeWeights, type WeightBits } from '../../deploy/integers/weights.ts';

/**
 * The engine, but training goes forward and backward with rounded weights, while the optimizer changes the exact ones: the gradient passes
 * straight through the rounding (Bengio et al., 2013; Jacob et al., 2018, section 3). Weights of convolutions and dense layers only.
 *
 * Rounding by filter commutes with folding a batch normalization into a convolution, which scales whole filters.
 */
export function withRoundedWeights(engine: Engine, bits: WeightBits): Engine {
  return {
    ...engine,
    compileTraining: async (network, options) => trainRounded(await engine.compileTraining(network, options), bits),
  };
}

function trainRounded(plan: TrainingPlan, bits: WeightBits): TrainingPlan {
  const { parameters: arena, vectorMath } = plan;
  const weights = arena.entries.filter(({ spec }) => spec.role === 'weight');
  const exact = arena.allocate();
  const part = (array: DeviceArray, { offset, length }: ArenaEntry) => array.part(offset, offset + length);
  const keep = weights.map((entry) => vectorMath.copy(part(arena.values, entry), part(exact, entry)));
  const putBack = weights.map((entry) => vectorMath.copy(part(exact, entry), part(arena.values, entry)));
  const changed: Required<Pick<TrainingPlan, 'prepareStep' | 'backward'>> = {
    async prepareStep() {
      keep.forEach((copy) => copy());
      for (const entry of weights) {
        const rounded = roundToBits(await arena.read(entry, arena.values), entry.spec.shape[0]!, bits);
        await arena.write(entry, rounded, arena.values);
      }
    },
    backward(onGradients) {
      plan.backward(onGradients);
      putBack.forEach((copy) => copy());
    },
  };
  // All else is the plan's own, with the plan as its `this`: it may have private state.
  return new Proxy(plan, {
    get(target, key) {
      if (key in changed) return changed[key as keyof typeof changed];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** The values for which the stored integers stand. */
export function roundToBits(weights: Float32Array, channels: number, bits: WeightBits): Float32Array {
  const { values, scales } = quantizeWeights(weights, channels, bits);
  const length = weights.length / channels;
  return weights.map((_, i) => values[i]! * scales[Math.floor(i / length)]!);
}
