import { expect, test } from 'vitest';
import { change, fill } from '../../test/arrays.ts';
import type { DeviceArray } from '../engine/engine.ts';
import { createPlainArena } from '../engine/reference/arena.ts';
import { vectorMath } from '../engine/reference/vector-math.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { createLookahead } from './lookahead.ts';

function twoParameters() {
  const b = new NetworkBuilder('net', [1, 1, 1]);
  const x = b.batchNorm('n', b.input, { scale: false, shift: false });
  const network = b.build(b.dense('d', x, { features: 1, bias: false }));
  return createPlainArena(network.parameters, { gradients: true });
}

async function first(array: DeviceArray): Promise<number> {
  return (await array.read())[0]!;
}

test('every second step of six, worked by hand; statistics are averaged too', async () => {
  const arena = twoParameters();
  const plan = { parameters: arena, vectorMath };
  expect(arena.entries.map(({ spec }) => spec.name)).toEqual(['d.weight', 'n.mean', 'n.variance']);
  await arena.values.write(Float32Array.of(1, 10, 100));
  const lookahead = createLookahead(plan, { every: 2, decay: 0.9, power: 1 });
  const seen: number[][] = [];
  for (let step = 1; step <= 7; step++) {
    // Training moves everything up by one.
    await change(arena.values, (value) => value + 1);
    lookahead.update(step, 7);
    seen.push([await first(arena.values), await first(lookahead.slow)]);
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
  const [weight, mean, variance] = (await arena.values.read()) as unknown as [number, number, number];
  expect(mean - weight).toBeCloseTo(9, 4);
  expect(variance - weight).toBeCloseTo(99, 4);
});

test("airbench94's decay: 0.95^5 (t / T)^3, so the first updates hardly remember", async () => {
  const arena = twoParameters();
  const plan = { parameters: arena, vectorMath };
  await fill(arena.values, 0);
  const lookahead = createLookahead(plan, { every: 5, decay: 0.95 ** 5, power: 3 });
  await fill(arena.values, 1);
  lookahead.update(5, 476);
  expect(1 - (await first(lookahead.slow))).toBeCloseTo(0.95 ** 5 * (5 / 476) ** 3, 6);
  await fill(arena.values, 2);
  lookahead.update(475, 476);
  expect(2 - (await first(lookahead.slow))).toBeCloseTo(0.95 ** 5 * (475 / 476) ** 3, 5);
});
