/**
 * What the optimizer must know about each parameter (how strongly it decays, how fast it learns), as contiguous pieces of the arena,
 * so that an update is a few long loops rather than one short loop per parameter.
 */
import type { ArenaEntry, ParameterArena } from '../../engine/engine.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import type { DecayedParameter } from '../weight-decay-loss.ts';
import { coupledDecay, decoupledDecay, type WeightDecay } from './weight-decay.ts';

/** The keys of a configuration that decide how each parameter is updated, whatever the optimizer. */
export interface UpdateRules {
  readonly weightDecay: WeightDecay;
  readonly learningRateMultipliers: Readonly<Record<'weight' | 'bias' | 'scale' | 'shift', number>>;
  /** Matters here to the independent decay only. */
  readonly learningRate: number;
  readonly trainWhiteningBias: number;
}

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

/** The parameters that training changes by their gradients. */
export function trainableEntries(arena: ParameterArena): ArenaEntry[] {
  return arena.entries.filter(({ spec }) => spec.kind === 'trainable');
}

/** Trainable parameters of the arena, by default all, as segments in order. */
export function segmentsOf(arena: ParameterArena, rules: UpdateRules, entries = trainableEntries(arena)): Segment[] {
  const whitening = whiteningLayers(arena);
  const segments: Segment[] = [];
  for (const entry of entries) {
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

/** Those whose decay is a term of the loss, by default of all trainable parameters. */
export function decayedParameters(
  arena: ParameterArena,
  rules: UpdateRules,
  entries = trainableEntries(arena),
): DecayedParameter[] {
  return entries
    .map((entry) => ({ entry, coefficient: coupledDecay(entry.spec, rules.weightDecay, peakRate(entry.spec, rules)) }))
    .filter(({ coefficient }) => coefficient > 0);
}

/** Layers whose frozen weights whiten image patches. */
function whiteningLayers(arena: ParameterArena): ReadonlySet<string> {
  return new Set(arena.entries.filter(({ spec }) => spec.initializer.type === 'whitening').map(({ spec }) => spec.layer));
}

function segmentOf({ spec, offset, length }: ArenaEntry, rules: UpdateRules, whitening: ReadonlySet<string>): Segment {
  return {
    start: offset,
    end: offset + length,
    coupledDecay: coupledDecay(spec, rules.weightDecay, peakRate(spec, rules)),
    decoupledDecay: decoupledDecay(spec, rules.weightDecay),
    rateMultiplier: rateMultiplier(spec, rules),
    trainedUntil: spec.role === 'bias' && whitening.has(spec.layer) ? rules.trainWhiteningBias : 1,
  };
}

/** The learning rate of a parameter relative to the schedule's. */
export function rateMultiplier({ role }: ParameterSpec, { learningRateMultipliers }: UpdateRules): number {
  return role === 'mean' || role === 'variance' ? 0 : learningRateMultipliers[role];
}

function peakRate(spec: ParameterSpec, rules: UpdateRules): number {
  return rules.learningRate * rateMultiplier(spec, rules);
}

function updatedAlike(a: Segment, b: Segment): boolean {
  return (
    a.coupledDecay === b.coupledDecay &&
    a.decoupledDecay === b.decoupledDecay &&
    a.rateMultiplier === b.rateMultiplier &&
    a.trainedUntil === b.trainedUntil
  );
}
