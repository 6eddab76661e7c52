import { expect, test } from 'vitest';
import { createPlainArena } from '../engine/reference/arena.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { createLookahead } from './lookahead.ts';

function twoParameters() {
  const b = new NetworkBuilder('net', [1, 1, 1]);
  const x = b.batchNorm('n', b.input, { scale: false, shift: false });
  const network = b.build(b.dense('d', x, { features: 1, bias: false }));
  return createPlainArena(network.parameters, { gradients: true });
}

test('every second step of six, worked by hand; statistics are averaged too', () => {
  const arena = twoParameters();
  expect(arena.entries.map(({ spec }) => spec.name)).toEqual(['d.weight', 'n.mean', 'n.variance']);
  arena.values.set([1, 10, 100]);
  const lookahead = createLookahead(arena, { every: 2, decay: 0.9, power: 1 });
  const seen: number[][] = [];
  for (let step = 1; step <= 7; step++) {
    // Training moves everything up by one.
    arena.values.forEach((value, i, all) => (all[i] = value + 1));
    lookahead.update(step, 7);
    seen.push([arena.values[0]!, lookahead.slow[0]!]);
  }
  const rounded = seen.map((pair) => pair.map((value) => Number(value.toFixed(5))));
  // d = 0.9 * 2/7 at step 2: slow = 1 + (1 - 0.257143) * (3 - 1) = 2.485714. Step 4: d = 0.514286, slow += 0.485714 * 2 = 3.457143.
  // Step 6: d = 0.771429, slow += 0.228571 * 2 = 3.914286. Step 7 is the last: back to the slow weights.
  expect(rounded).toEqual([
    [2, 1],
    [2.48571, 2.48571],
    [3.48571, 2.48571],
    [3.45714, 3.45714],
    [4.45714, 3.45714],
    [3.91429, 3.91429],
    [3.91429, 3.91429],
  ]);
  expect(arena.values[1]! - arena.values[0]!).toBeCloseTo(9, 4);
  expect(arena.values[2]! - arena.values[0]!).toBeCloseTo(99, 4);
});

test("airbench94's decay: 0.95^5 (t / T)^3, so the first updates hardly remember", () => {
  const arena = twoParameters();
  arena.values.fill(0);
  const lookahead = createLookahead(arena, { every: 5, decay: 0.95 ** 5, power: 3 });
  arena.values.fill(1);
  lookahead.update(5, 476);
  expect(1 - lookahead.slow[0]!).toBeCloseTo(0.95 ** 5 * (5 / 476) ** 3, 6);
  arena.values.fill(2);
  lookahead.update(475, 476);
  expect(2 - lookahead.slow[0]!).toBeCloseTo(0.95 ** 5 * (475 / 476) ** 3, 5);
});
