/** What processes that train together need of an engine: gradients that are final early, and batch statistics of them all. */
import { describe, expect, test } from 'vitest';
import { change, fill } from './arrays.ts';
import type { Engine, SharedBatch } from '../src/engine/engine.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { probeOnednn } from '../src/engine/onednn/probe.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel } from '../src/models/registry.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { compareEngines, disagreements } from './compare-engines.ts';
import { layerCases } from './layer-cases.ts';
import { noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

const engines: [string, Engine][] = [
  ['reference', referenceEngine],
  ...(probeOnednn().ok ? [['onednn', createOnednnEngine({ threads: 2 })] satisfies [string, Engine]] : []),
];

/** Two processes, the other of which has the same images: their statistics are those of one. */
const twin: SharedBatch = {
  processes: 2,
  sum: (values) => {
    values.forEach((value, i) => (values[i] = 2 * value));
  },
};

function sharing(engine: Engine, sharedBatch: SharedBatch): Engine {
  return { ...engine, compileTraining: (network, options) => engine.compileTraining(network, { ...options, sharedBatch }) };
}

describe.each(engines)('on the %s engine', (_, engine) => {
  test.each(
    layerCases.batchNorm.filter(({ batchSize }) => batchSize > 1).map((layerCase) => [layerCase.name, layerCase] as const),
  )('%s, with the statistics of two processes that have the same images', async (_name, layerCase) => {
    expect(disagreements(await compareEngines(sharing(engine, twin), referenceEngine, layerCase), 1e-4)).toEqual({});
  });

  test('statistics of another process count', async () => {
    const [layerCase] = layerCases.batchNorm;
    const other: SharedBatch = { processes: 2, sum: (values) => values.fill(1) };
    expect(disagreements(await compareEngines(sharing(engine, other), referenceEngine, layerCase!), 1e-2)).not.toEqual({});
  });

  test.each(['tuto', 'squeeze1'])('gradients of %s are final from where the backward pass says they are', async (model) => {
    const plan = await engine.compileTraining(buildModel(model, { input: 12 }), { batchSize: 2 });
    await initializeParameters(plan.parameters, 1, { type: 'model' });
    plan.input.forEach((_value, i) => (plan.input[i] = Math.sin(i)));
    plan.forward({ seed: 1, step: 0 });
    await change(plan.outputGradient, (_, i) => Math.cos(i));
    const { gradients, trainableLength } = plan.parameters;
    await fill(gradients, 123);
    const seen: { readonly finalFrom: number; readonly values: Promise<Float32Array> }[] = [];
    plan.backward((finalFrom) => {
      if (finalFrom < (seen.at(-1)?.finalFrom ?? Infinity))
        seen.push({ finalFrom, values: gradients.part(finalFrom, trainableLength).read() });
    });
    expect(seen.at(-1)!.finalFrom).toBe(0);
    for (const { finalFrom, values } of seen)
      expect(bytes(await values).equals(bytes(await gradients.part(finalFrom, trainableLength).read()))).toBe(true);
  });
});

const whyNot = probeOnednn().ok ? undefined : noOnednn;

test.skipIf(whyNot)(
  skippable('with oneDNN they become final layer by layer, which lets their sum begin before the pass ends', whyNot),
  async () => {
    const plan = await createOnednnEngine({ threads: 2 }).compileTraining(buildModel('squeeze1', { input: 12 }), {
      batchSize: 2,
    });
    plan.forward({ seed: 1, step: 0 });
    const borders = new Set<number>();
    plan.backward((finalFrom) => borders.add(finalFrom));
    expect(borders.size).toBeGreaterThan(10);
  },
);

function bytes(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
