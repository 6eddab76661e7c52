/**
 * Float16 on the WebGPU engine: it computes what the reference engine computes, but for the roundings; small gradients survive, and a step whose gradients overflow
 * changes nothing. On adapters that have `shader-f16`: Chromium's software adapter has not, that of Mesa 23.1 and later has.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, LossScale, TrainingPlan } from '../src/engine/engine.ts';
import { createWebgpuEngine } from '../src/engine/webgpu/engine.ts';
import type { Gpu } from '../src/engine/webgpu/gpu.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import { latestCheckpoint, loadCheckpoint, saveCheckpoint } from '../src/runs/checkpoint.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { metricsPath, type Run } from '../src/runs/run-folder.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { resumeConfig } from '../src/train/resume.ts';
import { trainAll } from '../src/train/side-by-side.ts';
import { train } from '../src/train/train.ts';
import { normal, streamKey } from '../src/util/random.ts';
import { disagreements } from './compare-engines.ts';
import { allLayerCases, layerCases, relativeError } from './layer-cases.ts';
import { loadHalfGpu, noHalf } from './load-webgpu.ts';
import { noiseDataset } from './noise-dataset.ts';
import { skippable } from './skippable.ts';
import { errorsOf } from './webgpu-cases.ts';

/** Half of the distance from 1 to the next number of float16. */
const rounding = 2 ** -11;

/**
 * Of outputs, relative to the largest: input, weights and activations of the three or four layers of a case are each rounded once, and sums are float32. Gradients are
 * rounded as often on their way back, and an activation that rounding moves across a ReLU's kink sends its gradient elsewhere.
 */
const outputTolerance = 4 * rounding;
const gradientTolerance = 16 * rounding;

const gpu = await loadHalfGpu();
const whyNot = gpu === undefined ? noHalf : undefined;

describe.skipIf(whyNot)(skippable('float16 on the WebGPU engine', whyNot), () => {
  let engine: Engine;
  beforeAll(() => {
    engine = createWebgpuEngine(gpu!);
  });
  afterAll(() => engine.dispose());

  /** [5] -> dense to 8 with a ReLU -> dense to 4: the gradient of the 8 is in float16. */
  const builder = new NetworkBuilder('small', [5]);
  const hidden = builder.dense('hidden', builder.input, { features: 8, activation: 'relu' });
  const network = builder.build(builder.dense('head', hidden, { features: 4 }));
  const batchSize = 3;

  function normals(length: number, purpose: string): Float32Array {
    const key = streamKey(7, purpose);
    return Float32Array.from({ length }, (_, i) => normal(key, i));
  }

  async function smallPlan(own = engine): Promise<TrainingPlan> {
    const plan = await own.compileTraining(network, { batchSize, precision: 'f16' });
    for (const entry of plan.parameters.entries) {
      const { name, shape } = entry.spec;
      await plan.parameters.write(
        entry,
        normals(
          shape.reduce((a, b) => a * b, 1),
          name,
        ),
        plan.parameters.values,
      );
    }
    plan.input.set(normals(batchSize * 5, 'input'));
    return plan;
  }

  const scaled = (scale: number, goodSteps = 0, skippedSteps = 0): LossScale => ({ scale, goodSteps, skippedSteps });

  /** The gradients of the parameters for a gradient of the outputs of about `size`, computed with the given scale. */
  async function gradientsOf(plan: TrainingPlan, size: number, scale: LossScale): Promise<Float32Array> {
    await plan.lossScaling!.write(scale);
    plan.forward({ seed: 1, step: 1 });
    await plan.outputGradient.write(normals(batchSize * 4, 'gradient').map((value) => size * value));
    plan.backward();
    return await plan.parameters.gradients.read();
  }

  // Mesa takes seconds to translate the kernels of a case: test/webgpu-agreement.ts has them all. None has an activation that is nearer to a ReLU's kink than a rounding.
  const names = [
    ...['conv 3x3, 16 to 32 channels', 'conv in 2 groups', 'conv depthwise, 32 channels', 'gelu of an image', 'add of a bypass'],
    ...[layerCases.batchNorm, layerCases.maxPool, layerCases.lrn, layerCases.concat].map(([first]) => first!.name),
  ];
  const cases = names.map((name) => allLayerCases.map(([, , each]) => each).find((each) => each.name === name)!);
  test.each(cases.map((each) => [each.name, each] as const))('agrees with the reference engine: %s', async (_, layerCase) => {
    const errors = Object.entries(await errorsOf(engine, layerCase, 'f16'));
    const isGradient = ([name]: readonly [string, number]) => name.startsWith('gradient');
    const outputs = errors.filter((each) => !isGradient(each));
    expect(disagreements(Object.fromEntries(outputs), outputTolerance)).toEqual({});
    expect(disagreements(Object.fromEntries(errors.filter(isGradient)), gradientTolerance)).toEqual({});
  });

  test('the scale is taken out of the gradients, and keeps small ones from being rounded to zero', async () => {
    const plan = await smallPlan();
    const exact = await gradientsOf(plan, 1, scaled(1));
    expect(relativeError(await gradientsOf(plan, 1, scaled(2 ** 8)), exact)).toBe(0);
    const tiny = 2 ** -28;
    const expected = exact.map((value) => tiny * value);
    expect(relativeError(await gradientsOf(plan, tiny, scaled(2 ** 18)), expected)).toBeLessThan(rounding);
    expect(relativeError(await gradientsOf(plan, tiny, scaled(1)), expected)).toBeGreaterThan(0.1);
    plan.dispose();
  });

  test('a step whose gradients overflow changes nothing, and halves the scale; the next one goes on', async () => {
    const plan = await smallPlan();
    const { parameters: arena, vectorMath, lossScaling } = plan;
    const { updates } = lossScaling!;
    const momentum = arena.allocate();
    await momentum.write(normals(arena.length, 'momentum'));
    const [w, m] = [arena.values.part(0, arena.trainableLength), momentum.part(0, arena.trainableLength)];
    const state = async () => ({ w: await w.read(), m: await m.read(), scale: await lossScaling!.read() });
    const roll = updates.multiplyAdd(m, [arena.gradients], m);
    const descend = updates.multiplyAdd(m, [w], w);
    const step = async (size: number) => {
      plan.forward({ seed: 1, step: 1 });
      await plan.outputGradient.write(normals(batchSize * 4, 'gradient').map((value) => size * value));
      plan.backward();
      roll([0.9, 1]);
      descend([-0.1, 0.99]);
      updates.scaleToNorm(w, w)(1, 1e-7);
      updates.fill(m.part(0, 4))(3);
    };
    await lossScaling!.write(scaled(2 ** 16, 5, 2));
    const before = await state();
    await step(100);
    expect(await state()).toEqual({ ...before, scale: scaled(2 ** 15, 0, 3) });
    expect(Math.max(...(await arena.gradients.read()).map(Math.abs))).toBe(0);
    // What is no update is done all the same.
    vectorMath.fill(m)(1);
    expect((await m.read()).every((value) => value === 1)).toBe(true);
    await step(0.01);
    const after = await state();
    expect(after.scale).toEqual(scaled(2 ** 15, 1, 3));
    expect(after.w).not.toEqual(before.w);
    expect([...after.m.subarray(0, 4)]).toEqual([3, 3, 3, 3]);
    plan.dispose();
  });

  test('the scale is doubled after 1,000 good steps, up to 2^24, and is never below 2^-14', async () => {
    const plan = await smallPlan();
    const after = async (size: number, scale: LossScale) => {
      await gradientsOf(plan, size, scale);
      return await plan.lossScaling!.read();
    };
    expect(await after(1, scaled(4, 998))).toEqual(scaled(4, 999));
    expect(await after(1, scaled(4, 999))).toEqual(scaled(8));
    expect(await after(2 ** -20, scaled(2 ** 24, 999))).toEqual(scaled(2 ** 24));
    expect(await after(1e9, scaled(2 ** -13, 7))).toEqual(scaled(2 ** -14, 0, 1));
    expect(await after(Infinity, scaled(2 ** -14, 0, 1))).toEqual(scaled(2 ** -14, 0, 2));
    plan.dispose();
  });

  test('side by side each network has its own scale, and the bits of it alone', async () => {
    const steps = async (own: Engine, scale: LossScale) => {
      const plan = await smallPlan(own);
      const { parameters: arena, lossScaling } = plan;
      const w = arena.values.part(0, arena.trainableLength);
      const descend = lossScaling!.updates.multiplyAdd(arena.gradients, [w], w);
      await lossScaling!.write(scale);
      for (let step = 0; step < 3; step++) {
        await plan.prepareStep?.();
        plan.forward({ seed: 1, step });
        plan.computeLoss({ labels: Uint8Array.of(0, 3, step) });
        plan.backward();
        descend([-0.5, 1]);
      }
      const results = { w: await w.read(), losses: await plan.takeLosses(), scale: await lossScaling!.read() };
      plan.dispose();
      own.dispose();
      return results;
    };
    const scales = [scaled(2 ** 24), scaled(2 ** 4)];
    const together = engine.sideBySide!.open(2);
    const results = await Promise.all(scales.map((scale, lane) => steps(together[lane]!, scale)));
    const alone = await Promise.all(scales.map((scale) => steps(engine.sideBySide!.open(1)[0]!, scale)));
    expect(results).toEqual(alone);
    expect(results[0]!.scale.skippedSteps).toBeGreaterThan(0);
    expect(results[1]!.scale).toEqual(scaled(2 ** 4, 3));
  });

  test.each([
    ['an overflow becomes the largest number', 'clamp(given[i], -65504.0, 65504.0)'],
    ['numbers are rounded more', 'round(given[i] * 64.0) / 64.0'],
  ])('an adapter on which %s is refused', async (_, value) => {
    const compile: Gpu['compile'] = (code, written) =>
      gpu!.compile(code.replace('made[i] = f16(given[i])', `made[i] = f16(${value})`), written);
    const wrong = new Proxy(gpu!, {
      get: (target, key) => {
        const own: unknown = key === 'compile' ? compile : Reflect.get(target, key, target);
        return typeof own === 'function' ? (own.bind(target) as unknown) : own;
      },
    });
    await expect(createWebgpuEngine(wrong).compileInference(network, { batchSize, precision: 'f16' })).rejects.toMatchObject({
      message: expect.stringMatching(/^precision \(="f16"\) does not work on .*: it makes .* of 131072, -1000000, /) as string,
      fix: '--precision f32',
    });
  });

  describe('runs', () => {
    const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-f16-'));
    afterAll(() => rmSync(runsFolder, { recursive: true }));
    const dataset = noiseDataset(8, { train: 16, test: 4 });
    const tiny: ConfigOverrides = {
      ...{ model: 'tuto', dataset: 'noise', recipe: 'modern', 'conv1.filters': 4, 'conv1.kernel': 3, 'conv2.filters': 4 },
      ...{ 'conv2.kernel': 3, dense1: false, dense2: false, lrn: false, inputSize: 8, batchSize: 4, threads: 1 },
      ...{ steps: 6, logEvery: 3, evalEvery: 0, saveEvery: 0, keepCheckpoints: 0, precision: 'f16' },
    };
    const start = (change: ConfigOverrides = {}) =>
      train({ config: resolveConfig(tiny, change), engine, dataset, record: { runsFolder } });
    const goOn = (run: Run, change: ConfigOverrides) =>
      train({ config: resumeConfig(run, change), engine, dataset, record: { resume: run } });
    const checkpointOf = (run: Run) => loadCheckpoint(latestCheckpoint(run)!.path);
    const contents = (run: Run) => [...checkpointOf(run).tensors].map(([name, { data }]) => [name, [...data]] as const);
    const state = 'opt.lossScaling.state';

    test('learn as in float32, record the scale, and go on with the same bits after they were stopped', async () => {
      const straight = await start();
      const exact = await start({ precision: 'f32' });
      const [half, full] = [straight, exact].map(({ run }) => readMetrics(metricsPath(run!)));
      expect(half!.map(({ metrics }) => [metrics['train/lossScale'], metrics['train/skippedSteps']])).toEqual([
        [4096, 0],
        [4096, 0],
        [undefined, undefined],
      ]);
      const losses = [half!, full!].map((records) => records.flatMap(({ metrics }) => metrics['train/loss'] ?? []));
      expect(losses[0]).toHaveLength(2);
      expect(relativeError(losses[0]!, losses[1]!)).toBeLessThan(gradientTolerance);
      expect(losses[0]).not.toEqual(losses[1]);

      const stopped = await start({ steps: 3 });
      expect(Object.fromEntries(contents(stopped.run!))[state]).toEqual([4096, 3, 0]);
      // Its schedule is that of a run of three steps.
      const resumed = await goOn(stopped.run!, { steps: 6 });
      const other = await start({ saveEvery: 3 });
      expect(contents(other.run!)).toEqual(contents(straight.run!));
      expect(Object.fromEntries(contents(resumed.run!))[state]).toEqual([4096, 6, 0]);
      await expect(async () => goOn(resumed.run!, { precision: 'f32' })).rejects.toThrow(
        'precision (="f32") must be "f16", as tuto/',
      );
    });

    test('go on with the scale of the checkpoint, and take none that no training could have left', async () => {
      const { run } = await start({ steps: 2 });
      const change = (...data: readonly number[]) => {
        const known = checkpointOf(run!);
        const tensors = new Map([...known.tensors, [state, { shape: [3], data: Float32Array.from(data) }]]);
        saveCheckpoint(run!, { ...known, tensors });
      };
      // Running statistics are of the forward pass, which has not overflowed.
      const learned = () => Object.fromEntries(contents(run!).filter(([name]) => !/^[^.]+\.(mean|variance)$/.test(name)));
      const before = learned();
      change(2 ** 24, 10, 7);
      // Too large a scale: all steps are left out, the averages of the weights and the momentum too.
      await goOn(run!, { steps: 4 });
      const after = learned();
      expect(after[state]).toEqual([2 ** 22, 0, 9]);
      expect({ ...after, [state]: [] }).toEqual({ ...before, [state]: [] });
      for (const [scale, good, skipped] of [
        [3, 0, 0],
        [0, 0, 0],
        [4, 0.5, 0],
        [4, 0, -1],
      ] as const) {
        change(scale, good, skipped);
        await expect(goOn(run!, { steps: 6 })).rejects.toThrow(/has opt\.lossScaling\.state \(=.*\): a training in float16/);
      }
    });

    test('side by side are what each would be alone', async () => {
      const differing = [{ seed: 1 }, { seed: 2, learningRate: 0.01, labelSmoothing: 0.1 }];
      const trainings = differing.map((change) => ({ config: resolveConfig(tiny, change), dataset, record: { runsFolder } }));
      const together = await trainAll(engine, trainings);
      for (const [i, outcome] of together.entries()) {
        if (outcome.state !== 'trained') throw outcome.state === 'failed' ? outcome.error : new Error('not begun');
        const { run } = await start(differing[i]);
        expect(contents(outcome.result.run!)).toEqual(contents(run!));
      }
    });
  });
});
