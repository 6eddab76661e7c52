/** bf16 keeps 8 bits of every activation, weight and gradient: the same network must come out, to that precision. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/engine.ts';
import { supportsBf16, type ProfiledPlan } from '../src/engine/onednn/engine.ts';
import { probeOnednn } from '../src/engine/onednn/probe.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel, modelNames } from '../src/models/registry.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import { resolveConfig } from '../src/train/config.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { createSgd } from '../src/train/optimizers/sgd.ts';
import { normal, streamKey } from '../src/util/random.ts';
import { compareEngines, disagreements } from './compare-engines.ts';
import { allLayerCases, caseByParts } from './layer-cases.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

/**
 * Relative to the largest element of a tensor. Outputs differ by a few roundings of 2^-9. Gradients differ more, element by element: an
 * activation that rounding moves across a ReLU's kink, or past its neighbour in a maximum, sends its gradient elsewhere.
 */
const outputTolerance = 0.02;
const gradientTolerance = 0.3;

const onednn = await loadOnednn();
const { isa = 'no oneDNN' } = probeOnednn();
const whyNot = onednn === undefined ? noOnednn : supportsBf16(isa) ? undefined : `the processor (${isa}) has no native bf16`;
const isVersion2 = onednn?.libraryVersion.startsWith('2.') === true;
const whyNotVersion2 = isVersion2 ? undefined : 'oneDNN is not version 2';

const bf16: Engine = {
  ...referenceEngine,
  name: 'onednn bf16',
  compileTraining: (network, options) => onednn!.compileTraining(network, { ...options, precision: 'bf16' }),
  compileInference: (network, options) => onednn!.compileInference(network, { ...options, precision: 'bf16' }),
};

function only(errors: Readonly<Record<string, number>>, wanted: (name: string) => boolean): Record<string, number> {
  return Object.fromEntries(Object.entries(errors).filter(([name]) => wanted(name)));
}

describe.skipIf(whyNot)(skippable('bf16 agrees with the float32 reference', whyNot), () => {
  test.each(allLayerCases)('%s: %s', async (_kind, _name, layerCase) => {
    const errors = await compareEngines(bf16, referenceEngine, layerCase);
    const isGradient = (name: string): boolean => name.startsWith('gradient');
    expect(
      disagreements(
        only(errors, (name) => !isGradient(name)),
        outputTolerance,
      ),
    ).toEqual({});
    expect(disagreements(only(errors, isGradient), gradientTolerance)).toEqual({});
  });

  test.each(modelNames())('model %s compiles for training and inference', async (name) => {
    const network = buildModel(name, { input: 24 });
    for (const plan of [
      await bf16.compileTraining(network, { batchSize: 2 }),
      await bf16.compileInference(network, { batchSize: 2 }),
    ]) {
      expect(plan.precision).toBe('bf16');
      plan.dispose();
    }
  });

  test('a first convolution and its pool, a part of a large batch at a time', async () => {
    const layerCase = caseByParts(128);
    expect(disagreements(await compareEngines(bf16, onednn!, layerCase), outputTolerance)).toEqual({});
    const plan = await onednn!.compileTraining(layerCase.network, { batchSize: layerCase.batchSize, precision: 'bf16' });
    expect(kernelsOf(plan, 'c')).toHaveLength(2 * 4);
    plan.dispose();
  });

  test('a layer for which bf16 has only general kernels stays in float32', async () => {
    const b = new NetworkBuilder('mixed', [3, 16, 16]);
    const odd = b.conv('odd', b.input, { kernel: 3, filters: 10, activation: 'relu' });
    const whole = b.conv('whole', odd, { kernel: 3, filters: 32, activation: 'relu' });
    const network = b.build(b.dense('logits', whole, { features: 10 }));
    const plan = await onednn!.compileTraining(network, { batchSize: 8, precision: 'bf16' });
    // oneDNN has no bf16 gradient of an image's weights for 10 filters.
    expect(kernelsOf(plan, 'odd').filter((name) => /bf16|gemm|ref/.test(name))).toEqual([]);
    expect(kernelsOf(plan, 'whole').filter((name) => name.includes('bf16'))).toHaveLength(3);
    plan.dispose();
  });

  test.skipIf(whyNotVersion2)(
    skippable("a layer for which Winograd's float32 kernels are faster takes them", whyNotVersion2),
    async () => {
      const b = new NetworkBuilder('wide', [3, 16, 16]);
      const wide = b.conv('wide', b.conv('stem', b.input, { kernel: 1, filters: 128 }), { kernel: 3, filters: 128 });
      const network = b.build(b.dense('logits', b.conv('narrow', wide, { kernel: 3, filters: 16 }), { features: 10 }));
      const plan = await onednn!.compileTraining(network, { batchSize: 8, precision: 'bf16' });
      expect(kernelsOf(plan, 'wide').map((name) => name.includes('wino'))).toEqual([true, true, true]);
      expect(kernelsOf(plan, 'narrow').map((name) => name.includes('bf16'))).toEqual([true, true, true]);
      plan.dispose();
    },
  );

  test('a small network learns 32 images by heart', async () => {
    const b = new NetworkBuilder('small', [3, 8, 8]);
    const features = b.maxPool('pool', b.conv('conv', b.input, { kernel: 3, filters: 16, activation: 'relu' }), {
      kernel: 3,
      stride: 2,
    });
    const network = b.build(
      b.dense('logits', b.dense('dense', features, { features: 32, activation: 'relu' }), { features: 10 }),
    );
    const plan = await bf16.compileTraining(network, { batchSize: 32 });
    await initializeParameters(plan.parameters, 1, { type: 'model' });
    const key = streamKey(1, 'images');
    plan.input.forEach((_, i) => (plan.input[i] = normal(key, i)));
    const labels = Uint8Array.from({ length: 32 }, (_, i) => i % 10);
    const optimizer = createSgd(
      { plan, rules: resolveConfig({ model: 'tuto', weightDecay: 'none' }) },
      { momentum: 0.9, nesterov: true },
    );
    let loss = Infinity;
    for (let step = 0; step < 200; step++) {
      plan.forward({ seed: 1, step });
      plan.computeLoss({ labels });
      [loss] = (await plan.takeLosses()) as unknown as [number];
      plan.backward();
      optimizer.step(0.02, step, 200);
    }
    expect(loss).toBeLessThan(0.01);
    plan.dispose();
  });
});

/** oneDNN's names of the kernels of a layer's three passes. */
function kernelsOf(plan: ProfiledPlan, layer: string): string[] {
  return [...plan.forwardOperations, ...plan.backwardOperations]
    .filter((operation) => operation.layer === layer && ['forward', 'backwardData', 'backwardWeights'].includes(operation.pass))
    .map(({ implementation }) => implementation);
}

test.skipIf(onednn === undefined)(
  skippable('float16 is refused, with what to do', onednn === undefined ? noOnednn : undefined),
  async () => {
    const network = buildModel('tuto');
    await expect(onednn!.compileTraining(network, { batchSize: 1, precision: 'f16' })).rejects.toMatchObject({
      message: 'precision (="f16") must be "f32" or "bf16" on the engine onednn: float16 is for graphics cards',
      fix: expect.stringMatching(/^--engine webgpu .*--precision f32/) as string,
      exitCode: 2,
    });
  },
);
