/** The oneDNN engine computes what the reference engine computes: outputs, gradients and running statistics, layer by layer. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/engine.ts';
import type { ProfiledPlan } from '../src/engine/onednn/engine.ts';
import type { Operation, Pass } from '../src/engine/onednn/program.ts';
import { probeOnednn } from '../src/engine/onednn/probe.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel, modelNames } from '../src/models/registry.ts';
import { fill, withOutput } from './arrays.ts';
import { compareEngines, disagreements } from './compare-engines.ts';
import { allLayerCases, caseByParts, caseInput, layerCases, type LayerCase } from './layer-cases.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

/** Float32 sums of some thousand products against float64 ones. */
const tolerance = 1e-4;

const onednn = await loadOnednn();
const whyNot = onednn === undefined ? noOnednn : undefined;

describe.skipIf(whyNot)(skippable('the oneDNN engine agrees with the reference engine', whyNot), () => {
  test.each(allLayerCases)('%s: %s', async (_kind, _name, layerCase) => {
    expect(disagreements(await compareEngines(onednn!, referenceEngine, layerCase), tolerance)).toEqual({});
  });

  // Whole models on small images, so that the reference engine finishes.
  test.each(modelNames())('model %s', async (name) => {
    expect(disagreements(await compareEngines(onednn!, referenceEngine, modelCase(name)), tolerance)).toEqual({});
  });

  test.each<[model: string, settings: Record<string, unknown>, batchSize?: number]>([
    ['alex4', { batchNorm: true }],
    ['squeeze1', { batchNorm: true, bypass: true }],
    ['tuto', { 'lrn.alpha': 0.1, 'lrn.depthRadius': 2, 'dense.dropout': 0.5 }],
    ['inception', { batchNorm: false, dropout: 0.5 }],
    ['xception', { 'stage3.halve': true, 'stage1.repeats': 0, dropout: 0.2, 'stage3.filters': 48 }],
    ['air94', { whitening: false, 'norm.scale': true }],
    // Two values are normalized to -1 and 1 whatever they are, with hardly a gradient: vectors want a larger batch.
    ['alex3', { batchNorm: true, 'dense.batchNorm': true }, 8],
  ])('model %s with %j', async (name, settings, batchSize) => {
    const errors = await compareEngines(onednn!, referenceEngine, modelCase(name, settings, batchSize));
    expect(disagreements(errors, tolerance)).toEqual({});
  });
});

const hasWinograd = onednn?.libraryVersion.startsWith('2.') === true && probeOnednn().isa?.startsWith('avx512_core') === true;
const whyNoWinograd = hasWinograd ? undefined : "Winograd's kernels are in oneDNN 2, for AVX-512";

test.skipIf(whyNoWinograd)(skippable("Winograd's kernels train, and the direct ones evaluate", whyNoWinograd), async () => {
  const { network, batchSize } = layerCases.conv.find(({ name }) => name.includes('Winograd'))!;
  const training = await onednn!.compileTraining(network, { batchSize });
  const inference = await onednn!.compileInference(network, { batchSize });
  const kernels = ({ forwardOperations, backwardOperations }: ProfiledPlan) =>
    [...forwardOperations, ...backwardOperations]
      .filter(({ layer, pass }) => layer === 'c' && ['forward', 'backwardData', 'backwardWeights'].includes(pass))
      .map(({ pass, implementation }) => `${pass} ${implementation.includes('wino') ? 'Winograd' : 'direct'}`);
  expect(kernels(training)).toEqual(['forward Winograd', 'backwardWeights Winograd', 'backwardData Winograd']);
  expect(kernels(inference)).toEqual(['forward direct']);
  training.dispose();
  inference.dispose();
});

const whyNoStrips = whyNot ?? (process.arch === 'x64' ? undefined : 'the kernels are those of x86 processors');

test.skipIf(whyNoStrips)(skippable('wide depthwise filters train with kernels made for them', whyNoStrips), async () => {
  const cases = layerCases.conv.filter(({ name }) => /depthwise .*[5-7]x/.test(name) && !name.includes('one pixel'));
  expect(cases.length).toBeGreaterThan(3);
  for (const { name, network, batchSize } of cases) {
    const plan = await onednn!.compileTraining(network, { batchSize });
    const kernels = plan.backwardOperations
      .filter(({ layer, pass }) => layer === 'c' && pass === 'backwardWeights')
      .map(({ implementation }) => implementation)
      .filter((implementation) => implementation !== 'host');
    expect(kernels.length, name).toBeGreaterThan(1);
    for (const kernel of kernels) expect(kernel, name).toMatch(/^jit_dw/);
    plan.dispose();
  }
});

const byParts = caseByParts(64);

describe.skipIf(whyNot)(skippable('a first convolution and its pool take a part of a large batch at a time', whyNot), () => {
  test('and agree with the reference engine', async () => {
    expect(disagreements(await compareEngines(onednn!, referenceEngine, byParts), tolerance)).toEqual({});
    const plan = await onednn!.compileTraining(byParts.network, { batchSize: byParts.batchSize });
    const passesOf = (operations: readonly Operation[], wanted: Pass) => operations.filter(({ pass }) => pass === wanted).length;
    expect(passesOf(plan.forwardOperations, 'forward')).toBe(4);
    expect(passesOf(plan.backwardOperations, 'backwardWeights')).toBe(4);
    plan.dispose();
  });

  test('from whatever buffer the input is in', async () => {
    const plan = await onednn!.compileInference(byParts.network, { batchSize: byParts.batchSize });
    await fill(plan.parameters.values, 0.1);
    plan.input.set(caseInput(byParts));
    plan.forward();
    const expected = await plan.output.read();
    plan.input.fill(0);
    const elsewhere = caseInput(byParts);
    plan.bindInput(elsewhere);
    expect(plan.input).toBe(elsewhere);
    plan.forward();
    expect(await plan.output.read()).toEqual(expected);
    plan.dispose();
  });
});

/** At a kink rounding decides the gradient, which small batches then carry through all layers before it. */
const smooth = { activation: 'silu' };

/**
 * Models with batch normalization: larger images, since a normalization over a handful of values makes the gradients before it a small
 * difference of large numbers; and fewer filters, to make up for it.
 */
const normalized: Readonly<Record<string, { readonly input: number; readonly settings: Record<string, unknown> }>> = {
  inception: { input: 16, settings: inceptionOf(16) },
  xception: { input: 16, settings: { 'conv1.filters': 16, 'stage1.filters': 32, 'stage2.filters': 32, 'stage3.filters': 64 } },
  resnet8: {
    input: 32,
    settings: { ...smooth, 'conv1.filters': 8, 'stage1.filters': 8, 'stage2.filters': 10, 'stage3.filters': 16 },
  },
  resnet20: { input: 16, settings: { 'conv1.filters': 8, 'stage1.filters': 8, 'stage2.filters': 16, 'stage3.filters': 16 } },
  mobilenetv2: { input: 32, settings: { ...smooth, widthMultiplier: 0.2, 'head.filters': 64, dropout: 0 } },
  mobilenetv3: { input: 32, settings: { widthMultiplier: 0.3, 'head.features': 64, dropout: 0 } },
  air94: { input: 32, settings: { 'group1.filters': 16, 'group2.filters': 32, 'group3.filters': 32 } },
};

/** All parts of all modules with `filters`. */
function inceptionOf(filters: number): Record<string, unknown> {
  const parts = ['filters1x1', 'reduce3x3', 'filters3x3', 'reduce5x5', 'filters5x5', 'pool'];
  return Object.fromEntries([1, 2, 3, 4].flatMap((module) => parts.map((part) => [`inception${module}.${part}`, filters])));
}

function modelCase(model: string, settings: Record<string, unknown> = {}, batchSize = 2): LayerCase {
  const { input, settings: small } = normalized[model] ?? { input: 8, settings: {} };
  return { name: model, network: buildModel(model, { settings: { ...small, ...settings }, input }), batchSize };
}

/** The reference engine with every gradient, or every inference, a thousandth too large. */
function wrongEngine(what: 'gradients' | 'inference'): Engine {
  return {
    ...referenceEngine,
    name: 'wrong',
    async compileTraining(network, options) {
      const plan = await referenceEngine.compileTraining(network, options);
      const backward = plan.backward.bind(plan);
      const enlarge = plan.vectorMath.multiplyAdd(plan.parameters.gradients, [], plan.parameters.gradients);
      plan.backward = () => {
        backward();
        if (what === 'gradients') enlarge([1.001]);
      };
      return plan;
    },
    async compileInference(network, options) {
      const plan = await referenceEngine.compileInference(network, options);
      return what === 'inference' ? withOutput(plan, (values) => values.map((value) => 1.001 * value)) : plan;
    },
  };
}

test('the comparison finds nothing between an engine and itself', async () => {
  const errors = await compareEngines(referenceEngine, referenceEngine, layerCases.batchNorm[0]!);
  expect(Object.keys(errors)).toEqual([
    'output in training',
    'gradient of stem.weight',
    'gradient of n.scale',
    'gradient of n.shift',
    'gradient of head.weight',
    'gradient of head.bias',
    'n.mean',
    'n.variance',
    'output at inference',
  ]);
  expect(disagreements(errors, 0)).toEqual({});
});

test('the comparison finds a wrong engine', async () => {
  const layerCase = layerCases.dense[0]!;
  const found = async (what: 'gradients' | 'inference') =>
    Object.keys(disagreements(await compareEngines(wrongEngine(what), referenceEngine, layerCase), tolerance));
  expect(await found('gradients')).toEqual(['gradient of d.weight', 'gradient of d.bias']);
  expect(await found('inference')).toEqual(['output at inference']);
});
