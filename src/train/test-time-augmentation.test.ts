import { expect, test } from 'vitest';
import { viewsOf } from './test-time-augmentation.ts';

test('the views of each level, with weights that add up to one', () => {
  expect(viewsOf('none')).toEqual([{ view: { mirror: false, shift: [0, 0] }, weight: 1 }]);
  expect(viewsOf('mirror')).toEqual([
    { view: { mirror: false, shift: [0, 0] }, weight: 0.5 },
    { view: { mirror: true, shift: [0, 0] }, weight: 0.5 },
  ]);
  const six = viewsOf('mirror+shift').map(({ view, weight }) => [view.mirror, ...view.shift, weight]);
  expect(six).toEqual([
    [false, 0, 0, 0.25],
    [true, 0, 0, 0.25],
    [false, 1, 1, 0.125],
    [true, 1, 1, 0.125],
    [false, -1, -1, 0.125],
    [true, -1, -1, 0.125],
  ]);
});
