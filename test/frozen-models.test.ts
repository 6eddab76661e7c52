/** Frozen files of every model: what they compute, how large they are, and whether the ONNX package accepts them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cifar10Classes, findCifar10, loadCifar10 } from '../src/data/cifar10.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { compareWithEngine } from './compare-with-engine.ts';
import { freezeUntrained } from './freeze-untrained.ts';
import { modelDefinition, modelNames } from '../src/models/registry.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { loadOnednn } from './load-onednn.ts';
import { checkOnnxFiles, whyNoOnnxChecker } from './onnx-checker.ts';
import { skippable } from './skippable.ts';

/** Images compared of each model; bench/frozen-agreement.ts compares all 10,000. */
const images = 40;

const folder = mkdtempSync(join(tmpdir(), 'ablate-frozen-'));
const engine = (await loadOnednn()) ?? referenceEngine;
let dataset: Dataset;

beforeAll(async () => {
  // Without CIFAR-10 on this machine, drawn images have to do; what they show does not matter here.
  const drawn = { ...generateSynthetic({ trainCount: 20, testCount: images }), classes: cifar10Classes };
  dataset = findCifar10() === undefined ? drawn : await loadCifar10();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const variants: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ...modelNames().map((model) => [model, {}] as const),
  ...modelNames()
    .filter((model) => 'batchNorm' in modelDefinition(model).settings)
    .slice(0, 3)
    .map((model) => [model, { 'model.batchNorm': true }] as const),
  ['tuto', { standardization: { type: 'channel', mean: [0.49, 0.48, 0.45], deviation: [0.2, 0.21, 0.26] }, inputSize: 32 }],
  ['alex3', { 'model.batchNorm': true, 'model.dense.batchNorm': true }],
  ['squeeze1', { 'model.bypass': true, 'model.logitsRelu': false }],
];

describe.each(variants)('%s %j', (model, changes) => {
  test('computes the same logits and labels as the engine, in a file not larger than its weights', async () => {
    const frozen = await freezeUntrained(engine, { model, ...changes });
    const { parameters } = frozen.metadata;
    const bytes = frozen.encode(null);
    writeFileSync(join(folder, `${model}-${Object.keys(changes).length}.onnx`), bytes);
    expect(Math.abs(bytes.length - 4 * parameters)).toBeLessThan(0.02 * 4 * parameters + 10_000);
    const comparison = await compareWithEngine({ frozen, engine, dataset, limit: images, batchSize: images });
    expect(comparison.relativeDifference).toBeLessThan(1e-4);
    expect(comparison.differentLabels).toBeLessThanOrEqual(2);
  });
});

const whyNoChecker = whyNoOnnxChecker();

test.skipIf(whyNoChecker)(skippable('the checker of the onnx package accepts every file', whyNoChecker), () => {
  expect(checkOnnxFiles(folder)).toEqual({ status: 0, stderr: '', files: variants.length });
});
