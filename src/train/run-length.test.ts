import { expect, test } from 'vitest';
import { resolveConfig } from './config.ts';
import { describeChoice, settleEvaluations, settleLength } from './run-length.ts';

const lengthOf = (keys: Record<string, unknown>, images: number): unknown[] => {
  const { steps, epochs } = settleLength(resolveConfig({ model: 'tuto', ...keys }), images);
  return [steps, epochs];
};

test('steps are steps, epochs are rounded up to whole steps', () => {
  expect(lengthOf({ steps: 77 }, 10)).toEqual([77, 'none']);
  expect(lengthOf({ epochs: 30 }, 50_000)).toEqual([11_719, 'none']);
  expect(lengthOf({ epochs: 0.5, batchSize: 8 }, 10)).toEqual([1, 'none']);
  expect(lengthOf({ epochs: 1, batchSize: 8 }, 16)).toEqual([2, 'none']);
});

test('without a length it is the recipe, at most 200 epochs, at least 500 steps', () => {
  expect(lengthOf({}, 50_000)).toEqual([10_000, 'none']);
  expect(lengthOf({ recipe: 'airbench' }, 144)).toEqual([476, 'none']);
  expect(lengthOf({}, 2000)).toEqual([3125, 'none']);
  expect(lengthOf({}, 144)).toEqual([500, 'none']);
});

test('rounds of pruning divide the steps', () => {
  const pruning = { type: 'magnitude', sparsity: 0.5, rounds: 3 };
  expect(lengthOf({ pruning, epochs: 10, batchSize: 10 }, 100)).toEqual([102, 'none']);
  expect(() => resolveConfig({ model: 'tuto', pruning, steps: 100 })).toThrow('must be a multiple of pruning.rounds');
});

test('the strongest layer that gives a length says it', () => {
  const resolve = (...layers: Record<string, unknown>[]) => {
    const { steps, epochs } = settleLength(resolveConfig({ model: 'tuto', batchSize: 10 }, ...layers), 100);
    return [steps, epochs];
  };
  expect(resolve({ steps: 7 }, { epochs: 3 })).toEqual([30, 'none']);
  expect(resolve({ epochs: 3 }, { steps: 7 })).toEqual([7, 'none']);
  expect(resolve({ epochs: 3 }, { seed: 7 })).toEqual([30, 'none']);
  // As a run records it: its steps, and no epochs.
  expect(resolve({ steps: 7, epochs: 'none' })).toEqual([7, 'none']);
  expect(() => resolve({ steps: 7, epochs: 3 })).toThrow('epochs and steps are given both');
  expect(() => resolve({ epochs: 0 })).toThrow('epochs (=0) must be a number above 0');
});

test('what was chosen is said where it is not the recipe', () => {
  const say = (keys: Record<string, unknown>, images: number) => {
    const config = resolveConfig({ model: 'tuto', ...keys });
    return describeChoice(config, settleLength(config, images), images);
  };
  expect(say({}, 144)).toBe(
    "500 steps are chosen for 144 images, 444 epochs: the recipe's 10,000 would be 8,889 (--epochs or --steps says otherwise)",
  );
  expect(say({}, 50_000)).toBeUndefined();
  expect(say({ steps: 5 }, 144)).toBeUndefined();
  expect(say({ epochs: 5 }, 144)).toBeUndefined();
});

test.each([
  // Few images: twenty evaluations, or one after each step.
  [{ steps: 1000, batchSize: 100 }, 100, 50],
  [{ steps: 10, batchSize: 100 }, 7, 1],
  // No more than a twentieth of the steps' work, which is three passes an image: 2 * 10,000 passes of 0.05 * 3 * 128 a step.
  [{ steps: 2000, batchSize: 128 }, 10_000, 1042],
  [{ steps: 2000, batchSize: 128, movingAverage: false }, 10_000, 521],
  [{ steps: 2000, batchSize: 128, movingAverage: false, tta: 'mirror' }, 10_000, 1042],
  // Never more rarely than every 2,000 steps, whatever it costs.
  [{ steps: 1_000_000, batchSize: 128 }, 10_000, 2000],
  [{ steps: 10_000, batchSize: 4 }, 10_000, 2000],
  // What was asked for.
  [{ steps: 1000, batchSize: 100, evalEvery: 7 }, 100, 7],
  [{ steps: 1000, batchSize: 100, evalEvery: 0 }, 100, 0],
])('%o on %i images is evaluated every %i steps', (keys, images, expected) => {
  expect(settleEvaluations(resolveConfig({ model: 'tuto', ...keys }), images).evalEvery).toBe(expected);
});
