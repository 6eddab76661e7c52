import { expect, test } from 'vitest';
import { createBackgroundSum, cutIntoParts, type PartSum } from './background-sum.ts';

test('parts end at boundaries, are large enough, and the front is what remains', () => {
  expect(cutIntoParts(100, [0, 10, 40, 70, 95], 20)).toEqual([
    { start: 70, end: 100 },
    { start: 40, end: 70 },
    { start: 10, end: 40 },
    { start: 0, end: 10 },
  ]);
  expect(cutIntoParts(100, [], 20)).toEqual([{ start: 0, end: 100 }]);
  expect(cutIntoParts(0, [], 20)).toEqual([]);
});

test('parts begin in order when they are final, and again in the next round', () => {
  const begun: number[] = [];
  const sums = cutIntoParts(100, [0, 10, 40, 70], 20).map((part): PartSum => ({
    part,
    begin: () => begun.push(part.start),
    isDone: () => true,
  }));
  let completed: number[] = [];
  const complete = (operations: readonly unknown[]) => {
    completed = (operations as PartSum[]).map(({ part }) => part.start);
  };
  const sum = createBackgroundSum(sums, true, complete);
  sum.advance(80);
  expect(begun).toEqual([]);
  sum.advance(40);
  expect(begun).toEqual([70, 40]);
  sum.finish();
  expect(begun).toEqual([70, 40, 10, 0]);
  expect(completed).toEqual([10, 0]);
  const later = createBackgroundSum(sums, false, complete);
  begun.length = 0;
  later.advance(0);
  expect(begun).toEqual([]);
  later.finish();
  expect(begun).toEqual([70, 40, 10, 0]);
});
