import { expect, test } from 'vitest';
import { dropInPoints, roundPoints } from './points.ts';

test('so many images of so many are exactly so many points, wherever the accuracy is', () => {
  for (let correct = 3000; correct <= 4750; correct++) {
    expect(dropInPoints(correct / 5000, (correct - 50) / 5000)).toBe(1);
    expect(dropInPoints(correct / 5000, (correct + 15) / 5000)).toBe(-0.3);
  }
});

test('what one drop leaves of a limit is exact, too', () => {
  expect(roundPoints(0.3 - dropInPoints(0.9028, 0.9))).toBe(0.02);
});

test('a millionth of a point is kept, and no less', () => {
  expect(roundPoints(0.1234564)).toBe(0.123456);
  expect(roundPoints(-0.1234566)).toBe(-0.123457);
  // One image of 50,000 more or less.
  expect(dropInPoints(0.90002, 0.9)).toBe(0.002);
  expect(dropInPoints(0.9, 0.90002)).toBe(-0.002);
});
