/** bf16 keeps 8 bits of every activation, weight and gradient: the same network must come out, to that precision. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/engine.ts';
import { supportsBf16 } from '../src/engine/onednn/engine.ts';
import { probeOnednn } from '../src/engine/onednn/probe.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel, modelNames } from '../src/models/registry.ts';
import { compareEngines, disagreements } from './compare-engines.ts';
import { allLayerCases } from './layer-cases.ts';
import { loadOnednn } from './load-onednn.ts';

/**
 * Relative to the largest element of a tensor. Outputs differ by a few roundings of 2^-9. Gradients differ more, element by element: an
 * activation that rounding moves across a ReLU's kink, or past its neighbour in a maximum, sends its gradient elsewhere.
 */
const outputTolerance = 0.02;
const gradientTolerance = 0.3;

const onednn = await loadOnednn();
const { isa = 'no oneDNN' } = probeOnednn();
const runs = onednn !== undefined && supportsBf16(isa);
if (!runs) process.stderr.write(`bf16 is not tested: the processor (${isa}) has no native bf16\n`);

const bf16: Engine = {
  name: 'onednn bf16',
  compileTraining: (network, options) => onednn!.compileTraining(network, { ...options, precision: 'bf16' }),
  compileInference: (network, options) => onednn!.compileInference(network, { ...options, precision: 'bf16' }),
};

function only(errors: Readonly<Record<string, number>>, wanted: (name: string) => boolean): Record<string, number> {
  return Object.fromEntries(Object.entries(errors).filter(([name]) => wanted(name)));
}

describe.skipIf(!runs)('bf16 agrees with the float32 reference', () => {
  test.each(allLayerCases)('%s: %s', (_kind, _name, layerCase) => {
    const errors = compareEngines(bf16, referenceEngine, layerCase);
    const isGradient = (name: string): boolean => name.startsWith('gradient');
    expect(
      disagreements(
        only(errors, (name) => !isGradient(name)),
        outputTolerance,
      ),
    ).toEqual({});
    expect(disagreements(only(errors, isGradient), gradientTolerance)).toEqual({});
  });

  test.each(modelNames())('model %s compiles for training and inference', (name) => {
    const network = buildModel(name, { input: 24 });
    for (const plan of [bf16.compileTraining(network, { batchSize: 2 }), bf16.compileInference(network, { batchSize: 2 })]) {
      expect(plan.precision).toBe('bf16');
      plan.dispose();
    }
  });
});
