import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { told } from '../../test/told.ts';
import { encodePng } from '../runs/png.ts';
import { resolveConfig } from '../train/config.ts';
import type { FrozenModel } from './frozen-model.ts';
import { imageFiles, labelImage } from './label.ts';
import type { ImageBatch } from './onnx-runtime.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-label-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the most probable classes first, and the median and 95th percentile of the timed runs alone', async () => {
  const path = join(folder, 'image.png');
  const samples = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => i);
  writeFileSync(path, encodePng({ width: 8, height: 8, channels: 3, samples }));
  const batches: ImageBatch[] = [];
  let time = 0;
  // Runs take 1, 2, 3, ... ms; five warm up, so that 6 to 26 are timed.
  const now = vi.spyOn(performance, 'now').mockImplementation(() => time);
  const run = (batch: ImageBatch) => {
    time += batches.push(batch);
    return Promise.resolve({ logits: new Float32Array(4), probabilities: Float32Array.of(0.25, 0.5, 0.125, 0.125) });
  };
  const model: FrozenModel = {
    path: 'm',
    sizeBytes: 1,
    metadata: {
      ...{ model: 'tuto', classes: ['a', 'b', 'c', 'd'], imageSize: 8, inputSize: 8, run: null, step: null, weights: 'raw' },
      ...{ accuracy: null, parameters: 1, operations: 1, multiplyAdds: 1, quantization: null, network: {}, ablateVersion: '1' },
      config: resolveConfig({ model: 'tuto' }),
    },
    session: { run, read: () => Promise.reject(new Error('not read')), dispose: () => Promise.resolve() },
  };
  try {
    expect(await labelImage(model, path, { top: 3, runs: 21 })).toEqual({
      image: path,
      top: [
        { label: 'b', probability: 0.5 },
        { label: 'a', probability: 0.25 },
        { label: 'c', probability: 0.125 },
      ],
      inferenceMs: 16,
      inferenceP95Ms: 25,
    });
  } finally {
    now.mockRestore();
  }
  // Read once more for the result.
  expect(batches).toHaveLength(5 + 21 + 1);
  expect(batches[0]).toEqual({ pixels: samples, count: 1, height: 8, width: 8 });
});

test('a file stands for itself, a folder for the images in it, by name; what is passed over is told', () => {
  const within = (...names: readonly string[]) => join(folder, 'pictures', ...names);
  mkdirSync(within('inner'), { recursive: true });
  mkdirSync(within('clean'));
  for (const name of ['b.png', 'a.jpg', 'notes.txt', 'clean/c.webp']) writeFileSync(within(name), '');
  const notes: string[] = [];
  const note = (text: string) => notes.push(text);
  expect(imageFiles([within('notes.txt'), within(), within('clean')], note)).toEqual([
    ...[within('notes.txt'), within('a.jpg'), within('b.png')],
    within('clean', 'c.webp'),
  ]);
  expect(notes).toEqual([
    `Passed over in ${within()}: 1 .txt, 2 folders (images are .png, .jpg, .jpeg or .webp files directly in the folder)`,
  ]);
  expect(imageFiles([within()])).toHaveLength(2);
  const refused = (message: string) => ({ kind: 'DataError', message, fix: 'check the folder' });
  const empty = `${within('inner')} holds no image (.png, .jpg, .jpeg or .webp)`;
  expect(told(() => imageFiles([within('inner')], note))).toEqual(refused(empty));
  writeFileSync(within('inner', 'a.gif'), '');
  expect(told(() => imageFiles([within('inner')], note))).toEqual(refused(`${empty}, only 1 .gif`));
});
