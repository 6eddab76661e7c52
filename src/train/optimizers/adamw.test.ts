import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { fill } from '../../../test/arrays.ts';
import { createPlainArena } from '../../engine/reference/arena.ts';
import { vectorMath } from '../../engine/reference/vector-math.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { createAdamw } from './adamw.ts';
import type { UpdateRules } from './segments.ts';

interface Recorded {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly decay: number;
  readonly learningRate: number;
  readonly steps: readonly { readonly weight: readonly number[]; readonly bias: readonly number[] }[];
}

const record = new URL('../../../test/pytorch/optimizers.json', import.meta.url);
const { adamw } = JSON.parse(readFileSync(record, 'utf8')) as { readonly adamw: Recorded };

/** As in test/pytorch/optimizers.py. */
function series(count: number, phase: number, factor = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => factor * Math.sin((i + 1) ** 2 + phase));
}

function specOf(role: 'weight' | 'bias', shape: readonly number[]): ParameterSpec {
  const initializer = { type: 'constant', value: 0 } as const;
  return {
    ...{ name: `a.${role}`, layer: 'a', role, kind: 'trainable', shape, fanIn: 1, fanOut: 1, initializer, regularized: false },
  };
}

test('twenty steps are those of PyTorch, with decay of the weights alone and a rate that falls', async () => {
  const arena = createPlainArena([specOf('weight', [4, 3]), specOf('bias', [4])], { gradients: true });
  const [weight, bias] = arena.entries as [(typeof arena.entries)[0], (typeof arena.entries)[0]];
  await arena.write(weight, series(12, 0.5), arena.values);
  await arena.write(bias, series(4, 1.5), arena.values);
  const rules = {
    weightDecay: { rule: 'decoupled', value: adamw.decay },
    learningRateMultipliers: { weight: 1, bias: 1, scale: 1, shift: 1 },
    learningRate: adamw.learningRate,
    trainWhiteningBias: 1,
  } as const;
  const [beta1, beta2] = adamw.betas;
  const optimizer = createAdamw({ plan: { parameters: arena, vectorMath }, rules }, { beta1, beta2, epsilon: adamw.epsilon });
  expect(adamw.steps).toHaveLength(20);
  for (const [step, expected] of adamw.steps.entries()) {
    await arena.write(weight, series(12, 2 + step), arena.gradients);
    await arena.write(bias, series(4, 3 + step, 0.001), arena.gradients);
    optimizer.step(adamw.learningRate * (1 - step / 20), step, 20);
    for (const [entry, values] of [
      [weight, expected.weight],
      [bias, expected.bias],
    ] as const) {
      (await arena.read(entry, arena.values)).forEach((value, i) => expect(Math.abs(value - values[i]!)).toBeLessThan(1e-6));
    }
  }
});

describe('of a network that whitens', () => {
  const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

  async function made(weightDecay: UpdateRules['weightDecay'], math = vectorMath) {
    const whitening = { type: 'whitening', examples: 1, epsilon: 1 } as const;
    const arena = createPlainArena(
      [
        { ...specOf('weight', [1]), kind: 'frozen', initializer: whitening },
        specOf('bias', [1]),
        { ...specOf('weight', [1]), name: 'b.weight', layer: 'b' },
      ],
      { gradients: true },
    );
    await fill(arena.values, 2);
    await fill(arena.gradients, 1);
    const learningRateMultipliers = { weight: 2, bias: 1, scale: 1, shift: 1 };
    const rules = { weightDecay, learningRateMultipliers, learningRate: 0.1, trainWhiteningBias: 0.5 };
    const { step } = createAdamw({ plan: { parameters: arena, vectorMath: math }, rules }, options);
    return { step, values: async () => [...(await arena.values.read())] };
  }

  // The first steps of Adam are of the learning rate, whatever the gradient: that of weights twice as large.
  test('the early rate is for its bias alone, which is frozen after its part of the run', async () => {
    const { step, values } = await made({ rule: 'none', value: 0 });
    const expectValues = async (...expected: number[]) =>
      expect(await values()).toEqual(expected.map((value) => expect.closeTo(value, 6) as number));
    step(0.1, 0, 2, 0.25);
    await expectValues(2, 1.75, 1.8);
    step(0.1, 1, 2, 0.25);
    await expectValues(2, 1.75, 1.6);
  });

  test('a decay in the loss takes one more pass, which no decay spares', async () => {
    for (const [weightDecay, passes] of [
      [{ rule: 'coupled', value: 0.5 }, 1],
      [{ rule: 'decoupled', value: 0.5 }, 0],
    ] as const) {
      const multiplyAdd = vi.fn(vectorMath.multiplyAdd);
      await made(weightDecay, { ...vectorMath, multiplyAdd });
      expect(multiplyAdd).toHaveBeenCalledTimes(passes);
    }
  });
});
