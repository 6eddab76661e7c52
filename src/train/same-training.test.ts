import { expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { singleProcess, type Collective } from '../cluster/collective.ts';
import type { TrainingPlan } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { buildModel } from '../models/registry.ts';
import { resolveConfig } from './config.ts';
import type { TrainingConfig } from './config-schema.ts';
import { requireSameTraining } from './same-training.ts';

const dataset = noiseDataset(8, { train: 2, test: 2 });
const config = resolveConfig({
  model: 'tuto',
  threads: 1,
  inputSize: 8,
  'conv1.filters': 2,
  'conv2.filters': 2,
  'dense1.features': 2,
});
const network = buildModel('tuto', { settings: config.modelSettings, input: 8 });
const plan = await referenceEngine.compileTraining(network, { batchSize: 1 });

/** What a process trains. */
type Training = readonly [TrainingConfig, typeof dataset, TrainingPlan];

/** Has process 1 of two check that it trains what process 0 does. */
async function check(first: Training, second: Training): Promise<void> {
  const sent: Uint8Array[] = [];
  await requireSameTraining({ ...singleProcess, worldSize: 2, broadcast: (bytes) => sent.push(bytes.slice()) }, ...first);
  const collective: Collective = { ...singleProcess, rank: 1, worldSize: 2, broadcast: (bytes) => bytes.set(sent.shift()!) };
  await requireSameTraining(collective, ...second);
}

async function errorOf(second: Training): Promise<unknown> {
  try {
    await check([config, dataset, plan], second);
  } catch (error) {
    return error;
  }
  return undefined;
}

test('processes with the same configuration, images and layout agree; each may have its own threads', async () => {
  expect(await errorOf([config, dataset, plan])).toBeUndefined();
  expect(await errorOf([{ ...config, threads: 7 }, dataset, plan])).toBeUndefined();
});

test('what differs is named, with what to do', async () => {
  expect(await errorOf([{ ...config, seed: 2 }, dataset, plan])).toMatchObject({
    message: 'processes that train together must agree: process 1 differs from process 0 in the configuration',
    fix: 'Give all of them the same options',
  });
  expect(await errorOf([config, { ...dataset, fingerprint: 'other' }, plan])).toMatchObject({
    message: 'processes that train together must agree: process 1 differs from process 0 in the images of noise',
    fix: 'Give every machine the same data: ablate data verify checks published data',
  });
  // The same sizes, but one weight lies elsewhere.
  const { parameters } = plan;
  const swapped: TrainingPlan = {
    ...plan,
    parameters: {
      ...parameters,
      async write(entry, plain, into) {
        const elsewhere = plain.slice();
        if (entry.spec.name === 'conv2.weight') elsewhere.reverse();
        await parameters.write(entry, elsewhere, into);
      },
    },
  };
  expect(await errorOf([config, dataset, swapped])).toMatchObject({
    message:
      'processes that train together must agree: process 1 differs from process 0 in the layout of the parameters, which the processor and the version of oneDNN decide',
    fix: 'Use machines with the same kind of processor and the same libdnnl',
  });
});
