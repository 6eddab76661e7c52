/** The process behind a competitor: it loads what its argument says, and answers each request with a measurement. */
import { createTransform, plainView } from '../../data/transform.ts';
import { createOnednnEngine } from '../../engine/onednn/engine.ts';
import { buildModel } from '../../models/registry.ts';
import { initializeParameters } from '../../train/initialize.ts';
import { preprocessingOf } from '../../train/preprocessing.ts';
import { messageOf } from '../../util/errors.ts';
import { streamKey, uint32 } from '../../util/random.ts';
import { readFrozenFile } from '../frozen-model.ts';
import { openSession } from '../onnx-runtime.ts';
import type { CompetitorMessage, CompetitorSettings, MeasureRequest } from './competitor.ts';

/** Runs one batch, from image bytes to probabilities. */
type RunBatch = () => void | Promise<void>;

/** Prepares for batches of a size; what was prepared before is released. */
type Prepare = (batchSize: number) => RunBatch;

/** Runs before the first that is timed. */
const warmUp = { runs: 10, milliseconds: 200 };

const settings = JSON.parse(process.argv[2]!) as CompetitorSettings;
let prepare: Prepare | undefined;
let prepared: { readonly batchSize: number; readonly run: RunBatch } | undefined;

process.on('message', (request: MeasureRequest) => {
  measure(request).then(answer, (error: unknown) => {
    answer({ error: messageOf(error) });
  });
});

function answer(message: CompetitorMessage): void {
  process.send!(message);
}

async function measure({ batchSize, milliseconds, minimumRuns }: MeasureRequest): Promise<CompetitorMessage> {
  prepare ??= await (settings.runtime === 'ablate' ? openAblate : openOnnxRuntime)(settings);
  if (prepared?.batchSize !== batchSize) prepared = { batchSize, run: prepare(batchSize) };
  const { run } = prepared;
  await repeat(run, warmUp.milliseconds, warmUp.runs);
  const timesMs = await repeat(run, milliseconds, minimumRuns);
  return { timesMs, peakMemoryBytes: 1024 * process.resourceUsage().maxRSS };
}

async function repeat(run: RunBatch, milliseconds: number, minimumRuns: number): Promise<number[]> {
  const timesMs: number[] = [];
  const begin = performance.now();
  while (timesMs.length < minimumRuns || performance.now() - begin < milliseconds) {
    const start = performance.now();
    await run();
    timesMs.push(performance.now() - start);
  }
  return timesMs;
}

async function openOnnxRuntime({ path, threads }: CompetitorSettings): Promise<Prepare> {
  const { bytes, metadata } = readFrozenFile(path);
  const side = metadata.imageSize;
  const session = await openSession(bytes, path, { threads });
  return (count) => {
    const batch = { pixels: randomBytes(count * side * side * 3), count, height: side, width: side };
    return async () => {
      await session.run(batch);
    };
  };
}

/**
 * The network in ablate's own engine, with its first weights: time does not depend on their values. Preprocessing is part of a run here
 * too; the softmax, which is not a layer, is left out.
 */
function openAblate({ path, threads }: CompetitorSettings): Promise<Prepare> {
  const { metadata } = readFrozenFile(path);
  const { config } = metadata;
  const shape = [3, metadata.imageSize, metadata.imageSize] as const;
  const preprocessing = preprocessingOf(config, shape);
  const input = [3, metadata.inputSize, metadata.inputSize] as const;
  const network = buildModel(config.model, { settings: config.modelSettings, input, classes: metadata.classes.length });
  const engine = createOnednnEngine({ threads });
  const transform = createTransform(shape, preprocessing);
  let dispose = (): void => undefined;
  return Promise.resolve((batchSize) => {
    dispose();
    const plan = engine.compileInference(network, { batchSize });
    dispose = () => {
      plan.dispose();
    };
    initializeParameters(plan.parameters, config.seed, config.initializer);
    const images = randomBytes(batchSize * shape[0] * shape[1] * shape[2]);
    return () => {
      for (let i = 0; i < batchSize; i++) transform.evaluation(images, i, plainView, plan.input, i * transform.inputLength);
      plan.forward();
    };
  });
}

function randomBytes(length: number): Uint8Array {
  const key = streamKey(1, 'bench');
  return Uint8Array.from({ length }, (_, i) => uint32(key, i));
}
