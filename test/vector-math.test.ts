import { describe, expect, test } from 'vitest';
import type { DeviceArray, ProductShape, VectorMath } from '../src/engine/engine.ts';
import { vectorMath as reference } from '../src/engine/reference/vector-math.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import { resolveConfig } from '../src/train/config.ts';
import { createSgd } from '../src/train/optimizers/sgd.ts';
import { normal, streamKey } from '../src/util/random.ts';
import { fill } from './arrays.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

const b = new NetworkBuilder('tiny', [3, 4, 4]);
const network = b.build(b.dense('logits', b.input, { features: 2 }));
const onednn = await loadOnednn();
const plan = await onednn?.compileTraining(network, { batchSize: 1 });

/** Each operation on two arrays, run with a factor. */
const operations: Readonly<Record<string, (math: VectorMath, x: DeviceArray, y: DeviceArray) => (factor: number) => void>> = {
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
  'approach, rounded once': ({ approach }, x, y) => approach(x, y, 'once'),
  copy: ({ copy }, x, y) => copy(x, y),
  fill: ({ fill: fillWith }, _, y) => fillWith(y),
  clearWhere: ({ clearWhere, allocate, copy }, x, y) => {
    const mask = allocate(x.length);
    copy(x, mask)();
    return clearWhere(mask, y);
  },
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
  addOverRoot({ addOverRoot, allocate, multiplyAdd, multiply }, x, y) {
    const squares = allocate(x.length);
    multiplyAdd(x, [], squares)([4]);
    multiply(x, squares)();
    const run = addOverRoot(x, squares, y);
    return (factor) => {
      run({ scale: 0.25, epsilon: 1, step: factor, keep: 0.5 });
    };
  },
};

async function arrayOf(math: VectorMath, values: Float32Array): Promise<DeviceArray> {
  const array = math.allocate(values.length);
  await array.write(values);
  return array;
}

test.each([
  ['multiplyAdd', [4, 8]],
  ['multiplyAdd of two', [-0.5, -1]],
  ['approach', [28, 56]],
  ['approach, rounded once', [28, 56]],
  ['copy', [1, 2]],
  ['fill', [-2, -2]],
  ['multiply', [10, 40]],
  // 10 - 0.25 * (1 - 10), 20 - 0.25 * (4 - 20)
  ['approachSquare', [12.25, 24]],
  // -2 / (sqrt(5) + 1)
  ['scaleToNorm', [Math.fround(-2 / (Math.sqrt(5) + 1)), Math.fround(-4 / (Math.sqrt(5) + 1))]],
  // 5 - 2 * 1 / (1 + 1), 10 - 2 * 2 / (2 + 1)
  ['addOverRoot', [4, Math.fround(26 / 3)]],
])('%s does what it says', async (operation, expected) => {
  const x = await arrayOf(reference, Float32Array.of(1, 2));
  const y = await arrayOf(reference, Float32Array.of(10, 20));
  operations[operation]!(reference, x, y)(-2);
  expect([...(await y.read())]).toEqual(expected);
});

const maths: readonly (readonly [string, VectorMath | undefined])[] = [
  ['the reference engine', reference],
  ['oneDNN', plan?.vectorMath],
];

describe.each(maths)('%s', (_, math) => {
  const why = math === undefined ? noOnednn : undefined;

  test.skipIf(why)(skippable('clears to zero, not to -0 or to no number', why), async () => {
    const mask = await arrayOf(math!, Float32Array.of(0, 1, 0, 0));
    const y = await arrayOf(math!, Float32Array.of(-3, -4, NaN, Infinity));
    math!.clearWhere(mask, y)();
    expect([...(await y.read())]).toEqual([0, -4, 0, 0]);
  });

  test.skipIf(why)(skippable('sums squares of several arrays, and tells what is not finite', why), async () => {
    const one = await arrayOf(math!, Float32Array.of(1, 2, -3));
    const other = await arrayOf(math!, Float32Array.of(0.5));
    expect([...(await math!.sumsOfSquares([one, other, one.part(1, 1)])())]).toEqual([14, 0.25, 0]);
    const allFinite = math!.allFinite(one);
    expect(await allFinite()).toBe(true);
    await one.part(1, 2).write(Float32Array.of(NaN));
    expect(await allFinite()).toBe(false);
    await one.part(1, 2).write(Float32Array.of(-Infinity));
    expect(await allFinite()).toBe(false);
  });

  test.skipIf(why)(skippable('a part is the same memory, what is read is a copy', why), async () => {
    const array = await arrayOf(math!, Float32Array.of(1, 2, 3, 4));
    const read = await array.read();
    const part = array.part(1, 3);
    expect(part.length).toBe(2);
    await part.write(Float32Array.of(8, 9));
    expect([...(await array.read())]).toEqual([1, 8, 9, 4]);
    expect([...read]).toEqual([1, 2, 3, 4]);
    await expect(part.write(Float32Array.of(1))).rejects.toThrow('1 values for an array of 2');
    const staged = part.stage();
    await staged.fetch();
    staged.host[0] = 5;
    await staged.store();
    expect([...(await array.read())]).toEqual([1, 5, 9, 4]);
  });
});

test.skipIf(plan === undefined)(skippable('arrays of two engines do not meet', noOnednn), () => {
  const [own, foreign] = [plan!.vectorMath.allocate(2), reference.allocate(2)];
  expect(() => plan!.vectorMath.copy(foreign, own)).toThrow('an array of the engine reference cannot be used by onednn');
  expect(() => reference.multiply(own, foreign)).toThrow('an array of the engine onednn cannot be used by reference');
});

test("the reference engine's arrays give nobody their elements", () => {
  const array = reference.allocate(3);
  expect(Object.values(array)).not.toContainEqual(expect.any(Float32Array));
  expect(array.stage().direct).toBe(false);
});

const whyNot = plan === undefined ? noOnednn : undefined;

/** Two matrices of normal numbers, and room for their product. */
function matrices({ rows, inner, columns }: ProductShape): [Float32Array, Float32Array, Float32Array] {
  const lengths = [rows * inner, inner * columns, rows * columns] as const;
  const made = lengths.map((length) => Float32Array.from({ length }, (_, i) => normal(streamKey(2, 'matrix', length), i)));
  return made as [Float32Array, Float32Array, Float32Array];
}

test('a product of matrices, of either transposed, beside what was there', async () => {
  const x = await arrayOf(reference, Float32Array.of(1, 2, 3, 4, 5, 6));
  const c = await arrayOf(reference, Float32Array.of(1, 0, 0, 1));
  // [1 2 3; 4 5 6] times its transpose
  reference.product(x, x, c, { rows: 2, inner: 3, columns: 2, transposeB: true })(0.5, 2);
  expect([...(await c.read())]).toEqual([9, 16, 16, 40.5]);
  // [1 2; 3 4; 5 6] transposed times itself
  reference.product(x, x, c, { rows: 2, inner: 3, columns: 2, transposeA: true })(1, 0);
  expect([...(await c.read())]).toEqual([35, 44, 44, 56]);
});

describe.skipIf(whyNot)(skippable('oneDNN', whyNot), () => {
  test.each([
    { rows: 1, inner: 1, columns: 1 },
    { rows: 5, inner: 17, columns: 3, transposeA: true },
    { rows: 24, inner: 33, columns: 65, transposeB: true },
    { rows: 64, inner: 300, columns: 64, transposeA: true, transposeB: true },
  ])('products agree with plain loops: %o', async (shape) => {
    const made = matrices(shape);
    const on = async (math: VectorMath) => Promise.all(made.map((values) => arrayOf(math, values)));
    const [a, b, c] = (await on(plan!.vectorMath)) as [DeviceArray, DeviceArray, DeviceArray];
    const [plainA, plainB, plainC] = (await on(reference)) as [DeviceArray, DeviceArray, DeviceArray];
    for (const [alpha, beta] of [
      [1, 0],
      [-0.5, 2],
    ] as const) {
      plan!.vectorMath.product(a, b, c, shape)(alpha, beta);
      reference.product(plainA, plainB, plainC, shape)(alpha, beta);
    }
    const expected = await plainC.read();
    (await c.read()).forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4);
    });
    expect(() => plan!.vectorMath.product(b, a, c, { ...shape, inner: 2 })).toThrow(/matrices of .* elements must have/);
  });

  test.each(Object.keys(operations).flatMap((name) => [0, 1, 15, 16, 100, 50_001].map((length) => [name, length] as const)))(
    '%s of %i elements, twice with different factors, agrees with plain loops',
    async (name, length) => {
      const key = streamKey(1, name, length);
      const x = Float32Array.from({ length }, (_, i) => normal(key, i));
      const y = Float32Array.from({ length }, (_, i) => normal(key, length + i));
      const { vectorMath } = plan!;
      const own = await arrayOf(vectorMath, y);
      const expected = await arrayOf(reference, y);
      const run = operations[name]!(vectorMath, await arrayOf(vectorMath, x), own);
      const runReference = operations[name]!(reference, await arrayOf(reference, x), expected);
      for (const factor of [0.25, -3]) {
        run(factor);
        runReference(factor);
      }
      const values = await expected.read();
      (await own.read()).forEach((value, i) => {
        expect(Math.abs(value - values[i]!)).toBeLessThan(1e-5);
      });
    },
  );

  test.each([
    { momentum: 0, nesterov: false },
    { momentum: 0.5, nesterov: true },
  ])('a decay and a gradient that are too small by themselves change a parameter together: %o', async (options) => {
    const { parameters } = plan!;
    await fill(parameters.values, 1);
    // Below 1, float32 has steps of 6e-8: less than half of one is lost.
    const small = 2e-8 / (1 + options.momentum);
    await fill(parameters.gradients, small);
    const rules = resolveConfig({ model: 'tuto', weightDecay: { rule: 'coupled', value: small } });
    createSgd({ plan: plan!, rules }, options).step(1, 0, 1);
    const { offset, length } = parameters.entries.find(({ spec }) => spec.name === 'logits.weight')!;
    expect(new Set(await parameters.values.part(offset, offset + length).read())).toEqual(new Set([1 - 2 ** -24]));
  });

  test('arrays of different lengths are refused', () => {
    const multiply = () => plan!.vectorMath.multiply(plan!.vectorMath.allocate(3), plan!.vectorMath.allocate(4));
    expect(multiply).toThrow(/arrays of 3 and 4 elements/);
  });
});
