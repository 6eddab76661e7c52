import { expect, test } from 'vitest';
import type { ArenaEntry, ParameterArena } from '../../engine/engine.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { decayedParameters, segmentsOf, type RateMultipliers, type WeightDecay } from './segments.ts';
import { createSgd, type SgdOptions } from './sgd.ts';

const alike: RateMultipliers = { weight: 1, bias: 1, scale: 1, shift: 1 };
const none: WeightDecay = { rule: 'none', value: 0 };

function spec(name: string, length: number, change: Partial<ParameterSpec> = {}): ParameterSpec {
  const role = name.split('.')[1] as ParameterSpec['role'];
  const initializer = { type: 'constant', value: 0 } as const;
  return {
    name,
    layer: 'a',
    role,
    kind: 'trainable',
    shape: [length],
    fanIn: 1,
    fanOut: 1,
    initializer,
    starred: false,
    ...change,
  };
}

/** An arena of the specs one behind the other, everything at `value`, all gradients at `gradient`. */
function arenaOf(specs: readonly ParameterSpec[], value: number, gradient: number): ParameterArena {
  let length = 0;
  const entries: ArenaEntry[] = specs.map((one) => ({
    spec: one,
    offset: (length += one.shape[0]!) - one.shape[0]!,
    length: one.shape[0]!,
  }));
  return {
    entries,
    length,
    trainableLength: length,
    values: new Float32Array(length).fill(value),
    gradients: new Float32Array(length).fill(gradient),
    allocate: () => new Float32Array(length),
    read: (entry, from) => from.slice(entry.offset, entry.offset + entry.length),
    write: (entry, plain, into) => into.set(plain, entry.offset),
  };
}

/** One weight at 2 with gradient 1, then 0.5, at learning rate 0.1, average decay 0.9: [value, average] after each step. */
function twoSteps(options: SgdOptions, decay: WeightDecay, averaging = true, multipliers = alike): number[][] {
  const arena = arenaOf([spec('a.weight', 1, { starred: true })], 2, 1);
  const average = averaging ? arena.values.slice() : undefined;
  const optimizer = createSgd(arena, segmentsOf(arena, decay, multipliers), options, average);
  const seen: number[][] = [];
  for (const gradient of [1, 0.5]) {
    arena.gradients.fill(gradient);
    optimizer.step(0.1, 0.9);
    seen.push([arena.values[0]!, ...(average ?? [])].map((value) => Number(value.toFixed(6))));
  }
  return seen;
}

// Worked by hand. w0 = 2, average0 = 2, r = 0.1.
test.each<[string, SgdOptions, WeightDecay, number[][]]>([
  // w1 = 2 - 0.1 * 1; w2 = 1.9 - 0.1 * 0.5; average1 = 2 + 0.1 * (1.9 - 2); average2 = 1.99 + 0.1 * (1.85 - 1.99)
  [
    'plain',
    { momentum: 0, nesterov: false },
    none,
    [
      [1.9, 1.99],
      [1.85, 1.976],
    ],
  ],
  // g1 = 1 + 0.5 * 2 = 2, w1 = 1.8; g2 = 0.5 + 0.5 * 1.8 = 1.4, w2 = 1.66
  [
    'coupled',
    { momentum: 0, nesterov: false },
    { rule: 'coupled', value: 0.5 },
    [
      [1.8, 1.98],
      [1.66, 1.948],
    ],
  ],
  // one element: the study's value / 1
  [
    'study',
    { momentum: 0, nesterov: false },
    { rule: 'study', value: 0.5 },
    [
      [1.8, 1.98],
      [1.66, 1.948],
    ],
  ],
  // w1 = 2 * (1 - 0.05) - 0.1 = 1.8; w2 = 1.8 * 0.95 - 0.05 = 1.66: as coupled, without momentum
  [
    'decoupled',
    { momentum: 0, nesterov: false },
    { rule: 'decoupled', value: 0.5 },
    [
      [1.8, 1.98],
      [1.66, 1.948],
    ],
  ],
  // m1 = 1, w1 = 1.9; m2 = 0.9 + 0.5 = 1.4, w2 = 1.76
  [
    'momentum',
    { momentum: 0.9, nesterov: false },
    none,
    [
      [1.9, 1.99],
      [1.76, 1.967],
    ],
  ],
  // m1 = 1, d1 = 1 + 0.9 = 1.9, w1 = 1.81; m2 = 1.4, d2 = 0.5 + 1.26 = 1.76, w2 = 1.634
  [
    'nesterov',
    { momentum: 0.9, nesterov: true },
    none,
    [
      [1.81, 1.981],
      [1.634, 1.9463],
    ],
  ],
  // g1 = 2, m1 = 2, w1 = 1.8; g2 = 0.5 + 0.9 = 1.4, m2 = 3.2, w2 = 1.48
  [
    'momentum, coupled',
    { momentum: 0.9, nesterov: false },
    { rule: 'coupled', value: 0.5 },
    [
      [1.8, 1.98],
      [1.48, 1.93],
    ],
  ],
  // m1 = 1, w1 = 1.9 - 0.1 = 1.8; m2 = 1.4, w2 = 1.8 * 0.95 - 0.14 = 1.57
  [
    'momentum, decoupled',
    { momentum: 0.9, nesterov: false },
    { rule: 'decoupled', value: 0.5 },
    [
      [1.8, 1.98],
      [1.57, 1.939],
    ],
  ],
])('two steps: %s', (_, options, decay, expected) => {
  expect(twoSteps(options, decay)).toEqual(expected);
  expect(twoSteps(options, decay, false)).toEqual(expected.map(([value]) => [value]));
});

test('a multiplier scales the learning rate, decoupled decay included', () => {
  // r = 0.2: w1 = 2 * (1 - 0.1) - 0.2 = 1.6; w2 = 1.6 * 0.9 - 0.1 = 1.34
  const decay: WeightDecay = { rule: 'decoupled', value: 0.5 };
  expect(twoSteps({ momentum: 0, nesterov: false }, decay, false, { ...alike, weight: 2 })).toEqual([[1.6], [1.34]]);
});

test('neighbours updated alike are one segment; frozen parameters are in none', () => {
  const specs = [
    spec('a.weight', 4),
    spec('b.weight', 4),
    spec('c.weight', 4, { kind: 'frozen' }),
    spec('d.weight', 8, { starred: true }),
    spec('d.bias', 2),
    spec('e.bias', 2),
  ];
  const arena = arenaOf(specs, 1, 1);
  const segments = segmentsOf(arena, { rule: 'study', value: 16 }, alike);
  expect(segments.map(({ start, end, coupledDecay }) => [start, end, coupledDecay])).toEqual([
    [0, 8, 0],
    [12, 20, 2],
    [20, 24, 0],
  ]);
  expect(decayedParameters(arena, { rule: 'study', value: 16 }).map(({ entry }) => entry.spec.name)).toEqual(['d.weight']);
  const average = arena.values.slice();
  createSgd(arena, segments, { momentum: 0.9, nesterov: true }, average).step(0.1, 0);
  expect([...arena.values.subarray(8, 12), ...average.subarray(8, 12)]).toEqual(new Array(8).fill(1));
});

test('coupled and decoupled decay are for weights, not for biases', () => {
  const arena = arenaOf([spec('a.weight', 1), spec('a.bias', 1)], 1, 0);
  for (const rule of ['coupled', 'decoupled'] as const) {
    const [weight, bias] = segmentsOf(arena, { rule, value: 0.5 }, alike);
    expect(weight!.coupledDecay + weight!.decoupledDecay).toBe(0.5);
    expect(bias!.coupledDecay + bias!.decoupledDecay).toBe(0);
  }
});
