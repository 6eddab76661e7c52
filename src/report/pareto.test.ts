import { expect, test } from 'vitest';
import { placeLabels } from './figures/label-placement.ts';
import { paretoFront } from './pareto.ts';

const names = (points: readonly { readonly name: string }[]) => points.map(({ name }) => name);

test('the front has those that none beats in both cost and accuracy, by cost', () => {
  const points = [
    { name: 'large', cost: 100, accuracy: 0.9 },
    { name: 'wasteful', cost: 90, accuracy: 0.7 },
    { name: 'small', cost: 10, accuracy: 0.7 },
    { name: 'middle', cost: 50, accuracy: 0.8 },
    { name: 'equal to middle', cost: 50, accuracy: 0.8 },
    { name: 'same cost, worse', cost: 10, accuracy: 0.6 },
  ];
  expect(names(paretoFront(points))).toEqual(['small', 'middle', 'large']);
  expect(paretoFront([])).toEqual([]);
});

test('names keep clear of each other, of points and of lines', () => {
  const points = [
    { name: 'first of two near', x: 100, y: 100 },
    { name: 'second of two near', x: 108, y: 104 },
    { name: 'in the corner', x: 298, y: 3 },
    { x: 60, y: 60 },
  ];
  const line = { left: 0, right: 300, top: 99, bottom: 101 };
  const placed = placeLabels(points, { width: 300, height: 200 }, [line]);
  const boxes = placed.map(({ name, x, y }) => ({ left: x, right: x + 6.4 * name.length, top: y - 6.5, bottom: y + 6.5 }));
  for (const box of boxes) {
    expect(box.left).toBeGreaterThanOrEqual(0);
    expect(box.right).toBeLessThanOrEqual(300);
    for (const other of [...boxes, line]) {
      const apart =
        box === other || box.right <= other.left || other.right <= box.left || box.bottom <= other.top || other.bottom <= box.top;
      expect(apart).toBe(true);
    }
  }
});

test('an optional name is left out rather than put where it could be taken for that of another point', () => {
  const crowd = Array.from({ length: 9 }, (_, i) => ({ x: 100 + 30 * (i % 3), y: 80 + 14 * Math.floor(i / 3) }));
  const middle = { name: 'in the middle', x: 130, y: 94 };
  const size = { width: 260, height: 200 };
  const [given] = placeLabels([middle, ...crowd], size);
  expect(given!.name).toBe('in the middle');
  expect(placeLabels([{ ...middle, optional: true }, ...crowd], size)).toEqual([]);
  expect(placeLabels([{ ...middle, optional: true }], size)).toEqual([{ name: 'in the middle', x: 137, y: 94 }]);
});
