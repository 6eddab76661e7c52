/** What holds for every optimizer of the registry, on networks of a few weights. */
import { describe, expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { loadOnednn, noOnednn } from '../../../test/load-onednn.ts';
import { skippable } from '../../../test/skippable.ts';
import { plainTraining } from '../../../test/plain-training.ts';
import { singleProcess, type Collective } from '../../cluster/collective.ts';
import type { Batch } from '../../data/batch.ts';
import { createFill } from '../../data/fill.ts';
import { splitOf } from '../../data/image-set.ts';
import type { Engine } from '../../engine/engine.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { createClassifier, trainingPreprocessing } from '../classifier.ts';
import { resolveConfig } from '../config.ts';
import type { ConfigOverrides } from '../config-schema.ts';
import { initializeParameters } from '../initialize.ts';
import { createTrainer, trainingOptions, type Trainer } from '../trainer.ts';
import { optimizers, optimizerSchema } from './registry.ts';

const dataset = noiseDataset(8, { train: 10, test: 4 });
const tiny: ConfigOverrides = {
  ...{ model: 'tuto', dataset: 'noise', 'conv1.filters': 2, 'conv1.kernel': 3, 'conv2.filters': 3, 'conv2.kernel': 3 },
  ...{ 'dense1.features': 5, 'dense2.features': 4, batchSize: 4, steps: 6, inputSize: 6, threads: 1, learningRate: 0.02 },
};

/** A trainer with the batches that its data loader would give it. */
async function made(overrides: ConfigOverrides, { engine = referenceEngine, collective = singleProcess, batchSize = 4 } = {}) {
  const config = resolveConfig(tiny, overrides);
  const classifier = createClassifier(config, dataset);
  const plan = await engine.compileTraining(classifier.network, { ...trainingOptions(config, singleProcess), batchSize });
  await initializeParameters(plan.parameters, config.seed, config.initializer);
  const trainer = createTrainer(plan, config, collective);
  const fill = createFill({
    images: splitOf(dataset, 'train', false),
    shape: dataset.shape,
    preprocessing: trainingPreprocessing(classifier, config),
    batchSize,
    task: { type: 'training', seed: config.seed, firstStep: 0, rank: collective.rank, worldSize: collective.worldSize },
  });
  const nextBatch = (): Batch => {
    const batch = { inputs: new Float32Array(plan.input.length), labels: new Uint8Array(batchSize), count: batchSize };
    fill(trainer.step, batch);
    return batch;
  };
  const train = async (steps: number): Promise<void> => {
    for (let i = 0; i < steps; i++) await trainer.train(nextBatch(), false);
  };
  return { config, trainer, nextBatch, train, dispose: () => plan.dispose() };
}

function distance(a: Awaited<ReturnType<Trainer['state']>>, b: ReadonlyMap<string, ArrayLike<number>>): number {
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  return Math.max(
    ...[...a].map(([name, { data }]) => {
      const other = b.get(name)!;
      const scale = Math.max(1e-3, ...data.map(Math.abs));
      return Math.max(...data.map((value, i) => Math.abs(value - other[i]!))) / scale;
    }),
  );
}

const types = optimizers.map(({ schema }) => schema.shape.type.value);
const onednn = await loadOnednn();
const whyNot = onednn === undefined ? noOnednn : undefined;

describe.each(types)('%s', (type) => {
  const chosen: ConfigOverrides = { 'optimizer.type': type, ...(type === 'adamw' && { 'optimizer.epsilon': 1e-4 }) };
  const pruned: ConfigOverrides = { ...chosen, pruning: 'magnitude', 'pruning.sparsity': 0.6, 'pruning.rounds': 2 };

  test('every option has a default, and what goes with it is a configuration', () => {
    const options = optimizerSchema.parse({ type });
    const config = resolveConfig({ model: 'tuto', recipe: type === 'sgd' ? '2017' : 'modern', optimizer: type });
    expect(config.optimizer).toEqual(options);
    const { usual } = optimizers.find(({ schema }) => schema.shape.type.value === type)!;
    if (type !== 'sgd') expect(config).toMatchObject(usual);
    expect(() => resolveConfig({ model: 'tuto', optimizer: { type, speed: 1 } })).toThrow(
      `there is no key "speed" in optimizer of type "${type}"`,
    );
  });

  test('taken up again, every bit is as if nothing had happened', async () => {
    const whole = await made(chosen);
    await whole.train(6);
    const first = await made(chosen);
    await first.train(4);
    const second = await made({ ...chosen, seed: 1 });
    await second.trainer.restore(await first.trainer.state(), 4, 'the first');
    await second.train(2);
    expect(await second.trainer.state()).toEqual(await whole.trainer.state());
  });

  test.each(['rate', 'none'])('pruned weights and all that belongs to them are zero (rewind: %s)', async (rewind) => {
    const { config, train, trainer } = await made({ ...pruned, 'pruning.rewind': rewind });
    await train(6);
    const state = await trainer.state();
    const masks = [...state].filter(([name]) => name.startsWith('mask.'));
    expect(masks).toHaveLength(5);
    let zeros = 0;
    for (const [name, { data: mask }] of masks) {
      const weight = name.slice('mask.'.length);
      const belonging = [...state].filter(([other]) => other.endsWith(weight) && !other.startsWith('mask.'));
      for (const [, { data }] of belonging) expect(mask.every((kept, i) => kept === 1 || data[i] === 0)).toBe(true);
      zeros += mask.filter((kept) => kept === 0).length;
    }
    expect(zeros).toBeGreaterThan(100);
    expect(distance(state, plainTraining(config, dataset).at(-1)!.tensors)).toBeLessThan(5e-5);
  });

  test('of two processes that see the same, each takes the step of one alone', async () => {
    const both: Collective = {
      ...singleProcess,
      worldSize: 2,
      backgroundSum: (buffer) => ({
        advance: () => undefined,
        finish: async () => {
          const staged = 'stage' in buffer ? buffer.stage() : undefined;
          await staged?.fetch();
          const numbers = staged?.host ?? (buffer as Float64Array);
          numbers.forEach((value, i) => (numbers[i] = 2 * value));
          await staged?.store();
        },
      }),
    };
    const process = await made(chosen, { collective: both, batchSize: 2 });
    const alone = await made({ ...chosen, batchSize: 2 }, { batchSize: 2 });
    for (let step = 0; step < 3; step++) {
      const batch = alone.nextBatch();
      for (const { trainer } of [process, alone]) await trainer.train(batch, false);
    }
    const expected = new Map([...(await alone.trainer.state())].map(([name, { data }]) => [name, data]));
    expect(distance(await process.trainer.state(), expected)).toBeLessThan(1e-5);
  });

  test.skipIf(whyNot)(skippable('oneDNN takes the steps of the reference engine', whyNot), async () => {
    const ends: Awaited<ReturnType<Trainer['state']>>[] = [];
    for (const engine of [referenceEngine, onednn!] as Engine[]) {
      const run = await made({ ...chosen, movingAverage: false }, { engine });
      await run.train(4);
      ends.push(await run.trainer.state());
      run.dispose();
    }
    const other = new Map([...ends[1]!].map(([name, { data }]) => [name, data]));
    expect(distance(ends[0]!, other)).toBeLessThan(1e-3);
  });
});
