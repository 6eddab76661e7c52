import { describe, expect, test } from 'vitest';
import type { ProductShape, VectorMath } from '../src/engine/engine.ts';
import { vectorMath as reference } from '../src/engine/reference/vector-math.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import { resolveConfig } from '../src/train/config.ts';
import { createSgd } from '../src/train/optimizers/sgd.ts';
import { normal, streamKey } from '../src/util/random.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

const b = new NetworkBuilder('tiny', [3, 4, 4]);
const network = b.build(b.dense('logits', b.input, { features: 2 }));
const onednn = await loadOnednn();
const plan = onednn?.compileTraining(network, { batchSize: 1 });

/** Each operation on two arrays, run with a factor. */
const operations: Readonly<Record<string, (math: VectorMath, x: Float32Array, y: Float32Array) => (factor: number) => void>> = {
  multiplyAdd: ({ multiplyAdd }, x, y) => {
    const run = multiplyAdd(x, [y], y);
    return (factor) => {
      run([factor, 0.5]);
    };
  },
  'multiplyAdd of two': ({ multiplyAdd }, x, y) => {
    const run = multiplyAdd(y, [x, y], y);
    return (factor) => {
      run([factor, 0.5, -1]);
    };
  },
  approach: ({ approach }, x, y) => approach(x, y),
  multiply: ({ multiply }, x, y) => multiply(x, y),
  approachSquare({ approachSquare }, x, y) {
    const run = approachSquare(x, y);
    return (factor) => {
      run(factor / 8);
    };
  },
  scaleToNorm({ scaleToNorm }, x, y) {
    const run = scaleToNorm(x, y);
    return (factor) => {
      run(factor, 1);
    };
  },
  addOverRoot({ addOverRoot }, x, y) {
    const squares = x.map((value) => 4 * value * value);
    const run = addOverRoot(x, squares, y);
    return (factor) => {
      run({ scale: 0.25, epsilon: 1, step: factor, keep: 0.5 });
    };
  },
};

test.each([
  ['multiplyAdd', [4, 8]],
  ['multiplyAdd of two', [-0.5, -1]],
  ['approach', [28, 56]],
  ['multiply', [10, 40]],
  // 10 - 0.25 * (1 - 10), 20 - 0.25 * (4 - 20)
  ['approachSquare', [12.25, 24]],
  // -2 / (sqrt(5) + 1)
  ['scaleToNorm', [Math.fround(-2 / (Math.sqrt(5) + 1)), Math.fround(-4 / (Math.sqrt(5) + 1))]],
  // 5 - 2 * 1 / (1 + 1), 10 - 2 * 2 / (2 + 1)
  ['addOverRoot', [4, Math.fround(26 / 3)]],
])('%s does what it says', (operation, expected) => {
  const x = Float32Array.of(1, 2);
  const y = Float32Array.of(10, 20);
  operations[operation]!(reference, x, y)(-2);
  expect([...y]).toEqual(expected);
});

const whyNot = plan === undefined ? noOnednn : undefined;

/** Two matrices of normal numbers, and room for their product. */
function matrices({ rows, inner, columns }: ProductShape): [Float32Array, Float32Array, Float32Array] {
  const lengths = [rows * inner, inner * columns, rows * columns] as const;
  const made = lengths.map((length) => Float32Array.from({ length }, (_, i) => normal(streamKey(2, 'matrix', length), i)));
  return made as [Float32Array, Float32Array, Float32Array];
}

test('a product of matrices, of either transposed, beside what was there', () => {
  const x = Float32Array.of(1, 2, 3, 4, 5, 6);
  const c = Float32Array.of(1, 0, 0, 1);
  // [1 2 3; 4 5 6] times its transpose
  reference.product(x, x, c, { rows: 2, inner: 3, columns: 2, transposeB: true })(0.5, 2);
  expect([...c]).toEqual([9, 16, 16, 40.5]);
  // [1 2; 3 4; 5 6] transposed times itself
  reference.product(x, x, c, { rows: 2, inner: 3, columns: 2, transposeA: true })(1, 0);
  expect([...c]).toEqual([35, 44, 44, 56]);
});

describe.skipIf(whyNot)(skippable('oneDNN', whyNot), () => {
  test.each([
    { rows: 1, inner: 1, columns: 1 },
    { rows: 5, inner: 17, columns: 3, transposeA: true },
    { rows: 24, inner: 33, columns: 65, transposeB: true },
    { rows: 64, inner: 300, columns: 64, transposeA: true, transposeB: true },
  ])('products agree with plain loops: %o', (shape) => {
    const [a, b, c] = matrices(shape);
    const expected = c.slice();
    for (const [alpha, beta] of [
      [1, 0],
      [-0.5, 2],
    ] as const) {
      plan!.vectorMath.product(a, b, c, shape)(alpha, beta);
      reference.product(a, b, expected, shape)(alpha, beta);
    }
    c.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4);
    });
    expect(() => plan!.vectorMath.product(b, a, c, { ...shape, inner: 2 })).toThrow(/matrices of .* elements must have/);
  });

  test.each(Object.keys(operations).flatMap((name) => [0, 1, 15, 16, 100, 50_001].map((length) => [name, length] as const)))(
    '%s of %i elements, twice with different factors, agrees with plain loops',
    (name, length) => {
      const key = streamKey(1, name, length);
      const x = Float32Array.from({ length }, (_, i) => normal(key, i));
      const y = Float32Array.from({ length }, (_, i) => normal(key, length + i));
      const expected = y.slice();
      const run = operations[name]!(plan!.vectorMath, x, y);
      const runReference = operations[name]!(reference, x, expected);
      for (const factor of [0.25, -3]) {
        run(factor);
        runReference(factor);
      }
      y.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
      });
    },
  );

  test.each([
    { momentum: 0, nesterov: false },
    { momentum: 0.5, nesterov: true },
  ])('a decay and a gradient that are too small by themselves change a parameter together: %o', (options) => {
    const { parameters } = plan!;
    parameters.values.fill(1);
    // Below 1, float32 has steps of 6e-8: less than half of one is lost.
    const small = 2e-8 / (1 + options.momentum);
    parameters.gradients.fill(small);
    const rules = resolveConfig({ model: 'tuto', weightDecay: { rule: 'coupled', value: small } });
    createSgd({ plan: plan!, rules }, options).step(1, 0, 1);
    const { offset, length } = parameters.entries.find(({ spec }) => spec.name === 'logits.weight')!;
    expect(new Set(parameters.values.subarray(offset, offset + length))).toEqual(new Set([1 - 2 ** -24]));
  });

  test('arrays of different lengths are refused', () => {
    const multiply = () => plan!.vectorMath.multiply(new Float32Array(3), new Float32Array(4));
    expect(multiply).toThrow(/arrays of 3 and 4 elements/);
  });
});
