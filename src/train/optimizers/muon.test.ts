import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fill } from '../../../test/arrays.ts';
import type { DeviceArray } from '../../engine/engine.ts';
import { createPlainArena } from '../../engine/reference/arena.ts';
import { vectorMath } from '../../engine/reference/vector-math.ts';
import type { ParameterRole, ParameterSpec } from '../../nn/parameter.ts';
import { symmetricEigen } from '../../util/symmetric-eigen.ts';
import { createMuon, createOrthogonalization } from './muon.ts';

type Name = 'wide' | 'tall' | 'shift' | 'head';

interface Recorded {
  readonly rates: { readonly filters: number; readonly shift: number; readonly head: number };
  readonly decay: number;
  readonly momentum: number;
  readonly otherMomentum: number;
  readonly steps: readonly Readonly<Record<Name, readonly number[]>>[];
}

const record = new URL('../../../test/pytorch/optimizers.json', import.meta.url);
const { muon } = JSON.parse(readFileSync(record, 'utf8')) as { readonly muon: Recorded };

/** As in test/pytorch/optimizers.py. */
function series(count: number, phase: number, factor = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => factor * Math.sin((i + 1) ** 2 + phase));
}

function specOf(name: Name, role: ParameterRole, shape: readonly number[]): ParameterSpec {
  const initializer = { type: 'constant', value: 0 } as const;
  return {
    ...{ name: `${name}.${role}`, layer: name, role, kind: 'trainable', shape, fanIn: 1, fanOut: 1, initializer },
    regularized: false,
  };
}

test('eight steps are those of airbench94_muon.py in PyTorch', async () => {
  const specs = [
    specOf('wide', 'weight', [4, 2, 3, 3]),
    specOf('shift', 'shift', [6]),
    specOf('tall', 'weight', [6, 1, 2, 2]),
    specOf('head', 'weight', [2, 6]),
  ];
  const arena = createPlainArena(specs, { gradients: true });
  const set = async (into: DeviceArray, values: Readonly<Record<Name, Float32Array>>): Promise<void> => {
    for (const entry of arena.entries) await arena.write(entry, values[entry.spec.layer as Name], into);
  };
  await set(arena.values, { wide: series(72, 0.5), tall: series(24, 1.5), shift: series(6, 2.5), head: series(12, 3.5) });
  const { rates, momentum, otherMomentum } = muon;
  const rules = {
    weightDecay: { rule: 'independent', value: muon.decay },
    learningRateMultipliers: { weight: 1, bias: 1, scale: 1, shift: rates.shift / rates.head },
    learningRate: rates.filters,
    trainWhiteningBias: 1,
  } as const;
  const options = { momentum, nesterov: true, iterations: 3, otherLearningRate: rates.head, otherMomentum };
  const optimizer = createMuon({ plan: { parameters: arena, vectorMath }, rules }, options);
  expect(optimizer.decayed.map(({ entry }) => entry.spec.layer)).toEqual(['shift', 'head']);
  expect(muon.steps).toHaveLength(8);
  for (const [step, expected] of muon.steps.entries()) {
    await set(arena.gradients, {
      ...{ wide: series(72, 4 + step), tall: series(24, 5 + step) },
      ...{ shift: series(6, 6 + step, 0.01), head: series(12, 7 + step, 0.01) },
    });
    optimizer.step(rates.filters * (1 - step / 8), step, 8);
    for (const entry of arena.entries) {
      (await arena.read(entry, arena.values)).forEach((value, i) => {
        expect(Math.abs(value - expected[entry.spec.layer as Name][i]!), `${entry.spec.name} ${step}`).toBeLessThan(2e-5);
      });
    }
  }
});

describe('one step by hand', () => {
  const rulesOf = (weight = 1) => ({
    weightDecay: { rule: 'none', value: 0 } as const,
    learningRateMultipliers: { weight, bias: 1, scale: 1, shift: 1 },
    learningRate: 0.4,
    trainWhiteningBias: 0.5,
  });
  const options = { momentum: 0.5, nesterov: true, iterations: 1, otherLearningRate: 0.2, otherMomentum: 0.5 };

  test('the early rate of a bias that is frozen later is scaled as that of all others; filters alone are filters', async () => {
    const whitening = { type: 'whitening', examples: 1, epsilon: 1 } as const;
    const specs: ParameterSpec[] = [
      { ...specOf('wide', 'weight', [1, 1, 1, 1]), kind: 'frozen', initializer: whitening },
      specOf('wide', 'bias', [1]),
      // A layer of the user's own may have scales of any shape.
      specOf('shift', 'scale', [1, 2, 1, 1]),
    ];
    const arena = createPlainArena(specs, { gradients: true });
    await fill(arena.values, 2);
    await fill(arena.gradients, 1);
    // d = 1 + 0.5 * 1, at half the rates: 0.8 * 0.5 early, 0.4 * 0.5.
    createMuon({ plan: { parameters: arena, vectorMath }, rules: rulesOf() }, options).step(0.4, 0, 10, 0.8);
    const expected = [2, 2 - 1.5 * 0.4, 2 - 1.5 * 0.2, 2 - 1.5 * 0.2];
    expect([...(await arena.values.read())]).toEqual(expected.map((value) => expect.closeTo(value, 6) as number));
  });

  test.each([true, false])('nesterov: %s', async (nesterov) => {
    const arena = createPlainArena([specOf('wide', 'weight', [1, 2, 1, 1])], { gradients: true });
    const { step } = createMuon({ plan: { parameters: arena, vectorMath }, rules: rulesOf() }, { ...options, nesterov });
    // A single filter: the iteration leaves its direction, and makes its length a + b + c.
    const length = 3.4445 - 4.775 + 2.0315;
    const direction = (x: number, y: number) => [x, y].map((value) => value / Math.hypot(x, y)) as [number, number];
    let w: [number, number] = [3, 4];
    await arena.values.write(Float32Array.from(w));
    const takeStep = async (gradient: readonly number[], d: [number, number]): Promise<void> => {
      await arena.gradients.write(Float32Array.from(gradient));
      step(0.1, 0, 10);
      const [u, v] = [direction(...w), direction(...d)];
      w = [u[0] - 0.1 * length * v[0], u[1] - 0.1 * length * v[1]];
      expect([...(await arena.values.read())]).toEqual(w.map((value) => expect.closeTo(value, 5) as number));
    };
    await takeStep([1, 0], [1, 0]);
    // m = 0.5 * (1, 0) + (0, 1), and with Nesterov's look ahead (0, 1) + 0.5 m.
    await takeStep([0, 1], nesterov ? [0.25, 1.5] : [0.5, 1]);
  });
});

describe('orthogonalization', () => {
  /** Singular values of `[rows, columns]` with their left vectors, by the eigenvectors of x x'. */
  function gram(x: Float32Array, rows: number, columns: number): Float64Array {
    const product = new Float64Array(rows * rows);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < rows; j++) {
        for (let k = 0; k < columns; k++) product[i * rows + j]! += x[i * columns + k]! * x[j * columns + k]!;
      }
    }
    return product;
  }

  test.each([
    [5, 9],
    [9, 5],
    [6, 6],
    [1, 7],
  ])('of a %i x %i matrix keeps its singular vectors and brings its singular values near 1', async (rows, columns) => {
    const before = series(rows * columns, 0.7);
    const matrix = vectorMath.allocate(before.length);
    await matrix.write(before);
    createOrthogonalization(vectorMath, matrix, [rows, columns], 5)();
    const x = await matrix.read();
    const side = Math.min(rows, columns);
    const { values } = symmetricEigen(gram(x, rows, columns), rows);
    for (const value of [...values].sort((a, b) => b - a).slice(0, side)) {
      expect(Math.sqrt(value)).toBeGreaterThan(0.6);
      expect(Math.sqrt(value)).toBeLessThan(1.3);
    }
    // With the same singular vectors, x y' is symmetric.
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < i; j++) {
        let difference = 0;
        for (let k = 0; k < columns; k++) {
          difference += x[i * columns + k]! * before[j * columns + k]! - x[j * columns + k]! * before[i * columns + k]!;
        }
        expect(Math.abs(difference)).toBeLessThan(1e-4);
      }
    }
  });

  test('of nothing but zeros is nothing but zeros', async () => {
    const x = vectorMath.allocate(6);
    createOrthogonalization(vectorMath, x, [2, 3], 3)();
    expect([...(await x.read())]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});
