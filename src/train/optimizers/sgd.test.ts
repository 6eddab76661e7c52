import { expect, test } from 'vitest';
import type { ParameterArena } from '../../engine/engine.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { meanLossLearningRate } from './decoupling.ts';
import { decayedParameters, rateMultiplier, segmentsOf, type UpdateRules } from './segments.ts';
import { createSgd, type SgdOptions } from './sgd.ts';
import { fill } from '../../../test/arrays.ts';
import { createPlainArena } from '../../engine/reference/arena.ts';
import { vectorMath } from '../../engine/reference/vector-math.ts';

type WeightDecay = UpdateRules['weightDecay'];

const alike: UpdateRules['learningRateMultipliers'] = { weight: 1, bias: 1, scale: 1, shift: 1 };
const none: WeightDecay = { rule: 'none', value: 0 };

/** Rules at learning rate 0.1, of which only the decay and the multipliers matter, unless changed. */
function rules(weightDecay: WeightDecay, learningRateMultipliers = alike, trainWhiteningBias = 1): UpdateRules {
  return { weightDecay, learningRateMultipliers, learningRate: 0.1, trainWhiteningBias };
}

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
    regularized: false,
    ...change,
  };
}

/** An arena of the specs one behind the other, everything at `value`, all gradients at `gradient`. */
async function arenaOf(specs: readonly ParameterSpec[], value: number, gradient: number): Promise<ParameterArena> {
  const arena = createPlainArena(specs, { gradients: true });
  await fill(arena.values, value);
  await fill(arena.gradients, gradient);
  return arena;
}

/** One weight at 2 with gradient 1, then 0.5, at learning rate 0.1: its value after each step. */
async function twoSteps(options: SgdOptions, decay: WeightDecay, multipliers = alike): Promise<number[]> {
  const arena = await arenaOf([spec('a.weight', 1, { regularized: true })], 2, 1);
  const optimizer = createSgd({ plan: { parameters: arena, vectorMath }, rules: rules(decay, multipliers) }, options);
  const values: number[] = [];
  for (const [taken, gradient] of [1, 0.5].entries()) {
    await fill(arena.gradients, gradient);
    optimizer.step(0.1, taken, 2);
    values.push(Number((await arena.values.read())[0]!.toFixed(6)));
  }
  return values;
}

// Worked by hand. w0 = 2, r = 0.1.
test.each<[string, SgdOptions, WeightDecay, number[]]>([
  // w1 = 2 - 0.1 * 1; w2 = 1.9 - 0.1 * 0.5
  ['plain', { momentum: 0, nesterov: false }, none, [1.9, 1.85]],
  // g1 = 1 + 0.5 * 2 = 2, w1 = 1.8; g2 = 0.5 + 0.5 * 1.8 = 1.4, w2 = 1.66
  ['coupled', { momentum: 0, nesterov: false }, { rule: 'coupled', value: 0.5 }, [1.8, 1.66]],
  // one element: the value of 2017 / 1
  ['2017', { momentum: 0, nesterov: false }, { rule: '2017', value: 0.5 }, [1.8, 1.66]],
  // w1 = 2 * (1 - 0.05) - 0.1 = 1.8; w2 = 1.8 * 0.95 - 0.05 = 1.66: as coupled, without momentum
  ['decoupled', { momentum: 0, nesterov: false }, { rule: 'decoupled', value: 0.5 }, [1.8, 1.66]],
  // m1 = 1, w1 = 1.9; m2 = 0.9 + 0.5 = 1.4, w2 = 1.76
  ['momentum', { momentum: 0.9, nesterov: false }, none, [1.9, 1.76]],
  // m1 = 1, d1 = 1 + 0.9 = 1.9, w1 = 1.81; m2 = 1.4, d2 = 0.5 + 1.26 = 1.76, w2 = 1.634
  ['nesterov', { momentum: 0.9, nesterov: true }, none, [1.81, 1.634]],
  // g1 = 2, m1 = 2, w1 = 1.8; g2 = 0.5 + 0.9 = 1.4, m2 = 3.2, w2 = 1.48
  ['momentum, coupled', { momentum: 0.9, nesterov: false }, { rule: 'coupled', value: 0.5 }, [1.8, 1.48]],
  // m1 = 1, w1 = 1.9 - 0.1 = 1.8; m2 = 1.4, w2 = 1.8 * 0.95 - 0.14 = 1.57
  ['momentum, decoupled', { momentum: 0.9, nesterov: false }, { rule: 'decoupled', value: 0.5 }, [1.8, 1.57]],
  // g1 = 2, m1 = 2, d1 = 2 + 1.8, w1 = 1.62; g2 = 0.5 + 0.81, m2 = 1.8 + 1.31, d2 = 1.31 + 2.799, w2 = 1.2091
  ['nesterov, coupled', { momentum: 0.9, nesterov: true }, { rule: 'coupled', value: 0.5 }, [1.62, 1.2091]],
  // m1 = 1, d1 = 1.9, w1 = 1.9 - 0.19 = 1.71; m2 = 1.4, d2 = 1.76, w2 = 1.71 * 0.95 - 0.176 = 1.4485
  ['nesterov, decoupled', { momentum: 0.9, nesterov: true }, { rule: 'decoupled', value: 0.5 }, [1.71, 1.4485]],
  // A rate of 0.1 times 10 takes everything off: w1 = -0.1 * 1; w2 = -0.1 * 0.5
  ['a decay that keeps nothing', { momentum: 0, nesterov: false }, { rule: 'decoupled', value: 10 }, [-0.1, -0.05]],
])('two steps: %s', async (_, options, decay, expected) => {
  expect(await twoSteps(options, decay)).toEqual(expected);
});

test('a multiplier scales the learning rate, decoupled decay included', async () => {
  // r = 0.2: w1 = 2 * (1 - 0.1) - 0.2 = 1.6; w2 = 1.6 * 0.9 - 0.1 = 1.34
  const decay: WeightDecay = { rule: 'decoupled', value: 0.5 };
  expect(await twoSteps({ momentum: 0, nesterov: false }, decay, { ...alike, weight: 2 })).toEqual([1.6, 1.34]);
});

test('neighbours updated alike are one segment; frozen parameters are in none', async () => {
  const specs = [
    spec('a.weight', 4),
    spec('b.weight', 4),
    spec('c.weight', 4, { kind: 'frozen' }),
    spec('d.weight', 8, { regularized: true }),
    spec('d.bias', 2),
    spec('e.bias', 2),
  ];
  const arena = await arenaOf(specs, 1, 1);
  const segments = segmentsOf(arena, rules({ rule: '2017', value: 16 }));
  expect(segments.map(({ start, end, coupledDecay }) => [start, end, coupledDecay])).toEqual([
    [0, 8, 0],
    [12, 20, 2],
    [20, 24, 0],
  ]);
  expect(decayedParameters(arena, rules({ rule: '2017', value: 16 })).map(({ entry }) => entry.spec.name)).toEqual(['d.weight']);
  const updated = { plan: { parameters: arena, vectorMath }, rules: rules({ rule: '2017', value: 16 }) };
  createSgd(updated, { momentum: 0.9, nesterov: true }).step(0.1, 0, 1);
  expect([...(await arena.values.part(8, 12).read())]).toEqual(new Array(4).fill(1));
});

test('coupled and decoupled decay are for weights, not for biases', async () => {
  const arena = await arenaOf([spec('a.weight', 1), spec('a.bias', 1)], 1, 0);
  for (const rule of ['coupled', 'decoupled'] as const) {
    const [weight, bias] = segmentsOf(arena, rules({ rule, value: 0.5 }));
    expect(weight!.coupledDecay + weight!.decoupledDecay).toBe(0.5);
    expect(bias!.coupledDecay + bias!.decoupledDecay).toBe(0);
  }
});

// coefficient 0.02 / 0.1 = 0.2. g1 = 1 + 0.4 = 1.4, w1 = 2 - 0.14 = 1.86; g2 = 0.5 + 0.372 = 0.872, w2 = 1.86 - 0.0872 = 1.7728
test('independent decay takes the same part off whatever the multiplier, through the momentum, biases included', async () => {
  const decay: WeightDecay = { rule: 'independent', value: 0.02 };
  expect(await twoSteps({ momentum: 0, nesterov: false }, decay)).toEqual([1.86, 1.7728]);
  // Multiplier 2: coefficient 0.1 at rate 0.2. g1 = 1.2, w1 = 1.76; g2 = 0.676, w2 = 1.6248
  expect(await twoSteps({ momentum: 0, nesterov: false }, decay, { ...alike, weight: 2 })).toEqual([1.76, 1.6248]);
  const arena = await arenaOf([spec('a.weight', 1), spec('a.bias', 1), spec('n.shift', 1), spec('n.scale', 1)], 1, 0);
  const segments = segmentsOf(arena, rules(decay, { weight: 1, bias: 2, shift: 64, scale: 0 }));
  expect(segments.map(({ coupledDecay }) => coupledDecay)).toEqual(
    [0.2, 0.1, 0.2 / 64, 0].map((value) => expect.closeTo(value, 12) as number),
  );
  expect(decayedParameters(arena, rules(decay)).map(({ entry }) => entry.spec.name)).toHaveLength(4);
});

test('a decoupled learning rate is for the sum over 1024 examples, whatever batch size and momentum', () => {
  const optimizer = { type: 'sgd', momentum: 0.85, nesterov: true, decoupled: true } as const;
  // airbench94: 11.5 / (1 + 1 / 0.15) = 1.5
  expect(meanLossLearningRate({ optimizer, learningRate: 11.5, batchSize: 1024 })).toBeCloseTo(1.5, 12);
  expect(meanLossLearningRate({ optimizer, learningRate: 11.5, batchSize: 512 })).toBeCloseTo(0.75, 12);
  const plain = { ...optimizer, decoupled: false };
  expect(meanLossLearningRate({ optimizer: plain, learningRate: 11.5, batchSize: 512 })).toBe(11.5);
});

// PyTorch's rule on the summed loss, as airbench94 writes it: lr = 11.5 / k, wd = 0.0153 * B / k with k = 1024 * (1 + 1 / 0.15), B = 2.
// g = B * (mean gradient) + (wd / lr) * w; m = 0.85 m + g; w -= lr * (g + 0.85 m). For a shift lr is 64 times as large.
test.each([
  ['a.weight', 1],
  ['n.shift', 64],
])('two decoupled steps of %s are those of the original on the summed loss', async (name, multiplier) => {
  const batchSize = 2;
  const k = 1024 * (1 + 1 / 0.15);
  const lr = (11.5 / k) * multiplier;
  const wd = (0.0153 * batchSize) / k;
  let w = 2;
  let m = 0;
  const arena = await arenaOf([spec(name, 1)], w, 0);
  const config = {
    optimizer: { type: 'sgd', momentum: 0.85, nesterov: true, decoupled: true },
    learningRate: 11.5,
    batchSize,
    weightDecay: { rule: 'independent', value: 0.0153 },
    learningRateMultipliers: { ...alike, shift: 64 },
    trainWhiteningBias: 1,
  } as const;
  const optimizer = createSgd({ plan: { parameters: arena, vectorMath }, rules: config }, config.optimizer);
  for (const [meanGradient, scheduled] of [
    [3, 0.2],
    [-1, 0.5],
  ] as const) {
    const g = batchSize * meanGradient + (wd / lr) * w;
    m = 0.85 * m + g;
    w -= lr * scheduled * (g + 0.85 * m);
    await fill(arena.gradients, meanGradient);
    optimizer.step(scheduled * meanLossLearningRate(config), 0, 1);
    expect((await arena.values.read())[0]).toBeCloseTo(w, 6);
  }
});

test("a whitening layer's bias is frozen after its part of the run", async () => {
  const whitening = { type: 'whitening', examples: 1, epsilon: 1 } as const;
  const first = [spec('a.weight', 1, { kind: 'frozen', initializer: whitening }), spec('a.bias', 1)];
  const arena = await arenaOf([...first, spec('b.bias', 1, { layer: 'b' })], 2, 1);
  const frozen = rules(none, alike, 0.5);
  expect(segmentsOf(arena, frozen).map(({ start, trainedUntil }) => [start, trainedUntil])).toEqual([
    [1, 0.5],
    [2, 1],
  ]);
  // Weights that whiten at the start alone are trained to the end.
  const trainable = await arenaOf([spec('a.weight', 1, { initializer: whitening }), spec('a.bias', 1)], 2, 1);
  expect(segmentsOf(trainable, frozen).map(({ trainedUntil }) => trainedUntil)).toEqual([1, 0.5]);
  for (const momentum of [0, 0.9]) {
    await fill(arena.values, 2);
    const optimizer = createSgd({ plan: { parameters: arena, vectorMath }, rules: frozen }, { momentum, nesterov: false });
    optimizer.step(0.5, 49, 100);
    expect([...(await arena.values.read())]).toEqual([2, 1.5, 1.5]);
    optimizer.step(0.5, 50, 100);
    const [, frozenBias, other] = await arena.values.read();
    expect(frozenBias).toBe(1.5);
    expect(other).toBeLessThan(1.1);
  }
});

test('until it is frozen, it has the early learning rate', async () => {
  const whitening = { type: 'whitening', examples: 1, epsilon: 1 } as const;
  const first = [spec('a.weight', 1, { kind: 'frozen', initializer: whitening }), spec('a.bias', 1)];
  const arena = await arenaOf([...first, spec('b.bias', 1, { layer: 'b' })], 2, 1);
  const updated = { plan: { parameters: arena, vectorMath }, rules: rules(none, alike, 0.5) };
  createSgd(updated, { momentum: 0, nesterov: false }).step(0.5, 0, 100, 0.25);
  expect([...(await arena.values.read())]).toEqual([2, 1.75, 1.5]);
});

test('neighbours that learn at different rates are segments of their own; statistics do not learn', async () => {
  const arena = await arenaOf([spec('a.bias', 1), spec('n.shift', 1)], 2, 1);
  const twice = rules(none, { ...alike, shift: 2 });
  expect(segmentsOf(arena, twice).map(({ start, rateMultiplier }) => [start, rateMultiplier])).toEqual([
    [0, 1],
    [1, 2],
  ]);
  for (const name of ['n.mean', 'n.variance']) expect(rateMultiplier(spec(name, 1), twice)).toBe(0);
});
