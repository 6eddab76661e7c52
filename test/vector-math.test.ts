import { describe, expect, test } from 'vitest';
import type { VectorMath } from '../src/engine/engine.ts';
import { vectorMath as reference } from '../src/engine/reference/vector-math.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import { normal, streamKey } from '../src/util/random.ts';
import { loadOnednn } from './load-onednn.ts';

const b = new NetworkBuilder('tiny', [3, 4, 4]);
const network = b.build(b.dense('logits', b.input, { features: 2 }));
const onednn = await loadOnednn();
const plan = onednn?.compileTraining(network, { batchSize: 1 });

test('the operations do what they say', () => {
  const x = Float32Array.of(1, 2);
  const apply = (operation: keyof VectorMath, factor: number): number[] => {
    const y = Float32Array.of(10, 20);
    reference[operation](x, y)(factor);
    return [...y];
  };
  expect(apply('addScaled', -2)).toEqual([8, 16]);
  expect(apply('scaleAndAdd', 0.5)).toEqual([6, 12]);
  expect(apply('approach', 0.5)).toEqual([5.5, 11]);
  expect(apply('multiply', 1)).toEqual([10, 40]);
});

describe.skipIf(plan === undefined)('oneDNN', () => {
  const operations = ['addScaled', 'scaleAndAdd', 'approach', 'multiply'] as const;

  test.each(operations.flatMap((operation) => [0, 1, 15, 16, 100, 50_001].map((length) => [operation, length] as const)))(
    '%s of %i elements, twice with different factors, agrees with plain loops',
    (operation, length) => {
      const key = streamKey(1, operation, length);
      const x = Float32Array.from({ length }, (_, i) => normal(key, i));
      const y = Float32Array.from({ length }, (_, i) => normal(key, length + i));
      const expected = y.slice();
      const run = plan!.vectorMath[operation](x, y);
      const runReference = reference[operation](x, expected);
      for (const factor of [0.25, -3]) {
        run(factor);
        runReference(factor);
      }
      y.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
      });
    },
  );

  test('arrays of different lengths are refused', () => {
    expect(() => plan!.vectorMath.addScaled(new Float32Array(3), new Float32Array(4))).toThrow(/arrays of 3 and 4 elements/);
  });
});
