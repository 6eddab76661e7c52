import { describe, expect, test } from 'vitest';
import { normal, streamKey } from '../util/random.ts';
import { designOf } from './design.ts';
import { estimateEffects, type Effect } from './effects.ts';
import { judgeHypotheses } from './hypotheses.ts';
import { parseStudyFile } from './study-file.ts';
import type { Hypothesis } from './study-schema.ts';

/** In points. */
function effect(name: string, low: number | undefined, high: number | undefined, verdict: 'resolved' | 'unresolved'): Effect {
  const difference = low === undefined || high === undefined ? 0.02 : (low + high) / 200;
  return {
    ...{ name, kind: 'difference', factor: name, level: name, reference: 'baseline', difference, deviation: 0.01 },
    ...{ low: low && low / 100, high: high && high / 100, pValue: undefined, seeds: [1, 2, 3], seedsForHalfPoint: 34 },
    correctedPValue: low === undefined ? undefined : verdict === 'resolved' ? 0.01 : 0.2,
  };
}

const hypothesis = (expected: Hypothesis['expected'], ...changes: string[]) => ({
  ...{ hypothesis: 'So it is', changes, expected, within: 0.5 },
});

test.each<[Hypothesis['expected'], number, number, 'resolved' | 'unresolved', string]>([
  ['worse', -3, -2, 'resolved', 'holds'],
  ['worse', 1, 2, 'resolved', 'does not hold'],
  ['worse', -3, 0.5, 'unresolved', 'open'],
  // Corrected for the comparisons of the study it is not resolved, though its own interval leaves zero out.
  ['worse', -3, -0.1, 'unresolved', 'open'],
  ['worse', -0.4, 0.9, 'unresolved', 'does not hold'],
  ['better', 2, 3, 'resolved', 'holds'],
  ['better', -2, -1, 'resolved', 'does not hold'],
  ['better', -0.9, 0.4, 'unresolved', 'does not hold'],
  ['better', -0.9, 0.6, 'unresolved', 'open'],
  ['same', -0.4, 0.4, 'unresolved', 'holds'],
  ['same', 0.1, 0.4, 'resolved', 'holds'],
  ['same', -0.6, 0.4, 'unresolved', 'open'],
  ['same', -0.4, 0.6, 'unresolved', 'open'],
  ['same', 0.1, 0.6, 'resolved', 'open'],
  ['same', -0.6, -0.1, 'resolved', 'open'],
  ['same', 0.5, 0.9, 'resolved', 'does not hold'],
  ['same', 0.4, 0.9, 'resolved', 'open'],
  ['same', 0.6, 0.9, 'unresolved', 'open'],
  ['same', -0.9, -0.5, 'resolved', 'does not hold'],
  ['same', -0.9, -0.4, 'resolved', 'open'],
  // The margin itself is not within it.
  ['same', -0.5, 0.4, 'unresolved', 'open'],
  ['same', -0.4, 0.5, 'unresolved', 'open'],
  ['worse', -0.5, 0.9, 'unresolved', 'open'],
  ['better', -0.9, 0.5, 'unresolved', 'open'],
])('%s, interval from %d to %d points, %s: %s', (expected, low, high, verdict, answer) => {
  const [judged] = judgeHypotheses([hypothesis(expected, 'a')], [effect('a', low, high, verdict)]);
  expect(judged!.answer).toBe(answer);
  // (t(0.975, 33) + t(0.8, 33)) * 1 / sqrt(34) is just below half a point.
  expect(judged!.changes[0]!.seedsNeeded).toBe(answer === 'open' ? 34 : undefined);
});

test('of several changes all must hold; one that cannot be told leaves it open, unless another fails', () => {
  const effects = [effect('down', -3, -2, 'resolved'), effect('up', 2, 3, 'resolved'), effect('wide', -5, 5, 'unresolved')];
  const answers = [['down'], ['up'], ['down', 'up'], ['down', 'wide'], ['up', 'wide'], ['missing'], ['down', 'down']].map(
    (changes) => judgeHypotheses([hypothesis('worse', ...changes)], effects)[0]!.answer,
  );
  expect(answers).toEqual(['holds', 'does not hold', 'in part', 'open', 'does not hold', 'open', 'holds']);
  for (const [low, high] of [
    [undefined, undefined],
    [undefined, -2],
    [-3, undefined],
  ]) {
    // Of one seed, or of differences that are all alike.
    for (const verdict of ['resolved', 'unresolved'] as const) {
      const unknown = { ...effect('a', -3, -2, verdict), low: low && low / 100, high: high && high / 100 };
      for (const expected of ['same', 'worse', 'better'] as const) {
        expect(judgeHypotheses([hypothesis(expected, 'a')], [unknown])[0]!.answer).toBe('open');
      }
    }
  }
});

describe('a thousand simulated studies of five seeds', () => {
  const { contrasts, seeds } = designOf(
    parseStudyFile(
      'name: simulated\nbaseline: { model: tuto }\ndesign: one-at-a-time\nfactors: [{ name: a, set: { augment: false } }]\nseeds: 5\n',
      'simulated.yaml',
    ),
  );
  const shareThatHolds = (difference: number, expected: Hypothesis['expected']) => {
    const key = streamKey(20261127, 'simulated hypotheses');
    const studies = Array.from({ length: 1000 }, (_, study) => {
      const outcomes = seeds.flatMap((seed, s) => [
        { variant: 'baseline', seed, accuracy: 0.8 + 0.001 * normal(key, study * 10 + 2 * s) },
        { variant: 'a', seed, accuracy: 0.8 + difference + 0.001 * normal(key, study * 10 + 2 * s + 1) },
      ]);
      return judgeHypotheses([hypothesis(expected, 'a')], estimateEffects(contrasts, outcomes))[0]!.answer;
    });
    return studies.filter((answer) => answer === 'holds').length / studies.length;
  };

  test('a difference as large as the margin is rarely called the same, none nearly always', () => {
    expect(shareThatHolds(0.005, 'same')).toBeLessThan(0.04);
    expect(shareThatHolds(0, 'same')).toBeGreaterThan(0.9);
  });

  test('no difference is rarely called worse, one of a point always', () => {
    expect(shareThatHolds(0, 'worse')).toBeLessThan(0.04);
    expect(shareThatHolds(-0.01, 'worse')).toBeGreaterThan(0.99);
  });
});

test.each([
  ['changes: [b], expected: worse', 'hypotheses[0].changes[0] (=b) must be one of the changes of the study: a.'],
  ['changes: [a], expected: other', 'hypotheses[0].expected (=other) must be one of better, worse, same'],
  ['changes: [], expected: same', 'hypotheses[0].changes'],
  ['changes: [a], expected: same, within: 0', 'hypotheses[0].within (=0) must be'],
])('{ %s } is refused with its line', (keys, message) => {
  const text = `name: s
baseline: { model: tuto }
design: one-at-a-time
factors: [{ name: a, set: { augment: false } }]
seeds: 2
hypotheses:
  - { hypothesis: So it is, ${keys} }
`;
  expect(() => designOf(parseStudyFile(text, 's.yaml'))).toThrow(`s.yaml:7: ${message}`);
});

test('a search compares nothing', () => {
  const text = `name: s
baseline: { model: tuto }
design: grid
factors: [{ name: a, levels: [{ learningRate: 0.1 }, { learningRate: 0.2 }] }]
seeds: 2
hypotheses: [{ hypothesis: So it is, changes: [a], expected: same }]
`;
  expect(() => designOf(parseStudyFile(text, 's.yaml'))).toThrow('(=a) must be left out: a search compares none');
});
