import { expect, test } from 'vitest';
import { closest, didYouMean, editDistance } from './suggest.ts';

test.each([
  ['', '', 0],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
  ['tuto', 'tutto', 1],
  ['nin2', 'in2', 1],
  ['aelx4', 'alex4', 1],
  ['abc', 'xyz', 3],
])('%j is %j after %i edits', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test('a near name is suggested, a far one is not', () => {
  expect(closest('learning-rat', ['learning-rate', 'seed'])).toBe('learning-rate');
  expect(closest('LRN', ['lrn'])).toBe('lrn');
  expect(closest('resnet', ['tuto', 'alex0'])).toBeUndefined();
  expect(didYouMean('tutto', ['tuto'])).toBe(' Did you mean "tuto"?');
  expect(didYouMean('resnet', ['tuto'])).toBe('');
});
