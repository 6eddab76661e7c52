/**
 * What the optimizer must know about each parameter (how strongly it decays, how fast it learns), as contiguous pieces of the arena,
 * so that an update is a few long loops rather than one short loop per parameter.
 */
import type { ArenaEntry, ParameterArena } from '../../engine/engine.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { TrainingConfig } from '../config-schema.ts';
import type { DecayedParameter } from '../loss.ts';

/** The part of a configuration that decides how a parameter is updated. The learning rate matters here to the independent decay only. */
export type UpdateRules = Pick<TrainingConfig, 'weightDecay' | 'learningRateMultipliers' | 'learningRate' | 'trainWhiteningBias'>;

/** Elements `start` to before `end` of the arena, all updated alike. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  /** Times the value, added to the gradient. */
  readonly coupledDecay: number;
  /** Times the learning rate, the part of the value lost each step. */
  readonly decoupledDecay: number;
  readonly rateMultiplier: number;
  /** The part of the run after which the elements are frozen; 1 for never. */
  readonly trainedUntil: number;
}

/** The trainable parameters of the arena as segments, in order; frozen parameters and statistics are in none. */
export function segmentsOf(arena: ParameterArena, rules: UpdateRules): Segment[] {
  const whitening = whiteningLayers(arena);
  const segments: Segment[] = [];
  for (const entry of arena.entries) {
    if (entry.spec.kind !== 'trainable') continue;
    const next = segmentOf(entry, rules, whitening);
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
export function decayedParameters(arena: ParameterArena, rules: UpdateRules): DecayedParameter[] {
  return arena.entries
    .map((entry) => ({ entry, coefficient: entry.spec.kind === 'trainable' ? coupledDecay(entry, rules) : 0 }))
    .filter(({ coefficient }) => coefficient > 0);
}

/** Layers whose frozen weights whiten image patches. */
function whiteningLayers(arena: ParameterArena): ReadonlySet<string> {
  return new Set(arena.entries.filter(({ spec }) => spec.initializer.type === 'whitening').map(({ spec }) => spec.layer));
}

function segmentOf(entry: ArenaEntry, rules: UpdateRules, whitening: ReadonlySet<string>): Segment {
  const { role, layer } = entry.spec;
  const { rule, value } = rules.weightDecay;
  return {
    start: entry.offset,
    end: entry.offset + entry.length,
    coupledDecay: coupledDecay(entry, rules),
    decoupledDecay: rule === 'decoupled' && role === 'weight' ? value : 0,
    rateMultiplier: multiplierOf(entry, rules),
    trainedUntil: role === 'bias' && whitening.has(layer) ? rules.trainWhiteningBias : 1,
  };
}

function multiplierOf({ spec: { role } }: ArenaEntry, { learningRateMultipliers }: UpdateRules): number {
  return role === 'mean' || role === 'variance' ? 0 : learningRateMultipliers[role];
}

function coupledDecay(entry: ArenaEntry, rules: UpdateRules): number {
  const { spec } = entry;
  const { rule, value } = rules.weightDecay;
  switch (rule) {
    case 'none':
    case 'decoupled':
      return 0;
    case '2017':
      return spec.starred ? value / sizeOf(spec.shape) : 0;
    case 'coupled':
      return spec.role === 'weight' ? value : 0;
    case 'independent': {
      const peak = rules.learningRate * multiplierOf(entry, rules);
      // A parameter that does not move cannot decay either.
      return peak === 0 ? 0 : value / peak;
    }
    default:
      return rule satisfies never;
  }
}

function updatedAlike(a: Segment, b: Segment): boolean {
  return (
    a.coupledDecay === b.coupledDecay &&
    a.decoupledDecay === b.decoupledDecay &&
    a.rateMultiplier === b.rateMultiplier &&
    a.trainedUntil === b.trainedUntil
  );
}
