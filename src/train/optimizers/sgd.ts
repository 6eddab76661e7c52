import type { ParameterArena } from '../../engine/engine.ts';
import type { Optimizer } from './optimizer.ts';
import type { Segment } from './segments.ts';

export interface SgdOptions {
  /** 0 for plain gradient descent, otherwise below 1. */
  readonly momentum: number;
  /** Looks one step ahead along the momentum (Nesterov, 1983, in the form of Sutskever et al., 2013). */
  readonly nesterov: boolean;
}

/**
 * Stochastic gradient descent. With gradient g, parameter w, velocity m, learning rate r (times the segment's multiplier):
 *
 *     g' = g + coupledDecay * w
 *     m  = momentum * m + g'
 *     d  = nesterov ? g' + momentum * m : m
 *     w  = (1 - r * decoupledDecay) * w - r * d
 *     average = average + (1 - averageDecay) * (w - average)
 *
 * Computed in float64 and rounded to float32 when stored. Padding of blocked layouts stays zero: its gradient and its value are zero.
 *
 * @param average moving average of the parameters in the arena's layout, or undefined to keep none
 */
export function createSgd(
  arena: ParameterArena,
  segments: readonly Segment[],
  { momentum, nesterov }: SgdOptions,
  average: Float32Array | undefined,
): Optimizer {
  const { values, gradients } = arena;
  if (momentum === 0) {
    return {
      slots: {},
      step(learningRate, averageDecay) {
        for (const segment of segments) {
          if (average === undefined) descend(values, gradients, segment, learningRate);
          else descendAveraging(values, gradients, average, segment, learningRate, 1 - averageDecay);
        }
      },
    };
  }
  const velocity = arena.allocate();
  // d = gradientShare * g' + velocityShare * m covers both kinds of momentum in one loop.
  const direction = nesterov
    ? { momentum, gradientShare: 1, velocityShare: momentum }
    : { momentum, gradientShare: 0, velocityShare: 1 };
  return {
    slots: { momentum: velocity },
    step(learningRate, averageDecay) {
      for (const segment of segments) {
        if (average === undefined) roll(values, gradients, velocity, segment, learningRate, direction);
        else rollAveraging(values, gradients, velocity, average, segment, learningRate, direction, 1 - averageDecay);
      }
    },
  };
}

interface Direction {
  readonly momentum: number;
  readonly gradientShare: number;
  readonly velocityShare: number;
}

/*
 * One loop per combination: a test per element inside a common loop costs more than the arithmetic.
 */

function descend(values: Float32Array, gradients: Float32Array, segment: Segment, learningRate: number): void {
  const { end, coupledDecay } = segment;
  const rate = learningRate * segment.rateMultiplier;
  const kept = 1 - rate * segment.decoupledDecay;
  for (let i = segment.start; i < end; i++) {
    const value = values[i]!;
    values[i] = kept * value - rate * (gradients[i]! + coupledDecay * value);
  }
}

function descendAveraging(
  values: Float32Array,
  gradients: Float32Array,
  average: Float32Array,
  segment: Segment,
  learningRate: number,
  share: number,
): void {
  const { end, coupledDecay } = segment;
  const rate = learningRate * segment.rateMultiplier;
  const kept = 1 - rate * segment.decoupledDecay;
  for (let i = segment.start; i < end; i++) {
    const value = values[i]!;
    const next = Math.fround(kept * value - rate * (gradients[i]! + coupledDecay * value));
    values[i] = next;
    const old = average[i]!;
    average[i] = old + share * (next - old);
  }
}

function roll(
  values: Float32Array,
  gradients: Float32Array,
  velocity: Float32Array,
  segment: Segment,
  learningRate: number,
  { momentum, gradientShare, velocityShare }: Direction,
): void {
  const { end, coupledDecay } = segment;
  const rate = learningRate * segment.rateMultiplier;
  const kept = 1 - rate * segment.decoupledDecay;
  for (let i = segment.start; i < end; i++) {
    const value = values[i]!;
    const gradient = gradients[i]! + coupledDecay * value;
    const rolled = Math.fround(momentum * velocity[i]! + gradient);
    velocity[i] = rolled;
    values[i] = kept * value - rate * (gradientShare * gradient + velocityShare * rolled);
  }
}

function rollAveraging(
  values: Float32Array,
  gradients: Float32Array,
  velocity: Float32Array,
  average: Float32Array,
  segment: Segment,
  learningRate: number,
  { momentum, gradientShare, velocityShare }: Direction,
  share: number,
): void {
  const { end, coupledDecay } = segment;
  const rate = learningRate * segment.rateMultiplier;
  const kept = 1 - rate * segment.decoupledDecay;
  for (let i = segment.start; i < end; i++) {
    const value = values[i]!;
    const gradient = gradients[i]! + coupledDecay * value;
    const rolled = Math.fround(momentum * velocity[i]! + gradient);
    velocity[i] = rolled;
    const next = Math.fround(kept * value - rate * (gradientShare * gradient + velocityShare * rolled));
    values[i] = next;
    const old = average[i]!;
    average[i] = old + share * (next - old);
  }
}
