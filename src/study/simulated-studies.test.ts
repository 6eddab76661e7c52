/** Intervals and verdicts of simulated studies, whose effects are known. */
import { describe, expect, test } from 'vitest';
import { normal, streamKey } from '../util/random.ts';
import { designOf, type Design } from './design.ts';
import { estimateEffects, type Effect, type Outcome } from './effects.ts';
import { parseStudyFile } from './study-file.ts';

function design(text: string): Design {
  return designOf(parseStudyFile(`name: simulated\nbaseline: { model: tuto }\n${text}`, 'simulated.yaml'));
}

const oneAtATime = design(`
design: one-at-a-time
factors:
  - { name: a, set: { augment: false } }
  - { name: b, set: { model.lrn: false } }
  - { name: c, levels: [{ learningRate: 0.05 }, { learningRate: 0.2 }] }
seeds: 5
`);

const factorial = design(`
design: factorial
factors:
  - { name: a, set: { augment: false } }
  - { name: b, set: { model.lrn: false } }
  - { name: c, set: { learningRate: 0.2 } }
seeds: 4
`);

/**
 * A trainer that needs no training: every variant has a true accuracy, every seed an effect on all variants alike, every run chance of its
 * own.
 */
function train({ variants, seeds }: Design, truth: (variant: string) => number, repetition: number): Outcome[] {
  const key = streamKey(20260131, 'simulated training', repetition);
  return seeds.flatMap((seed, s) => {
    const seedEffect = 0.004 * normal(key, s);
    return variants.map(({ name }, v) => {
      const chance = 0.003 * normal(key, 1000 + s * variants.length + v);
      return { variant: name, seed, accuracy: truth(name) + seedEffect + chance };
    });
  });
}

const repetitions = 1000;

describe('one thousand simulated studies', () => {
  const trueEffects: Readonly<Record<string, number>> = { a: -0.026, b: 0, 'c: 0.05': 0.004, 'c: 0.2': -0.011 };
  const truth = (variant: string) => 0.8 + (trueEffects[variant] ?? 0);

  test('95% intervals cover the true effect in 93-97%', () => {
    let covered = 0;
    let all = 0;
    for (let repetition = 0; repetition < repetitions; repetition++) {
      for (const { name, low, high } of estimateEffects(oneAtATime.contrasts, train(oneAtATime, truth, repetition))) {
        const effect = trueEffects[name]!;
        if (low! <= effect && effect <= high!) covered++;
        all++;
      }
    }
    expect(all).toBe(4 * repetitions);
    expect(covered / all).toBeGreaterThan(0.93);
    expect(covered / all).toBeLessThan(0.97);
  });

  test('without any effect, at most 6% of studies raise a false alarm', () => {
    const alarms = countAlarms(oneAtATime);
    expect(alarms / repetitions).toBeLessThanOrEqual(0.06);
    // A correction that never alarms would be of no use.
    expect(alarms / repetitions).toBeGreaterThan(0.01);
  });

  test('nor with two seeds and few images, where differences are often exactly equal', () => {
    const twoSeeds = { ...oneAtATime, seeds: [1, 2] };
    const onImages = (images: number) =>
      countAlarms(twoSeeds, isCorrectedAlarm, (accuracy) => Math.round(accuracy * images) / images);
    expect(onImages(500) / repetitions).toBeLessThanOrEqual(0.06);
    expect(onImages(10_000) / repetitions).toBeLessThanOrEqual(0.06);
  });

  test('uncorrected, far more would: the check sees what the correction does', () => {
    const isAlarm = ({ pValue }: Effect) => pValue! < 0.05;
    expect(countAlarms(oneAtATime, isAlarm) / repetitions).toBeGreaterThan(0.1);
  });

  test('a factorial covers its main effects and interactions as often, and raises as few false alarms', () => {
    // a and b hurt alone and do nothing further together: an interaction of +0.01.
    const cells = (variant: string) => (variant === 'baseline' ? [] : variant.split(' + '));
    const accuracy = (variant: string) => {
      const on = cells(variant);
      return 0.8 - (on.includes('a') || on.includes('b') ? 0.01 : 0) + (on.includes('c') ? 0.005 : 0);
    };
    const expected = { a: -0.005, b: -0.005, c: 0.005, 'a x b: together': 0.01, 'a x c: together': 0, 'b x c: together': 0 };
    let covered = 0;
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const effects = estimateEffects(factorial.contrasts, train(factorial, accuracy, repetition));
      expect(effects.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'a x b: together', 'a x c: together', 'b x c: together']);
      covered += effects.filter(({ name, low, high }) => {
        const effect = expected[name as keyof typeof expected];
        return low! <= effect && effect <= high!;
      }).length;
    }
    expect(covered / (6 * repetitions)).toBeGreaterThan(0.93);
    expect(covered / (6 * repetitions)).toBeLessThan(0.97);
    expect(countAlarms(factorial) / repetitions).toBeLessThanOrEqual(0.06);
  });
});

function isCorrectedAlarm({ correctedPValue }: Effect): boolean {
  return correctedPValue! < 0.05;
}

/** @param measured what is seen of an accuracy */
function countAlarms(simulated: Design, isAlarm = isCorrectedAlarm, measured = (accuracy: number) => accuracy): number {
  let alarms = 0;
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const outcomes = train(simulated, () => 0.8, repetition).map((outcome) => ({
      ...outcome,
      accuracy: measured(outcome.accuracy),
    }));
    if (estimateEffects(simulated.contrasts, outcomes).some(isAlarm)) alarms++;
  }
  return alarms;
}
