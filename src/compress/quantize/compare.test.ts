import { expect, test } from 'vitest';
import { onePixel, pixelFile, pixels } from '../../../test/pixel-graph.ts';
import type { FrozenMetadata } from '../../deploy/metadata.ts';
import { compareOnTest } from './compare.ts';

test('accuracies of both files and their agreement, on the test images', async () => {
  const classes = ['red', 'green', 'blue'];
  const test = pixels(
    [
      [9, 1, 0],
      [1, 9, 0],
      [0, 2, 9],
      [9, 0, 8],
      [5, 1, 4],
    ],
    [0, 1, 2, 2, 1],
  );
  const train = pixels([[0, 0, 1]], [0]);
  const dataset = { name: 'pixels', classes, shape: onePixel, synthetic: true, fingerprint: 'p', train, test };
  const metadata = {
    model: 'pixel',
    classes,
    inputSize: 1,
    imageSize: 1,
    network: { inputShape: onePixel },
    config: {},
  } as unknown as FrozenMetadata;
  const files = { float: pixelFile(1, 1, 1), quantized: pixelFile(1, 1, 1.3) };
  // Labels: 0, 1, 2, 0, 0 and, as 1.3 * 8 is above 9 and 1.3 * 4 above 5, 0, 1, 2, 2, 2.
  expect(await compareOnTest({ ...files, metadata, dataset, threads: 1 })).toEqual({
    images: 5,
    floatAccuracy: 0.6,
    accuracy: 0.8,
    agreement: 0.6,
  });
});
