/**
 * The integer network of a device, as data: what the twin runs, and what is written as C and as TensorFlow Lite. The convention is
 * TensorFlow Lite's (ai.google.dev/edge/litert, "8-bit quantization specification"): an integer q stands for (q - zeroPoint) * scale;
 * activations are -128 to 127 with one scale for each tensor, weights -127 to 127 with one for each filter and zero point 0, biases and sums
 * have 32 bits. fixed-point.ts says how sums become activations.
 */
import type { Window2d } from '../../nn/shape.ts';
import type { FixedPoint } from './fixed-point.ts';
import { pixelsOf, type Clamp, type CurveActivation, type Extent, type ReluClamp } from './graph.ts';
import type { IntegerScale } from './input.ts';

export interface PlanTensor extends IntegerScale {
  readonly name: string;
  readonly extent: Extent;
}

interface StepBase {
  /** Unique; also the name of the tensor that it makes. */
  readonly name: string;
  readonly inputs: readonly string[];
}

/** The activations that a step can make: what is outside becomes the nearest. */
interface Limits<C extends Clamp> {
  /** Why. */
  readonly clamp: C | null;
  readonly low: number;
  readonly high: number;
}

/** sum = bias + sum of (q - input zero point) * weight; output = sum * factor of the filter + output zero point */
export interface ConvStep extends StepBase, Limits<Clamp> {
  readonly kind: 'conv';
  readonly window: Window2d;
  readonly groups: number;
  /** `[filters, kernel height, kernel width, channels / groups]` */
  readonly weights: Int8Array;
  /** One for each filter. */
  readonly weightScales: Float32Array;
  readonly bias: Int32Array;
  readonly factors: readonly FixedPoint[];
}

/** The largest of the pixels, or their mean rounded to the nearest (halves away from zero), inside the image. Scale and zero point stay. */
export interface PoolStep extends StepBase {
  readonly kind: 'maxPool' | 'avgPool';
  readonly window: Window2d;
}

/** output = sum of (q - input zero point) over all pixels * factor + output zero point */
export interface GlobalAverageStep extends StepBase {
  readonly kind: 'globalAverage';
  readonly factor: FixedPoint;
}

/** What each of so many pixels counts in their average, in float32. */
export function averageWeight(extent: Extent): number {
  return Math.fround(1 / pixelsOf(extent));
}

/** output = sum of (q - zero point) * multiplier of the input over 2^shift, to the nearest, halves up, + output zero point */
export interface AddStep extends StepBase, Limits<ReluClamp> {
  readonly kind: 'add';
  /** Below 2^21. */
  readonly multipliers: readonly [number, number];
  /** 1 to 30. */
  readonly shift: number;
}

/** Of the larger multiplier of a sum: as XNNPACK has them. */
export const addBits = 21;

/** output = (q - zero point) * (q - zero point) * factor + output zero point */
export interface MultiplyStep extends StepBase {
  readonly kind: 'multiply';
  readonly factor: FixedPoint;
}

/** All have one scale and zero point. */
export interface ConcatStep extends StepBase {
  readonly kind: 'concat';
}

export interface CurveStep extends StepBase {
  readonly kind: 'curve';
  readonly activation: CurveActivation;
  /** What -128 to 127 become. */
  readonly table: Int8Array;
}

export type Step = ConvStep | PoolStep | GlobalAverageStep | AddStep | MultiplyStep | ConcatStep | CurveStep;

export interface Plan {
  /** The image: a byte less 128, channels last. */
  readonly input: PlanTensor;
  readonly output: PlanTensor;
  /** Of the input and of every step. */
  readonly tensors: ReadonlyMap<string, PlanTensor>;
  /** Each follows its inputs. */
  readonly steps: readonly Step[];
  /** Products in convolutions and dense layers, for one image. */
  readonly multiplyAdds: number;
}

/** Bytes of all that a plan holds: weights, biases, factors (four bytes and one) and tables. */
export function constantBytes({ steps }: Plan): number {
  return steps.reduce((sum, step) => {
    if (step.kind === 'conv') return sum + step.weights.length + (4 + 4 + 1) * step.bias.length;
    return step.kind === 'curve' ? sum + step.table.length : sum;
  }, 0);
}

/** The weights of a depthwise convolution as its loops read them: from `[filters, pixels]` to `[pixels, filters]`. */
export function filtersLast({ weights, bias }: ConvStep): Int8Array {
  const filters = bias.length;
  const pixels = weights.length / filters;
  return weights.map((_, i) => weights[(i % filters) * pixels + Math.floor(i / filters)]!);
}
