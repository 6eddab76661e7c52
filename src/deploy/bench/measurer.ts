/** Runs a network over and over, and takes the times: what happens in the process behind a competitor. */
import { createTransform, plainView } from '../../data/transform.ts';
import type { Engine } from '../../engine/engine.ts';
import { openEngine, type OpenEngineOptions } from '../../engine/registry.ts';
import { initializeParameters } from '../../train/initialize.ts';
import { streamKey, uint32 } from '../../util/random.ts';
import { readFrozenFile } from '../frozen-model.ts';
import { frozenClassifier, imageShapeOf } from '../metadata.ts';
import { openSession } from '../onnx-runtime.ts';
import type { CompetitorSettings, Measurement, MeasureRequest } from './competitor.ts';

/** Runs one batch, from image bytes to probabilities. */
type RunBatch = () => void | Promise<void>;

/** Prepares for batches of a size; what was prepared before is released. */
type Prepare = (batchSize: number) => Promise<RunBatch>;

/** Where the time comes from, in milliseconds, and how the engine is opened. */
export interface Surroundings {
  readonly now: () => number;
  readonly openEngine: (options: OpenEngineOptions) => Promise<Engine>;
}

const usual: Surroundings = { now: () => performance.now(), openEngine };

/** Runs before the first that is timed. */
const warmUp = { runs: 10, milliseconds: 200 };

/** A function that answers requests, one after the other. The network is loaded for the first, and prepared anew for another batch size. */
export function createMeasurer(
  settings: CompetitorSettings,
  { now, openEngine: open }: Surroundings = usual,
): (request: MeasureRequest) => Promise<Measurement> {
  let prepare: Prepare | undefined;
  let prepared: { readonly batchSize: number; readonly run: RunBatch } | undefined;
  return async ({ batchSize, milliseconds, minimumRuns }) => {
    prepare ??= await (settings.runtime === 'ablate' ? openAblate(settings, open) : openOnnxRuntime(settings));
    if (prepared?.batchSize !== batchSize) prepared = { batchSize, run: await prepare(batchSize) };
    const { run } = prepared;
    await repeat(run, warmUp.milliseconds, warmUp.runs, now);
    const timesMs = await repeat(run, milliseconds, minimumRuns, now);
    return { timesMs, peakMemoryBytes: 1024 * process.resourceUsage().maxRSS };
  };
}

/** Runs until both the time and the number are reached; returns the time of each run. */
export async function repeat(run: RunBatch, milliseconds: number, minimumRuns: number, now: () => number): Promise<number[]> {
  const timesMs: number[] = [];
  const begin = now();
  while (timesMs.length < minimumRuns || now() - begin < milliseconds) {
    const start = now();
    await run();
    timesMs.push(now() - start);
  }
  return timesMs;
}

async function openOnnxRuntime({ path, threads }: CompetitorSettings): Promise<Prepare> {
  const { bytes, metadata } = readFrozenFile(path);
  const [channels, height, width] = imageShapeOf(metadata);
  const session = await openSession(bytes, path, { threads });
  return (count) => {
    const batch = { pixels: randomBytes(count * height * width * channels), count, height, width };
    return Promise.resolve(async () => {
      await session.run(batch);
    });
  };
}

/**
 * The network in ablate's own engine, with its first weights: time does not depend on their values. Preprocessing is part of a run here
 * too; the softmax, which is not a layer, is left out.
 */
async function openAblate(
  { path, threads, engine: choice }: CompetitorSettings,
  open: Surroundings['openEngine'],
): Promise<Prepare> {
  const { metadata } = readFrozenFile(path);
  const { config } = metadata;
  const { network, preprocessing, imageShape: shape } = frozenClassifier(metadata, path);
  const engine = await open({ engine: choice, threads });
  const transform = createTransform(shape, preprocessing);
  let dispose = (): void => undefined;
  return async (batchSize) => {
    dispose();
    const plan = await engine.compileInference(network, { batchSize });
    dispose = () => {
      plan.dispose();
    };
    await initializeParameters(plan.parameters, config.seed, config.initializer);
    const images = randomBytes(batchSize * shape[0] * shape[1] * shape[2]);
    return async () => {
      for (let i = 0; i < batchSize; i++) transform.evaluation(images, i, plainView, plan.input, i * transform.inputLength);
      plan.forward();
      await plan.output.read();
    };
  };
}

function randomBytes(length: number): Uint8Array {
  const key = streamKey(1, 'bench');
  return Uint8Array.from({ length }, (_, i) => uint32(key, i));
}
