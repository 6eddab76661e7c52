import { expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { createEvaluator } from './evaluate.ts';

const b = new NetworkBuilder('small', [3, 6, 6]);
const network = b.build(b.dense('logits', b.input, { features: 4 }));
const dataset = noiseDataset(6, { train: 4, test: 4 });
/** Larger than the images: the loader refuses it. */
const preprocessing = { inputSize: 7, standardization: { type: 'image' } } as const;
const options = { network, dataset, split: 'test', useVal: false, preprocessing, batchSize: 2 } as const;

test('the network is compiled before threads are started, and let go where they cannot be', () => {
  const failing: Engine = {
    ...referenceEngine,
    compileInference() {
      throw new Error('it does not compile');
    },
  };
  expect(() => createEvaluator({ ...options, engine: failing })).toThrow('it does not compile');

  let compiled = 0;
  const counting: Engine = {
    ...referenceEngine,
    compileInference(...args) {
      compiled++;
      return { ...referenceEngine.compileInference(...args), dispose: () => compiled-- };
    },
  };
  expect(() => createEvaluator({ ...options, engine: counting })).toThrow('inputSize (=7)');
  expect(compiled).toBe(0);
});
