import { expect, test } from 'vitest';
import { roundEnds, survivors } from './halving.ts';

test('each round is a factor longer than the one before, and the last trials train to the end', () => {
  expect(roundEnds(900, { factor: 3, rounds: 2 })).toEqual([100, 300]);
  expect(roundEnds(1000, { factor: 2, rounds: 3 })).toEqual([125, 250, 500]);
  expect(roundEnds(3, { factor: 3, rounds: 2 })).toEqual([1]);
});

test('the best of each round go on, at least one; failures never do', () => {
  const accuracies = new Map([
    ['a', 0.3],
    ['b', undefined],
    ['c', 0.5],
    ['d', 0.4],
    ['e', 0.5],
  ]);
  expect([...survivors(accuracies, 3)]).toEqual(['c', 'e']);
  expect([...survivors(accuracies, 10)]).toEqual(['c']);
  expect([...survivors(new Map([['b', undefined]]), 3)]).toEqual([]);
});
