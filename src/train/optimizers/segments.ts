/**
 * What the optimizer must know about each parameter (how strongly it decays, how fast it learns), as contiguous pieces of the arena,
 * so that an update is a few long loops rather than one short loop per parameter.
 */
import type { ArenaEntry, ParameterArena } from '../../engine/engine.ts';
import type { ParameterRole } from '../../nn/parameter.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { DecayedParameter } from '../loss.ts';

/**
 * `none`. `study`: value / (number of elements) on starred weights only, in the loss. `coupled`: value on all weights, in the loss (its
 * gradient passes through momentum). `decoupled`: each step takes learningRate * value off all weights (Loshchilov and Hutter, 2017).
 * Biases, scales and shifts never decay.
 */
export interface WeightDecay {
  readonly rule: 'none' | 'study' | 'coupled' | 'decoupled';
  readonly value: number;
}

/** Learning rate of each role relative to the schedule's. */
export type RateMultipliers = Readonly<Record<Exclude<ParameterRole, 'mean' | 'variance'>, number>>;

/** Elements `start` to before `end` of the arena, all updated alike. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  /** Times the value, added to the gradient. */
  readonly coupledDecay: number;
  /** Times the learning rate, the part of the value lost each step. */
  readonly decoupledDecay: number;
  readonly rateMultiplier: number;
}

/** The trainable parameters of the arena as segments, in order; frozen parameters and statistics are in none. */
export function segmentsOf(arena: ParameterArena, decay: WeightDecay, multipliers: RateMultipliers): Segment[] {
  const segments: Segment[] = [];
  for (const entry of arena.entries) {
    if (entry.spec.kind !== 'trainable') continue;
    const next = segmentOf(entry, decay, multipliers);
    const last = segments.at(-1);
    if (last?.end === next.start && updatedAlike(last, next)) {
      segments[segments.length - 1] = { ...last, end: next.end };
    } else {
      segments.push(next);
    }
  }
  return segments;
}

/** The parameters whose decay is a term of the loss. */
export function decayedParameters(arena: ParameterArena, decay: WeightDecay): DecayedParameter[] {
  return arena.entries
    .map((entry) => ({ entry, coefficient: entry.spec.kind === 'trainable' ? coupledDecay(entry, decay) : 0 }))
    .filter(({ coefficient }) => coefficient > 0);
}

function segmentOf(entry: ArenaEntry, decay: WeightDecay, multipliers: RateMultipliers): Segment {
  const { role } = entry.spec;
  return {
    start: entry.offset,
    end: entry.offset + entry.length,
    coupledDecay: coupledDecay(entry, decay),
    decoupledDecay: decay.rule === 'decoupled' && role === 'weight' ? decay.value : 0,
    rateMultiplier: role === 'mean' || role === 'variance' ? 0 : multipliers[role],
  };
}

function coupledDecay({ spec }: ArenaEntry, { rule, value }: WeightDecay): number {
  if (rule === 'study') return spec.starred ? value / sizeOf(spec.shape) : 0;
  return rule === 'coupled' && spec.role === 'weight' ? value : 0;
}

function updatedAlike(a: Segment, b: Segment): boolean {
  return a.coupledDecay === b.coupledDecay && a.decoupledDecay === b.decoupledDecay && a.rateMultiplier === b.rateMultiplier;
}
