import { describe, expect, test } from 'vitest';
import { contrastName, type Contrast } from './contrast.ts';
import { estimateEffects, type Outcome } from './effects.ts';
import { verdictOf } from './verdict.ts';

const outcome = (variant: string, seed: number, accuracy: number): Outcome => ({ variant, seed, accuracy });

/** Of each variant against the baseline. */
function contrasts(...variants: string[]): Contrast[] {
  return variants.map((variant) => ({
    ...{ kind: 'difference', factor: variant, level: variant, reference: 'baseline' },
    weights: [
      { variant, weight: 1 },
      { variant: 'baseline', weight: -1 },
    ],
  }));
}

/** The accuracies of a variant, by seed, as more than the baseline's. */
function outcomes(more: Readonly<Record<string, Readonly<Record<number, number>>>>): Outcome[] {
  const baseline: Readonly<Record<number, number>> = { 1: 0.5, 2: 0.625, 3: 0.5625 };
  return Object.entries(more).flatMap(([variant, bySeed]) =>
    Object.entries(bySeed).map(([seed, difference]) => outcome(variant, Number(seed), baseline[Number(seed)]! + difference)),
  );
}

describe('pairs', () => {
  test('are of common seeds, in their order: a run that is missing takes only its pair with it', () => {
    const effects = estimateEffects(contrasts('a', 'b', 'c', 'd'), [
      ...[outcome('baseline', 1, 0.8), outcome('baseline', 2, 0.9)],
      ...[outcome('a', 3, 0.1), outcome('a', 2, 0.91), outcome('a', 1, 0.79)],
      ...[outcome('b', 2, 0.95), outcome('c', 3, 0.5)],
    ]);
    expect(effects.map(({ name, seeds }) => [name, seeds])).toEqual([
      ['a', [1, 2]],
      ['b', [2]],
    ]);
    expect(effects[0]!.difference).toBeCloseTo(0, 12);
    expect(effects[1]!.difference).toBeCloseTo(0.05, 12);
    expect(effects[1]).toMatchObject({
      low: undefined,
      high: undefined,
      correctedPValue: undefined,
      seedsForHalfPoint: undefined,
    });
  });

  test('without a run of the reference, or of anything, there are none', () => {
    expect(estimateEffects(contrasts('a'), [outcome('a', 1, 0.5)])).toEqual([]);
    expect(estimateEffects(contrasts('a'), [outcome('baseline', 1, 0.5)])).toEqual([]);
    expect(estimateEffects(contrasts('a'), [])).toEqual([]);
  });

  test('one seed gives no p-value, and does not count among the comparisons of the others', () => {
    const effects = estimateEffects(contrasts('b', 'a'), [
      ...[outcome('baseline', 1, 0.8), outcome('baseline', 2, 0.9), outcome('baseline', 3, 0.85)],
      ...[outcome('a', 1, 0.81), outcome('a', 2, 0.92), outcome('a', 3, 0.88), outcome('b', 2, 0.95)],
    ]);
    expect(effects.map(({ name, correctedPValue }) => [name, correctedPValue])).toEqual([
      ['b', undefined],
      ['a', effects[1]!.pValue],
    ]);
  });

  test('give an effect that is known, with everything that is said of it', () => {
    const [a, b, same] = estimateEffects(
      contrasts('a', 'b', 'same'),
      outcomes({
        baseline: { 3: 0, 1: 0, 2: 0 },
        a: { 2: 0.02, 3: 0.03, 1: 0.01 },
        b: { 3: 0.04, 2: 0.01, 1: 0.01 },
        same: { 1: 0.125, 2: 0.125 },
      }),
    );
    // With two degrees of freedom the p-value of t is 1 - t / sqrt(2 + t^2), and t(0.975, 2) = 4.302653.
    const half = (deviation: number) => (4.302653 * deviation) / Math.sqrt(3);
    const p = (t: number) => 1 - t / Math.sqrt(2 + t * t);
    expect(a).toEqual({
      ...{ name: 'a', kind: 'difference', factor: 'a', level: 'a', reference: 'baseline', seeds: [1, 2, 3] },
      difference: expect.closeTo(0.02, 12) as number,
      deviation: expect.closeTo(0.01, 12) as number,
      low: expect.closeTo(0.02 - half(0.01), 7) as number,
      high: expect.closeTo(0.02 + half(0.01), 7) as number,
      pValue: expect.closeTo(p(2 * Math.sqrt(3)), 9) as number,
      // The smallest of three, by Holm.
      correctedPValue: expect.closeTo(3 * p(2 * Math.sqrt(3)), 9) as number,
      // (t(0.975, 33) + t(0.8, 33)) * 1 / sqrt(34) is just below half a point.
      seedsForHalfPoint: 34,
    });
    expect(b).toMatchObject({
      deviation: expect.closeTo(0.01 * Math.sqrt(3), 12) as number,
      pValue: expect.closeTo(p(2), 9) as number,
      correctedPValue: expect.closeTo(2 * p(2), 9) as number,
    });
    // How much they vary is not known, and promises nothing.
    expect(same).toMatchObject({ difference: 0.125, deviation: 0, pValue: 1, correctedPValue: 1, seedsForHalfPoint: undefined });
  });
});

test.each([
  [undefined, 0.02, 'one seed'],
  [0.2, 0.02, 'unresolved'],
  [0.05, 0.02, 'unresolved'],
  [0.049, 0.02, 'better'],
  [0.049, -0.02, 'worse'],
] as const)('a corrected p-value of %s, a difference of %s: %s', (correctedPValue, difference, verdict) => {
  expect(verdictOf({ correctedPValue, difference })).toBe(verdict);
});

test.each([
  ['difference', 'flat', 'flat', 'flat'],
  ['main', 'flat', 'flat', 'flat'],
  ['difference', 'rate', '0.2', 'rate: 0.2'],
  ['main', 'rate', '0.2', 'rate: 0.2'],
  ['interaction', 'flat x plain', 'together', 'flat x plain: together'],
  ['interaction', 'odd', 'odd', 'odd: odd'],
] as const)('a contrast is called by its change: %s of %s, %s: %s', (kind, factor, level, name) => {
  expect(contrastName({ kind, factor, level })).toBe(name);
});
