/** Trainings that prune, start from other weights, or learn from a teacher, with everything that has state. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Engine } from '../engine/engine.ts';
import { createOnednnEngine } from '../engine/onednn/engine.ts';
import { probeOnednn } from '../engine/onednn/probe.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { latestCheckpoint, listCheckpoints, loadCheckpoint } from '../runs/checkpoint.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import { runName, type Run } from '../runs/run-folder.ts';
import { encodeSafetensors, readSafetensors, type Tensor } from '../runs/safetensors.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { resumeConfig } from './resume.ts';
import type { TrainHooks, TrainResult } from './train-options.ts';
import { train } from './train.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-pruned-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const dataset = noiseDataset(12, { train: 32, test: 11 });

/** Momentum, averages, batch normalization, dropout, and slow weights. */
const small: ConfigOverrides = {
  model: 'tuto',
  dataset: 'noise',
  'conv1.filters': 4,
  'conv1.kernel': 3,
  'conv2.filters': 5,
  'conv2.kernel': 3,
  'dense1.features': 16,
  dense2: false,
  batchNorm: true,
  'dense.dropout': 0.2,
  batchSize: 8,
  steps: 12,
  inputSize: 10,
  recipe: 'modern',
  lookahead: true,
  'lookahead.every': 2,
  evalEvery: 0,
  saveEvery: 4,
  keepCheckpoints: 0,
  threads: 1,
};

const pruning: ConfigOverrides = { pruning: 'magnitude', 'pruning.sparsity': 0.8, 'pruning.rounds': 3 };

const engines: [string, () => Engine][] = [
  ['reference', () => referenceEngine],
  ...(probeOnednn().ok ? [['onednn', () => createOnednnEngine({ threads: 1 })] satisfies [string, () => Engine]] : []),
];

const weightNames = ['conv1.weight', 'conv2.weight', 'dense1.weight', 'logits.weight'];

function tensorsAt(run: Run, step?: number): ReadonlyMap<string, Tensor> {
  const file = step === undefined ? latestCheckpoint(run)! : listCheckpoints(run).find((each) => each.step === step)!;
  return loadCheckpoint(file.path).tensors;
}

function tensorBytes({ run }: TrainResult): Buffer {
  return Buffer.from(encodeSafetensors(tensorsAt(run!), {}));
}

/** Zeros of all weights together, the share of them, and that every array of state is zero where the mask is. */
function sparsityOf(tensors: ReadonlyMap<string, Tensor>): number {
  let zeros = 0;
  let all = 0;
  for (const name of weightNames) {
    const mask = tensors.get(`mask.${name}`)!.data;
    zeros += mask.filter((bit) => bit === 0).length;
    all += mask.length;
    expect(mask.every((bit) => bit === 0 || bit === 1)).toBe(true);
    for (const prefix of ['', 'ema.', 'opt.momentum.', 'opt.lookahead.']) {
      const { data } = tensors.get(prefix + name)!;
      expect(data.every((value, i) => mask[i] === 1 || Object.is(value, 0))).toBe(true);
      // The others live: all but a few have moved.
      expect(data.filter((value, i) => mask[i] === 1 && value !== 0).length).toBeGreaterThan(0);
    }
  }
  return zeros / all;
}

describe.each(engines)('on the %s engine', (_, createEngine) => {
  const engine = createEngine();

  function start(overrides: ConfigOverrides = {}, more: { hooks?: TrainHooks; signal?: AbortSignal } = {}) {
    return train({ config: resolveConfig(small, overrides), engine, dataset, record: { runsFolder }, ...more });
  }

  function resume(run: Run): Promise<TrainResult> {
    return train({ config: resumeConfig(run, {}), engine, dataset, record: { resume: run } });
  }

  async function startAndStopAfter(step: number, overrides: ConfigOverrides): Promise<TrainResult> {
    const controller = new AbortController();
    const hooks: TrainHooks = { onStep: ({ step: taken }) => taken === step - 1 && controller.abort() };
    const stopped = await start(overrides, { signal: controller.signal, hooks });
    expect(stopped).toMatchObject({ status: 'interrupted', step });
    return stopped;
  }

  test('pruned weights are exactly zero after every round, in the averages and the state too, and as many as asked for', async () => {
    const { run } = await start(pruning);
    const all = weightNames.reduce((sum, name) => sum + tensorsAt(run!).get(name)!.data.length, 0);
    // 0.8 * (1 - (2/3)^3), 0.8 * (1 - (1/3)^3), 0.8 of the weights, to one
    const expected = [0.8 * (1 - 8 / 27), 0.8 * (1 - 1 / 27), 0.8];
    const reached = [4, 8, 12].map((step) => sparsityOf(tensorsAt(run!, step)));
    reached.forEach((sparsity, round) => expect(sparsity).toBe(Math.round(expected[round]! * all) / all));
  });

  test('the learning rate starts over with each round, or goes over all of them', async () => {
    const rates = async (rewind: string): Promise<number[]> => {
      const { run } = await start({ ...pruning, 'pruning.rewind': rewind, logEvery: 1 });
      const { readMetrics } = await import('../runs/metrics.ts');
      const { metricsPath } = await import('../runs/run-folder.ts');
      return readMetrics(metricsPath(run!)).flatMap(({ metrics }) => metrics['train/learningRate'] ?? []);
    };
    const again = await rates('rate');
    expect(again).toHaveLength(12);
    expect(again.slice(4, 8)).toEqual(again.slice(0, 4));
    expect(again.slice(8)).toEqual(again.slice(0, 4));
    const once = await rates('none');
    expect(once.slice(4, 8)).not.toEqual(once.slice(0, 4));
    expect(once.at(-1)).toBeLessThan(once[4]!);
  });

  test.each([5, 8])('stopped after step %i, within or between rounds, and resumed it ends in the same bytes', async (step) => {
    const original = await start({ steps: 2 });
    const overrides = { ...pruning, init: runName(original.run!), 'pruning.rewind': runName(original.run!) };
    const straight = await start(overrides);
    const stopped = await startAndStopAfter(step, overrides);
    const resumed = await resume(stopped.run!);
    expect(resumed).toMatchObject({ status: 'finished', step: 12 });
    expect(tensorBytes(resumed)).toEqual(tensorBytes(straight));
    expect(resumed.evaluations[0]!.loss).toBe(straight.evaluations[0]!.loss);
  });

  test('rewound weights are those of the run they go back to, as far as they are left', async () => {
    const original = await start({ steps: 2 });
    const { run } = await start({
      ...pruning,
      'pruning.rewind': runName(original.run!),
      learningRate: 1e-20,
      weightDecay: 'none',
      lookahead: false,
    });
    const [old, rewound] = [tensorsAt(original.run!), tensorsAt(run!)];
    for (const name of weightNames) {
      const mask = rewound.get(`mask.${name}`)!.data;
      expect(rewound.get(name)!.data).toEqual(old.get(name)!.data.map((value, i) => (mask[i] === 0 ? 0 : value)));
    }
  });

  test('a training that starts from a pruned run keeps its weights pruned; it can be pruned further, not less', async () => {
    const { run } = await start(pruning);
    const init = runName(run!);
    const tuned = await start({ init, steps: 3 });
    expect(sparsityOf(tensorsAt(tuned.run!))).toBe(sparsityOf(tensorsAt(run!)));
    for (const name of weightNames) {
      expect(tensorsAt(tuned.run!).get(`mask.${name}`)).toEqual(tensorsAt(run!).get(`mask.${name}`));
    }
    const further = await start({ ...pruning, init, 'pruning.sparsity': 0.9, 'pruning.scope': 'layer' });
    expect(sparsityOf(tensorsAt(further.run!))).toBeCloseTo(0.9, 2);
    await expect(start({ ...pruning, init, 'pruning.sparsity': 0.5 })).rejects.toThrow(
      /pruning\.sparsity \(=0\.5\) must be above 0\.8\d*, the sparsity of the weights it starts from/,
    );
  });

  test('masks that are not of 0 and 1 are refused, to start from and to go on from', async () => {
    const { run } = await startAndStopAfter(5, pruning);
    const { path } = latestCheckpoint(run!)!;
    const { tensors, metadata } = readSafetensors(path);
    const mask = tensors.get('mask.conv1.weight')!;
    const halved = { ...mask, data: mask.data.map((value) => value / 2) };
    const file = join(runsFolder, 'halved.safetensors');
    writeFileSync(file, encodeSafetensors(new Map([...tensors, ['mask.conv1.weight', halved]]), metadata));
    const problem = 'halved.safetensors is damaged: mask.conv1.weight has the value 0.5';
    await expect(start({ init: file, steps: 3 })).rejects.toThrow(problem);
    await expect(start({ teacher: file, steps: 3 })).rejects.toThrow(problem);
    renameSync(file, path);
    await expect(resume(run!)).rejects.toThrow('mask.conv1.weight has the value 0.5');
  });

  test('so does one that starts from a file of pruned weights alone; a layer of zeros alone is trained', async () => {
    const { run } = await start({ ...pruning, steps: 3 });
    const masks = tensorsAt(run!);
    const weights = checkpointWeights({ tensors: masks }, 'ema', 'pruned');
    const bias = weights.get('logits.bias')!;
    weights.set('logits.bias', { ...bias, data: bias.data.map((_, i) => i % 2) });
    const init = join(runsFolder, 'pruned.safetensors');
    writeFileSync(init, encodeSafetensors(weights, { model: 'tuto' }));
    const tuned = await start({ init, steps: 3 });
    for (const name of weightNames) {
      expect(tensorsAt(tuned.run!).get(`mask.${name}`)).toEqual(masks.get(`mask.${name}`));
    }
    const trained = tensorsAt(tuned.run!).get('logits.bias')!.data;
    expect(trained.every((value) => value !== 0)).toBe(true);
    await expect(start({ ...pruning, init, 'pruning.sparsity': 0.5 })).rejects.toThrow(
      /pruning\.sparsity \(=0\.5\) must be above 0\.8/,
    );
    const logits = weights.get('logits.weight')!;
    weights.set('logits.weight', { ...logits, data: new Float32Array(logits.data.length) });
    writeFileSync(init, encodeSafetensors(weights, { model: 'tuto' }));
    const head = tensorsAt((await start({ init, steps: 3 })).run!).get('logits.weight')!;
    expect(head.data.some((value) => value !== 0)).toBe(true);
  });

  test('a teacher changes what is learnt, is the same after a resume, and is refused when it has changed', async () => {
    const teacher = await start({ steps: 2, 'dense1.features': 8 });
    const overrides = { teacher: runName(teacher.run!), teacherWeight: 0.7, teacherTemperature: 3 };
    const [alone, taught] = [await start(), await start(overrides)];
    expect(tensorBytes(taught)).not.toEqual(tensorBytes(alone));
    const stopped = await startAndStopAfter(6, overrides);
    const config = resumeConfig(stopped.run!, {});
    expect(config.teacherChecksum).toMatch(/^[0-9a-f]{64}$/);
    expect(tensorBytes(await resume(stopped.run!))).toEqual(tensorBytes(taught));
    const again = await startAndStopAfter(6, overrides);
    const { path } = latestCheckpoint(teacher.run!)!;
    const { tensors, metadata } = loadCheckpoint(path);
    const changed = new Map(tensors);
    const bias = tensors.get('ema.logits.bias')!;
    changed.set('ema.logits.bias', { ...bias, data: bias.data.map((value) => value + 1) });
    writeFileSync(path, encodeSafetensors(changed, metadata));
    await expect(resume(again.run!)).rejects.toThrow(
      /the teacher .* has other weights now than those that this training was started with/,
    );
  });

  test('a teacher of all the weight pulls the student to its own outputs', async () => {
    const teacher = await start({ steps: 2, learningRate: 0.001 });
    const evaluation = async (weight: number): Promise<number> => {
      const result = await start({
        ...{ steps: 30, saveEvery: 0, teacher: runName(teacher.run!), teacherWeight: weight, augment: false, inputSize: 10 },
        ...{ 'dense.dropout': 0, labelSmoothing: 0, seed: 2, learningRate: 0.02, movingAverage: false, lookahead: false },
      });
      return result.trainLoss!;
    };
    // Learning the labels of noise ends near zero loss, learning the teacher's uncertain outputs near zero divergence.
    expect(await evaluation(1)).toBeLessThan(0.1);
  });
});

describe('refuses', () => {
  const start = (overrides: ConfigOverrides) =>
    train({ config: resolveConfig(small, overrides), engine: referenceEngine, dataset, record: { runsFolder } });

  test('weights that cannot be had', async () => {
    await expect(start({ init: 'tuto/999' })).rejects.toThrow(/there is no run "tuto\/999"/);
    await expect(start({ teacher: 'nothing.safetensors' })).rejects.toThrow('there is no file nothing.safetensors');
    await expect(start({ ...pruning, 'pruning.rewind': 'alex1' })).rejects.toThrow(/there is no run "alex1"/);
  });

  test('rounds that do not divide the steps, and sparsities out of range', async () => {
    expect(() => resolveConfig(small, { ...pruning, 'pruning.rounds': 5 })).toThrow(
      'steps (=12) must be a multiple of pruning.rounds (=5)',
    );
    expect(() => resolveConfig(small, { ...pruning, 'pruning.sparsity': 1 })).toThrow(
      'pruning.sparsity (=1) must be a number in [0, 1)',
    );
    await expect(start({ ...pruning, 'pruning.sparsity': 0.999, 'pruning.scope': 'layer' })).rejects.toThrow(
      /pruning\.sparsity \(=0\.999\) must be at most 0\.99\d*: 108 weights would leave 0, and conv1\.weight with none/,
    );
  });

  test('other steps for a run that prunes in rounds', async () => {
    const { run } = await start(pruning);
    expect(() => resumeConfig(run!, { steps: 24 })).toThrow(
      /steps \(=24\) must be 12, which the rounds of pruning of tuto\/\d+ divide/,
    );
  });

  test('a teacher of other classes, another input or another standardization', async () => {
    const { run } = await start({ steps: 1 });
    const teacher = runName(run!);
    const otherClasses = { ...dataset, classes: ['a', 'b', 'c', 'x'] };
    const config = resolveConfig(small, { teacher });
    await expect(train({ config, engine: referenceEngine, dataset: otherClasses, record: { runsFolder } })).rejects.toThrow(
      /the teacher .* tells a, b, c, d apart; noise has the classes a, b, c, x/,
    );
    await expect(start({ teacher, inputSize: 12 })).rejects.toThrow(
      /was trained on images of 10x10, and sees the student's of 12x12/,
    );
    const channel = { standardization: { type: 'channel', mean: [0, 0, 0], deviation: [1, 1, 1] } };
    await expect(start({ teacher, ...channel })).rejects.toThrow(/was trained with the standardization \{"type":"image"\}/);
  });
});
