import * as z from 'zod';
import type { ArenaEntry, DeviceArray, ParameterArena, VectorMath } from '../../engine/engine.ts';
import { defineOptimizer, type Optimizer, type Updated } from './optimizer.ts';
import { rateMultiplier, trainableEntries, type UpdateRules } from './segments.ts';
import { createSgd } from './sgd.ts';

export interface MuonOptions {
  /** Of the filters, in [0, 1). */
  readonly momentum: number;
  /** Whether momentum looks one step ahead, of filters and other parameters. */
  readonly nesterov: boolean;
  /** Newton-Schulz iterations in each step, a positive integer. */
  readonly iterations: number;
  /** Peak learning rate of all that are no filters, for the gradient of the mean loss. */
  readonly otherLearningRate: number;
  /** Momentum of these, in (0, 1). */
  readonly otherMomentum: number;
}

export const muon = defineOptimizer({
  schema: z.strictObject({
    type: z.literal('muon'),
    momentum: z.number().min(0).lt(1).default(0.6),
    nesterov: z.boolean().default(true),
    iterations: z.int().min(1).max(20).default(3),
    otherLearningRate: z.number().positive().default(0.05),
    otherMomentum: z.number().gt(0).lt(1).default(0.85),
  }),
  usual: { learningRate: 0.05, weightDecay: { rule: 'coupled', value: 5e-4 } },
  create: createMuon,
});

/** Added to the norm of a gradient; what the original adds. */
const epsilon = 1e-7;
/** A filter of nothing but zeros has no direction to keep: it stays zero. */
const leastNorm = 1e-20;

/**
 * Muon (Jordan, 2024) in the form of airbench94_muon.py. The filters w of a convolution are a matrix of `out` rows, one for each filter. With
 * gradient g, momentum buffer m and learning rate r (times the multiplier of weights):
 *
 *     m = momentum * m + g
 *     d = nesterov ? g + momentum * m : m
 *     w = w * sqrt(out) / |w|
 *     w = w - r * orthogonalized(d)
 *
 * Their norm is given, so filters do not decay. All other parameters take steps of SGD at a rate of their own, which the schedule changes alike.
 */
export function createMuon({ plan, rules }: Updated, options: MuonOptions): Optimizer {
  const { parameters: arena, vectorMath } = plan;
  const { nesterov, otherLearningRate, otherMomentum } = options;
  const isFilter = ({ spec }: ArenaEntry): boolean => spec.role === 'weight' && spec.shape.length === 4;
  const trainable = trainableEntries(arena);
  const others = trainable.filter((entry) => !isFilter(entry));
  const otherRules: UpdateRules = { ...rules, learningRate: otherLearningRate };
  const sgd = createSgd({ plan, rules: otherRules }, { momentum: otherMomentum, nesterov }, others);
  // SGD has momentum, and so a velocity, of which the filters' part is free.
  const velocity = sgd.slots['momentum']!;
  const updates = trainable.filter(isFilter).map((entry) => ({
    multiplier: rateMultiplier(entry.spec, rules),
    update: createFilterUpdate(arena, vectorMath, entry, velocity, options),
  }));
  return {
    slots: { momentum: velocity },
    decayed: sgd.decayed,
    mixesWeights: true,
    step(learningRate, taken, steps, earlyRate = learningRate) {
      for (const { multiplier, update } of updates) update(learningRate * multiplier);
      const relative = otherLearningRate / rules.learningRate;
      sgd.step(learningRate * relative, taken, steps, earlyRate * relative);
    },
  };
}

function createFilterUpdate(
  arena: ParameterArena,
  math: VectorMath,
  entry: ArenaEntry,
  velocity: DeviceArray,
  { momentum, nesterov, iterations }: MuonOptions,
): (rate: number) => void {
  const [filters = 1, ...window] = entry.spec.shape;
  const inner = window.reduce((product, extent) => product * extent, 1);
  const part = (array: DeviceArray): DeviceArray => array.part(entry.offset, entry.offset + entry.length);
  const [w, g, m] = [part(arena.values), part(arena.gradients), part(velocity)];
  const matrix = math.allocate(filters * inner);
  const roll = math.multiplyAdd(m, [g], m);
  const lookAhead = math.multiplyAdd(m, [g], g);
  const unpack = arena.unpack(entry, nesterov ? arena.gradients : velocity, matrix);
  const orthogonalize = createOrthogonalization(math, matrix, [filters, inner], iterations);
  const pack = arena.pack(entry, matrix, arena.gradients);
  const setNorm = math.scaleToNorm(w, w);
  const descend = math.multiplyAdd(g, [w], w);
  return (rate) => {
    roll([momentum, 1]);
    // Stryker disable next-line ConditionalExpression: without Nesterov nobody reads the gradients, which are then overwritten
    if (nesterov) lookAhead([momentum, 1]);
    unpack();
    orthogonalize();
    pack();
    setNorm(Math.sqrt(filters), leastNorm);
    descend([-rate, 1]);
  };
}

/** a, b and c of the iteration: chosen for a steep slope at 0, so that a few iterations do. They leave singular values between about 0.5 and 1.5. */
const coefficients = [3.4445, -4.775, 2.0315] as const;

/**
 * Brings the singular values of a matrix x near 1 and leaves its singular vectors, by an iteration of Newton and Schulz of fifth order:
 *
 *     x = x / |x|;   A = x x';   B = b A + c A A;   x = a x + B x, so many times
 *
 * A matrix with more rows than columns is taken by its transpose: A = x' x, and x = a x + x B.
 *
 * @param x `[rows, columns]`, overwritten by what it prepares
 */
export function createOrthogonalization(
  math: VectorMath,
  x: DeviceArray,
  [rows, columns]: readonly [number, number],
  iterations: number,
): () => void {
  const [a, b, c] = coefficients;
  const side = Math.min(rows, columns);
  // Stryker disable next-line EqualityOperator: a square matrix may be taken either way
  const tall = rows > columns;
  const square = math.allocate(side * side);
  const polynomial = math.allocate(side * side);
  const next = math.allocate(x.length);
  const normalize = math.scaleToNorm(x, x);
  const copySquare = math.multiplyAdd(square, [], polynomial);
  const squareOfSquare = math.product(square, square, polynomial, { rows: side, inner: side, columns: side });
  const outer = { rows: side, inner: Math.max(rows, columns), columns: side, transposeA: tall, transposeB: !tall };
  const toSquare = math.product(x, x, square, outer);
  const copy = math.multiplyAdd(x, [], next);
  const product = tall
    ? math.product(x, polynomial, next, { rows, inner: side, columns })
    : math.product(polynomial, x, next, { rows, inner: side, columns });
  const takeNext = math.multiplyAdd(next, [], x);
  return () => {
    normalize(1, epsilon);
    for (let i = 0; i < iterations; i++) {
      toSquare(1, 0);
      copySquare([1]);
      squareOfSquare(c, b);
      copy([1]);
      product(1, a);
      takeNext([1]);
    }
  };
}
