import { expect, test } from 'vitest';
import { NetworkBuilder, type Network } from '../../nn/network.ts';
import type { InferencePlan, TrainingPlan } from '../engine.ts';
import { referenceEngine } from './engine.ts';

const draws = { seed: 1, step: 0 };

/** Sets parameters by name. */
async function set(plan: TrainingPlan | InferencePlan, values: Record<string, readonly number[]>): Promise<void> {
  const { parameters } = plan;
  for (const entry of parameters.entries) {
    const given = values[entry.spec.name];
    if (given) await parameters.write(entry, Float32Array.from(given), parameters.values);
  }
}

async function gradient(plan: TrainingPlan, name: string): Promise<number[]> {
  const { parameters } = plan;
  const entry = parameters.entries.find(({ spec }) => spec.name === name)!;
  return [...(await parameters.read(entry, parameters.gradients))];
}

function normalized(): Network {
  const b = new NetworkBuilder('normalized', [1, 1, 2]);
  return b.build(b.flatten('flat', b.batchNorm('norm', b.input, { momentum: 0.75, epsilon: 1e-12 })));
}

test('batch norm in training weighs the old running statistic by its momentum and the population variance by the rest', async () => {
  const plan = await referenceEngine.compileTraining(normalized(), { batchSize: 2 });
  await set(plan, { 'norm.scale': [2], 'norm.shift': [1], 'norm.mean': [8], 'norm.variance': [4] });
  plan.input.set([1, 3, 5, 7]); // mean 4, population variance 5
  plan.forward(draws);
  const statistic = async (name: string) => {
    const entry = plan.parameters.entries.find(({ spec }) => spec.name === name)!;
    return (await plan.parameters.read(entry, plan.parameters.values))[0];
  };
  expect(await statistic('norm.mean')).toBe(0.75 * 8 + 0.25 * 4);
  expect(await statistic('norm.variance')).toBe(0.75 * 4 + 0.25 * 5);
  expect((await plan.output.read())[0]).toBeCloseTo(1 + (2 * (1 - 4)) / Math.sqrt(5), 5);
});

test('batch norm at inference uses the running statistics and leaves them', async () => {
  const plan = await referenceEngine.compileInference(normalized(), { batchSize: 1 });
  await set(plan, { 'norm.scale': [2], 'norm.shift': [1], 'norm.mean': [8], 'norm.variance': [4] });
  plan.input.set([8, 10]);
  const before = await plan.parameters.values.read();
  plan.forward();
  expect([...(await plan.output.read())]).toEqual([1, 3]);
  expect(await plan.parameters.values.read()).toEqual(before);
});

test('statistics lie behind the parameters with gradients', async () => {
  const { parameters } = await referenceEngine.compileTraining(normalized(), { batchSize: 1 });
  expect(parameters.entries.map(({ spec, offset, length }) => [spec.name, offset, length])).toEqual([
    ['norm.scale', 0, 1],
    ['norm.shift', 1, 1],
    ['norm.mean', 2, 1],
    ['norm.variance', 3, 1],
  ]);
  expect(parameters).toMatchObject({ length: 4, trainableLength: 2 });
  expect(await parameters.allocate().read()).toEqual(new Float32Array(4));
});

test('the gradient of a max pool goes to the first of equal maxima, row by row', async () => {
  const b = new NetworkBuilder('ties', [1, 2, 2]);
  // A depthwise convolution cannot tell pixels apart; the bias-free weights of a 2x2 kernel over the padded image can.
  const x = b.conv('c', b.input, { kernel: [2, 2], filters: 1, bias: false, padding: [1, 1, 0, 0] });
  const plan = await referenceEngine.compileTraining(b.build(b.flatten('flat', b.maxPool('p', x, { kernel: 2 }))), {
    batchSize: 1,
  });
  await set(plan, { 'c.weight': [0, 0, 0, 0] });
  plan.input.set([1, 2, 3, 4]);
  plan.forward(draws);
  await plan.outputGradient.write(Float32Array.of(1));
  plan.backward();
  // All four pixels are 0; the first one sees only the input's first pixel, through the last weight.
  expect(await gradient(plan, 'c.weight')).toEqual([0, 0, 0, 1]);
});

test('dropout drops in training only, and an example has its own draws wherever it lies', async () => {
  const b = new NetworkBuilder('drop', [64]);
  const network = b.build(b.dropout('d', b.input, 0.5));
  const whole = await referenceEngine.compileTraining(network, { batchSize: 2 });
  whole.input.fill(1);
  whole.forward(draws);
  expect(new Set(await whole.output.read())).toEqual(new Set([0, 2]));
  const second = await referenceEngine.compileTraining(network, { batchSize: 1 });
  second.input.fill(1);
  second.forward({ ...draws, firstExample: 1 });
  expect(await second.output.read()).toEqual((await whole.output.read()).slice(64));
  const inference = await referenceEngine.compileInference(network, { batchSize: 1 });
  inference.input.fill(1);
  inference.forward();
  expect(await inference.output.read()).toEqual(new Float32Array(64).fill(1));
});

test('an average pool counts only the pixels inside the image', async () => {
  const b = new NetworkBuilder('average', [1, 2, 3]);
  const pooled = b.avgPool('p', b.input, { kernel: 2, stride: 2 });
  const plan = await referenceEngine.compileInference(b.build(b.flatten('flat', pooled)), { batchSize: 1 });
  plan.input.set([1, 2, 5, 3, 6, 7]);
  plan.forward();
  expect([...(await plan.output.read())]).toEqual([3, 6]);
});

test('a bound buffer is read in place', async () => {
  const b = new NetworkBuilder('bound', [2]);
  const plan = await referenceEngine.compileInference(b.build(b.scale('s', b.input, 3)), { batchSize: 1 });
  const buffer = new Float32Array([1, 2]);
  plan.bindInput(buffer);
  expect(plan.input).toBe(buffer);
  buffer[0] = 5;
  plan.forward();
  expect([...(await plan.output.read())]).toEqual([15, 6]);
  expect(() => {
    plan.bindInput(new Float32Array(3));
  }).toThrow('the input has 2 elements, not 3');
});

test('gradients are overwritten, not accumulated', async () => {
  const b = new NetworkBuilder('dense', [1]);
  const plan = await referenceEngine.compileTraining(b.build(b.dense('d', b.input, { features: 1 })), { batchSize: 1 });
  plan.input.set([3]);
  plan.forward(draws);
  await plan.outputGradient.write(Float32Array.of(2));
  plan.backward();
  plan.backward();
  expect([await gradient(plan, 'd.weight'), await gradient(plan, 'd.bias')]).toEqual([[6], [2]]);
});

test('wrong use is refused', async () => {
  const network = normalized();
  await expect(referenceEngine.compileTraining(network, { batchSize: 0 })).rejects.toThrow(
    'batchSize (=0) must be a positive integer',
  );
  for (const precision of ['bf16', 'f16'] as const) {
    await expect(referenceEngine.compileInference(network, { batchSize: 1, precision })).rejects.toThrow(
      `precision (="${precision}") must be "f32" on the reference engine`,
    );
  }
  const plan = await referenceEngine.compileTraining(network, { batchSize: 1 });
  expect(() => {
    plan.backward();
  }).toThrow('backward needs a forward pass before it');
  const entry = plan.parameters.entries[0]!;
  const write = plan.parameters.write(entry, new Float32Array(2), plan.parameters.values);
  await expect(write).rejects.toThrow('parameter "norm.scale" 1 has 1 elements, not 2');
});
