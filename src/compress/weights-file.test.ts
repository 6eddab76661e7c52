import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { untrained } from '../../test/untrained-squeeze0.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import { decodeSafetensors } from '../runs/safetensors.ts';
import { createClassifier, encodeClassifier } from '../train/classifier.ts';
import { masksAmong, withItsMasks } from '../train/masks.ts';
import { readSavedModel } from '../train/saved-model.ts';
import { planPruning, prune } from './prune/prune.ts';
import { encodeSavedWeights, requireWeightsFileName, weightsMetadata } from './weights-file.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });
const pruning = { sparsity: 0.6, scope: 'global', rounds: 1, growth: 'cubic', rewind: 'rate' } as const;

test('a pruned run, exported as a file of weights, keeps its zeros and says how it was trained', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-export-'));
  try {
    const request = { source: untrained, reference: untrained.path, steps: 1, overrides: {} };
    const plan = planPruning({ ...request, method: { type: 'weights', pruning } }, dataset);
    const { run } = await prune(plan, { engine: referenceEngine, dataset, runsFolder: folder });
    const saved = readSavedModel(latestCheckpoint(run!)!.path, {});
    const path = join(folder, 'exported.safetensors');
    writeFileSync(path, encodeSavedWeights(path, saved));

    const exported = readSavedModel(path, {});
    const { config, step, classifier } = exported;
    expect({ config, step, classifier }).toEqual({ config: saved.config, step: 1, classifier: saved.classifier });
    expect(classifier!.classes).toEqual(dataset.classes);
    expect(exported.file.tensors).toEqual(checkpointWeights(saved.file, 'ema', saved.path));
    // Which weights of the checkpoint stay zero is said by its masks, of the file by the zeros.
    const masks = masksAmong(saved.file.tensors);
    expect(masksAmong(withItsMasks(exported.file, path).tensors)).toEqual(masks);
    expect([...masks.values()].some(({ data }) => data.includes(0))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('names of files of weights say how they are written', () => {
  for (const name of ['a.safetensors', 'b/a.safetensors.gz']) expect(() => requireWeightsFileName(name)).not.toThrow();
  for (const name of ['a.onnx', 'safetensors', 'a.safetensors.zip', 'a.gz']) {
    expect(() => requireWeightsFileName(name)).toThrow(
      `output (=${name}) must end in .safetensors, or in .safetensors.gz to be compressed`,
    );
  }
});

test('a file of weights keeps what a checkpoint says of its images, and not that it is one', () => {
  const metadata = {
    format: 'ablate-checkpoint-1',
    final: 'true',
    step: '7',
    dataset: 'noise',
    classifier: '{}',
    model: 'nin',
    config: '{}',
  };
  const config = { ...untrained.config, steps: 9 };
  const classifier = createClassifier(config, dataset);
  expect(weightsMetadata({ ...untrained, file: { ...untrained.file, metadata } }, config, classifier)).toEqual({
    step: '7',
    dataset: 'noise',
    classifier: JSON.stringify(encodeClassifier(classifier)),
    model: 'squeeze0',
    config: JSON.stringify(config),
  });
});

test('moving averages are what is written, compressed if the name says so', () => {
  const shape = [2];
  const saved = {
    ...untrained,
    file: {
      metadata: {},
      tensors: new Map([
        ['a.weight', { shape, data: Float32Array.of(1, 2) }],
        ['ema.a.weight', { shape, data: Float32Array.of(3, 4) }],
        ['opt.momentum.a.weight', { shape, data: Float32Array.of(5, 6) }],
        ['mask.a.weight', { shape, data: Float32Array.of(1, 1) }],
      ]),
    },
  };
  const plain = encodeSavedWeights('w.safetensors', saved);
  const { tensors, metadata } = decodeSafetensors(plain, 'w');
  expect([...tensors]).toEqual([['a.weight', { shape, data: Float32Array.of(3, 4) }]]);
  expect(metadata['model']).toBe('squeeze0');
  expect(new Uint8Array(gunzipSync(encodeSavedWeights('w.safetensors.gz', saved)))).toEqual(plain);
});
