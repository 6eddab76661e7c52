import { expect, test } from 'vitest';
import type { TrainingPlan } from '../../engine/engine.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { NetworkBuilder } from '../../nn/network.ts';
import { normal, streamKey } from '../../util/random.ts';
import { roundToBits, withRoundedWeights } from './rounded-weights.ts';

test('stored integers stand for multiples of the scale', () => {
  expect([...roundToBits(Float32Array.of(1, -2, 0.51, 0, 0.25, 0.1), 2, 7)]).toEqual([1, -2, 0.5, 0, 0.25, 0.1015625]);
});

function network() {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const x = b.batchNorm('norm', b.conv('conv', b.input, { filters: 3, kernel: 3, activation: 'relu' }));
  return b.build(b.dense('dense', x, { features: 4 }));
}

const draw = (name: string, length: number) => Float32Array.from({ length }, (_, i) => normal(streamKey(1, name), i));

/** One forward and backward pass. `change` is applied to the weights of layers before. */
async function run(plan: TrainingPlan, change: (weights: Float32Array, channels: number) => Float32Array) {
  const { parameters: arena } = plan;
  for (const entry of arena.entries.filter(({ spec }) => spec.kind === 'trainable')) {
    const values = draw(entry.spec.name, entry.length);
    await arena.write(entry, entry.spec.role === 'weight' ? change(values, entry.spec.shape[0]!) : values, arena.values);
  }
  const before = await arena.values.read();
  plan.input.set(draw('input', plan.input.length));
  await plan.prepareStep?.();
  plan.forward({ seed: 1, step: 0 });
  const during = await arena.values.read();
  await plan.outputGradient.write(draw('gradient', plan.outputGradient.length));
  plan.backward();
  const statistics = await arena.values.part(arena.trainableLength, arena.length).read();
  return {
    before,
    during,
    after: await arena.values.read(),
    output: await plan.output.read(),
    gradients: await arena.gradients.read(),
    statistics,
  };
}

test('forward and backward see rounded weights, the optimizer the exact ones with their gradients', async () => {
  const options = { batchSize: 2 };
  const rounded = await run(
    await withRoundedWeights(referenceEngine, 7).compileTraining(network(), options),
    (weights) => weights,
  );
  const expected = await run(await referenceEngine.compileTraining(network(), options), (weights, channels) =>
    roundToBits(weights, channels, 7),
  );
  expect(rounded.during).not.toEqual(rounded.before);
  expect(rounded.output).toEqual(expected.output);
  expect(rounded.gradients).toEqual(expected.gradients);
  // Running statistics move as they do without rounding; all else is as it was.
  const { length } = rounded.statistics;
  expect(rounded.after.subarray(0, -length)).toEqual(rounded.before.subarray(0, -length));
  expect(rounded.statistics).toEqual(expected.statistics);
  expect(rounded.statistics).not.toEqual(rounded.before.slice(-length));
});
