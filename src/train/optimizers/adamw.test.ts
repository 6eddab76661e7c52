import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createPlainArena } from '../../engine/reference/arena.ts';
import { vectorMath } from '../../engine/reference/vector-math.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { createAdamw } from './adamw.ts';

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
