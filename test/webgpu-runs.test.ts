/** Runs on the WebGPU engine: what they wait for, with which tiles they go on, and what is left of them when the device is gone. */
import { readFileSync, rmSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DeviceError } from '../src/engine/device-error.ts';
import type { Engine } from '../src/engine/engine.ts';
import { createWebgpuEngine } from '../src/engine/webgpu/engine.ts';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { openRun, readEnvironment, type Run } from '../src/runs/run-folder.ts';
import { readStatus } from '../src/runs/run-status.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { resolveConfig } from '../src/train/config.ts';
import { resumeConfig } from '../src/train/resume.ts';
import { benchmarkTraining } from '../src/train/benchmark.ts';
import type { TrainOptions } from '../src/train/train-options.ts';
import { train } from '../src/train/train.ts';
import { loadGpu, noWebgpu } from './load-webgpu.ts';
import { noiseDataset } from './noise-dataset.ts';
import { skippable } from './skippable.ts';

const gpu = await loadGpu();
const whyNot = gpu === undefined ? noWebgpu : undefined;
const dataset = noiseDataset(8, { train: 12, test: 4 });

describe.skipIf(whyNot)(skippable('a run on the WebGPU engine', whyNot), () => {
  let engine: Engine;
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-webgpu-runs-'));
  beforeAll(() => {
    engine = createWebgpuEngine(gpu!);
  });
  afterAll(() => {
    gpu?.dispose();
    rmSync(runsFolder, { recursive: true });
  });

  const tiny: ConfigOverrides = {
    ...{ model: 'tuto', dataset: 'noise', 'conv1.filters': 4, 'conv1.kernel': 3, 'conv2.filters': 4, 'conv2.kernel': 3 },
    ...{ dense1: false, dense2: false, lrn: false, inputSize: 8, batchSize: 4, threads: 1 },
    ...{ steps: 6, logEvery: 100, evalEvery: 0, saveEvery: 0, keepCheckpoints: 0 },
  };
  const start = (change: ConfigOverrides = {}, more: Partial<TrainOptions> = {}) =>
    train({ config: resolveConfig(tiny, change), engine, dataset, record: { runsFolder }, ...more });
  const goOn = (run: Run, change: ConfigOverrides, by = engine) =>
    train({ config: resumeConfig(run, change), engine: by, dataset, record: { resume: run } });
  const weightsOf = (run: Run | undefined) => [...loadCheckpoint(latestCheckpoint(run!)!.path).tensors];

  test('hands over one command buffer a step, and waits for nothing but records, the end and 32 steps under way', async () => {
    const [submit, read] = [vi.spyOn(gpu!.device.queue, 'submit'), vi.spyOn(gpu!, 'read')];
    const count = async (steps: number) => {
      submit.mockClear();
      read.mockClear();
      await start({ steps });
      return { submitted: submit.mock.calls.length, read: read.mock.calls.length };
    };
    const [short, longer, longest] = [await count(20), await count(31), await count(40)];
    vi.restoreAllMocks();
    expect(longer).toEqual({ submitted: short.submitted + 11, read: short.read });
    // After 32 steps the losses are read, by a copy of their own.
    expect(longest).toEqual({ submitted: longer.submitted + 9 + 1, read: longer.read + 1 });
  });

  test('goes on with the tiles that it began with', async () => {
    const other = engine.tunedAs!('tiles 8x8x8/4x4; 1 workgroups');
    const straight = await start({}, { engine: other });
    expect(readEnvironment(straight.run!).tuning).toBe('tiles 8x8x8/4x4; 1 workgroups');
    const stopped = await start({ steps: 3 }, { engine: other });
    const resumed = await goOn(stopped.run!, { steps: 6 });
    expect(weightsOf(resumed.run)).toEqual(weightsOf(straight.run));
    // Sums in another order have other bits: the comparison would see it.
    const own = await start();
    expect(readEnvironment(own.run!).tuning).toBe('tiles 8x8x8/4x4; 8 workgroups');
    expect(weightsOf(own.run)).not.toEqual(weightsOf(straight.run));
  });

  test('refuses tiles that are none, as people may edit files', async () => {
    const { run } = await start({ steps: 1 });
    const path = join(run!.path, 'environment.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('; 8 workgroups', '; no workgroups'));
    await expect(goOn(run!, { steps: 2 })).rejects.toMatchObject({
      message: expect.stringContaining('tuning (="tiles 8x8x8/4x4; no workgroups")') as string,
      fix: expect.stringContaining('take the line out') as string,
    });
  });

  test('keeps its last checkpoint when the device is lost, and goes on from there on another one', async () => {
    const straight = await start({ recipe: 'modern', inputSize: 8 });
    const lost = (await loadGpu())!;
    let run: Run | undefined;
    const training = start(
      { recipe: 'modern', inputSize: 8, saveEvery: 2 },
      {
        engine: createWebgpuEngine(lost),
        hooks: {
          onStart: (started) => {
            run = started.run;
          },
          onSave: (step) => {
            if (step === 4) lost.device.destroy();
          },
        },
      },
    );
    const error: unknown = await training.catch((thrown: unknown) => thrown);
    lost.dispose();
    expect(error).toBeInstanceOf(DeviceError);
    expect(error).toMatchObject({
      message: expect.stringMatching(
        /^WebGPU on .*the device was lost.*; the checkpoint of step 4 is kept in tuto\/\d+$/,
      ) as string,
      fix: expect.stringMatching(/^ablate train --resume tuto\/\d+\. /) as string,
    });
    expect(readStatus(run!)).toMatchObject({
      status: 'interrupted',
      reason: expect.stringContaining('device was lost') as string,
    });
    expect(latestCheckpoint(run!)!.step).toBe(4);
    const resumed = await goOn(openRun(run!.path), {});
    expect(resumed.step).toBe(6);
    expect(weightsOf(resumed.run)).toEqual(weightsOf(straight.run));
  });

  test('bench train times it', async () => {
    const config = resolveConfig(tiny);
    const { layers, device, breakdown, msPerStep } = await benchmarkTraining({
      ...{ engine, config, dataset, warmUpSteps: 1, steps: 2, repetitions: 2 },
    });
    expect(device!.timedBy).toBe('timestamps');
    for (const rate of Object.values(device!.ceilings)) expect(rate).toBeGreaterThan(0);
    expect(Object.values(breakdown).reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(msPerStep.median, 9);
    const of = (layer: string) => layers.filter((each) => each.layer === layer).map(({ pass }) => pass);
    // The sum of the gradient's parts is a kernel of its own.
    expect(of('conv1')).toEqual(['forward', 'backwardWeights', 'backwardWeights']);
    for (const { layer, pass, ms } of layers) expect(ms, `${layer} ${pass}`).toBeGreaterThan(0);
  });
});
