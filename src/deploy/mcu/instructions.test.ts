/** The model of instructions.ts against instructions that were counted in QEMU. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { buildModel, modelDefinition } from '../../models/registry.ts';
import { NetworkBuilder, type Tensor } from '../../nn/network.ts';
import { untrainedPlan, usualStandardization } from './figures.ts';
import { costOf, instructionsOf, workOf, type InstructionSet } from './instructions.ts';
import { planMemory } from './memory.ts';

interface Counted {
  readonly networks: readonly { readonly network: string; readonly instructions: Readonly<Record<InstructionSet, number>> }[];
}

const sets = ['dsp', 'plain', 'thumb1'] as const;

test.each(['resnet8', 'squeeze1', 'mobilenetv3', 'air94', 'xception'])('%s takes as many instructions, to 6%%', (name) => {
  const file = new URL('../../../docs/results/instructions.json', import.meta.url);
  const { networks } = JSON.parse(readFileSync(file, 'utf8')) as Counted;
  const counted = networks.find(({ network }) => network === name)!.instructions;
  const network = buildModel(name, { input: modelDefinition(name).defaultInputSize });
  const plan = untrainedPlan({ network, preprocessing: { standardization: usualStandardization(3) } });
  const memory = planMemory(plan);
  for (const set of sets) {
    const ratio = instructionsOf(plan, memory, set) / counted[set];
    expect(ratio, set).toBeGreaterThan(0.94);
    expect(ratio, set).toBeLessThan(1.06);
  }
});

/** Of the first step of a network whose input has 6x6 pixels of 4 channels, without what it does not do. */
function workOfFirst(set: InstructionSet, build: (b: NetworkBuilder, x: Tensor) => Tensor, fromImage = false) {
  const b = new NetworkBuilder('own', [4, 6, 6]);
  const made = build(b, b.input);
  const network = b.build(made.shape.length === 1 ? made : b.globalAvgPool('logits', made));
  const plan = untrainedPlan({ network, preprocessing: { standardization: usualStandardization(4) } });
  // What is no convolution reads an image that has a layer of its own.
  const step = plan.steps.find(({ name }) => name !== 'standardize')!;
  const inputs = step.inputs.map((input) => plan.tensors.get(input)!.extent);
  return Object.fromEntries(workOf(step, { inputs, fromImage, set }).filter(([, count]) => count > 0));
}

describe('what a step does', () => {
  test('a convolution, two pixels and two filters at a time', () => {
    const conv = (b: NetworkBuilder, x: Tensor) => b.conv('conv', x, { kernel: [3, 1], padding: 'valid', filters: 5 });
    // 4x6 pixels, 5 filters and one twice, 12 weights.
    expect(workOfFirst('dsp', conv)).toEqual({ pairRow: 24 * 3, pairFour: 24 * 3, dotsFour: 36 * 3, fourActivations: 36 });
    const copied = { copiedRow: 24 * 3, copiedByte: 24 * 12 };
    expect(workOfFirst('plain', conv)).toEqual({ ...copied, dotsByte: 36 * 12, fourActivations: 36 });
    expect(workOfFirst('dsp', conv, true)).toEqual({
      ...{ ...copied, flippedByte: 24 * 12 },
      ...{ pairFour: 24 * 3, dotsFour: 36 * 3, fourActivations: 36 },
    });
  });

  test('a depthwise convolution, four filters at a time where each has its own channel', () => {
    const depthwise = (filters: number) => (b: NetworkBuilder, x: Tensor) =>
      b.conv('conv', x, { kernel: 3, stride: 2, filters, groups: 4 });
    const copied = { copiedRow: 9 * 3, copiedByte: 9 * 36 };
    expect(workOfFirst('dsp', depthwise(4))).toEqual({ ...copied, depthwiseFour: 9 * 9, activation: 36 });
    const singles = { ...copied, depthwiseTap: 72 * 9, depthwiseSingle: 72, activation: 72 };
    expect(workOfFirst('dsp', depthwise(8))).toEqual(singles);
    expect(workOfFirst('thumb1', depthwise(8))).toEqual(singles);
  });

  test('a convolution in groups, and a dense layer', () => {
    const groups = (b: NetworkBuilder, x: Tensor) => b.conv('conv', x, { kernel: 3, filters: 6, groups: 2 });
    const copied = { copiedRow: 36 * 3, copiedByte: 36 * 36 };
    const sums = 36 * 6;
    expect(workOfFirst('dsp', groups)).toEqual({ ...copied, groupTap: sums * 9, groupByte: sums * 18, activation: sums });
    const dense = (b: NetworkBuilder, x: Tensor) => b.dense('dense', x, { features: 7 });
    expect(workOfFirst('dsp', dense)).toEqual({ denseFour: 7 * 36, activation: 7 });
    expect(workOfFirst('plain', dense)).toEqual({ denseByte: 7 * 144, activation: 7 });
  });

  test('pools, which do not see their padding', () => {
    const options = { kernel: 3, stride: 2, padding: [1, 1, 1, 1] } as const;
    // Along each side, 2, 3 and 3 pixels are seen.
    expect(workOfFirst('dsp', (b, x) => b.maxPool('pool', x, options))).toEqual({ poolPixel: 9, poolTap: 64, maximum: 256 });
    expect(workOfFirst('dsp', (b, x) => b.avgPool('pool', x, options))).toEqual({
      ...{ poolPixel: 9, averageRow: 8 * 3 * 4 },
      ...{ averageTap: 256, average: 36 },
    });
  });

  test('sums, products, tables, averages and copies', () => {
    expect(workOfFirst('dsp', (b, x) => b.add('sum', x, x))).toEqual({ sum: 144 });
    expect(workOfFirst('dsp', (b, x) => b.multiply('product', x, x))).toEqual({ productPixel: 36, product: 144 });
    expect(workOfFirst('dsp', (b, x) => b.activation('silu', x, 'gelu'))).toEqual({ lookUp: 144 });
    expect(workOfFirst('dsp', (_, x) => x)).toEqual({ globalTap: 144, globalAverage: 4 });
  });
});

test('the cost of work is that of all its passages', () => {
  expect(costOf([], 'dsp')).toBe(0);
  const one = costOf([['sum', 1]], 'plain');
  expect(one).toBeGreaterThan(8);
  expect(
    costOf(
      [
        ['sum', 10],
        ['lookUp', 3],
      ],
      'plain',
    ),
  ).toBeCloseTo(10 * one + 3 * costOf([['lookUp', 1]], 'plain'));
});
