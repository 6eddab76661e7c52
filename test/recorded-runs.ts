/** Folders of runs as trainings leave them, made in a moment: for tests and measurements of what reads them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cifar10Classes } from '../src/data/cifar10.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { saveCheckpoint } from '../src/runs/checkpoint.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { openRun, readConfig } from '../src/runs/run-folder.ts';
import { createClassifier, encodeClassifier } from '../src/train/classifier.ts';
import { networkChecksum, recordedClassifier, recordOfClassifier } from '../src/train/classifier-record.ts';
import { resolveConfig } from '../src/train/config.ts';
import { checkConfig } from '../src/train/complete-config.ts';
import type { ConfigOverrides, TrainingConfig } from '../src/train/config-schema.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { collectPredictions, writePredictions } from '../src/train/predictions.ts';
import { tensorsOf } from '../src/train/weights.ts';
import { thisProcess } from '../src/util/process-identity.ts';
import { streamKey, uniform } from '../src/util/random.ts';

export interface RecordedRun {
  /** Default tuto. */
  readonly model?: string;
  readonly number: number;
  readonly overrides?: ConfigOverrides;
  /** Records of the training loss; default 40. The last is at the last step that was taken. */
  readonly records?: number;
  /** Evaluations; default 10. */
  readonly evaluations?: number;
  /** Of the run's steps, those that were taken; default all. */
  readonly share?: number;
  /** In place of what follows from the rest: `{ status: 'failed', diverged: true }`. */
  readonly status?: object;
  /** Default: those of CIFAR-10. */
  readonly classes?: readonly string[];
  /** That the accuracy tends to; default 0.8. */
  readonly accuracy?: number;
}

const environment = describeEnvironment({ threads: 1, libraries: { onednn: '2.6.3' } });
const startMs = Date.parse('2026-01-31T12:00:00.000Z');
const secondsPerStep = 0.1;

/** Writes a run. @returns its folder */
export function recordRun(root: string, options: RecordedRun): string {
  const { model = 'tuto', number, overrides = {}, share = 1 } = options;
  const resolved = resolveConfig({ model, steps: 1000, threads: 1 }, overrides);
  const classifier = createClassifier(resolved, { shape: [3, 32, 32], classes: options.classes ?? cifar10Classes });
  const { inputSize } = classifier.preprocessing;
  const config = { ...resolved, inputSize, networkChecksum: networkChecksum(classifier.network) };
  const path = join(root, model, String(number));
  mkdirSync(join(path, 'checkpoints'), { recursive: true });
  const write = (name: string, value: unknown) => {
    writeFileSync(join(path, name), `${JSON.stringify(value)}\n`);
  };
  const step = Math.floor(share * config.steps);
  const layers = classifier.network.layers
    .filter(({ kind }) => kind === 'conv' || kind === 'dense')
    .map(({ name: layer }) => layer);
  const lines = metricsOf(config, step, layers, options);
  const accuracy = accuracyAt(config, step, options);
  write('config.json', config);
  for (const [name, record] of Object.entries(recordOfClassifier(classifier))) write(name, record);
  write('environment.json', environment);
  write('status.json', {
    ...{ status: share === 1 ? 'finished' : 'interrupted', step, steps: config.steps, accuracy, ...thisProcess() },
    updatedAt: timeAt(step),
    ...options.status,
  });
  writeFileSync(join(path, 'metrics.jsonl'), lines.join(''));
  return path;
}

/** Every seventh image is taken for the next class. */
export function recordedPrediction({ test, classes }: Dataset, image: number): number {
  const label = test.labels[image]!;
  return image % 7 === 0 ? (label + 1) % classes.length : label;
}

/** Adds what the last evaluation said of each image of a data set. */
export function recordPredictions(path: string, dataset: Dataset): void {
  const { test, classes, fingerprint } = dataset;
  const predictions = collectPredictions(test.count);
  for (let image = 0; image < test.count; image++) {
    const label = test.labels[image]!;
    const said = image % 7 === 0 ? (label + 1) % classes.length : label;
    const logits = Float32Array.from(classes, (_, k) => (k === said ? 3 + (image % 11) / 10 : 0));
    predictions.add(image, label, logits);
  }
  writePredictions({ path }, predictions, {
    split: 'test',
    tta: 'none',
    step: 1000,
    weights: 'raw',
    datasetFingerprint: fingerprint,
  });
}

/** Adds a checkpoint with first values. */
export async function recordCheckpoint(path: string, step: number): Promise<void> {
  const run = openRun(path);
  const config = checkConfig(readConfig(run));
  const classifier = recordedClassifier(run)!;
  const plan = await referenceEngine.compileInference(classifier.network, { batchSize: 1 });
  await initializeParameters(plan.parameters, step, config.initializer);
  const metadata = {
    model: config.model,
    config: JSON.stringify(config),
    classifier: JSON.stringify(encodeClassifier(classifier)),
  };
  saveCheckpoint(run, { step, tensors: await tensorsOf(plan.parameters, plan.parameters.values, ''), metadata });
}

/** A line of metrics.jsonl. */
export function metricsLine(step: number, metrics: Readonly<Record<string, number | string>>): string {
  return `${JSON.stringify({ step, time: timeAt(step), ...metrics })}\n`;
}

function metricsOf(config: TrainingConfig, steps: number, layers: readonly string[], options: RecordedRun): string[] {
  const { records = 40, evaluations = 10 } = options;
  const trained = Array.from({ length: records }, (_, i) => {
    const step = Math.ceil(((i + 1) * steps) / records);
    const noise = 0.1 * (uniform(config.seed, i) - 0.5);
    return {
      step,
      line: metricsLine(step, {
        'train/loss': round(0.6 + 1.7 * Math.exp((-4 * step) / config.steps) + noise),
        'train/weightDecayLoss': round(0.1 + 0.00001 * i),
        'train/learningRate': config.learningRate,
        'train/imagesPerSecond': round(config.batchSize / secondsPerStep + 10 * noise),
        ...Object.fromEntries(
          layers.flatMap((layer, k) => [
            [`weightNorm/${layer}`, round(5 + k + step / config.steps)],
            [`gradientNorm/${layer}`, round((1 + k) * Math.exp((-3 * step) / config.steps) + noise)],
          ]),
        ),
      }),
    };
  });
  const evaluated = Array.from({ length: evaluations }, (_, i) => {
    const step = Math.ceil(((i + 1) * steps) / evaluations);
    const accuracy = accuracyAt(config, step, options);
    return { step, line: metricsLine(step, { 'test/accuracy': accuracy, 'test/loss': round(2.3 * (1 - accuracy)) }) };
  });
  return [...trained, ...evaluated].sort((a, b) => a.step - b.step).map(({ line }) => line);
}

function accuracyAt({ steps, seed }: TrainingConfig, step: number, { accuracy = 0.8 }: RecordedRun): number {
  const noise = 0.01 * (uniform(streamKey(seed, 'accuracy', Math.round(1000 * accuracy)), step) - 0.5);
  return round(0.1 + (accuracy - 0.1) * (1 - Math.exp((-4 * step) / steps)) + noise);
}

function timeAt(step: number): string {
  return new Date(startMs + 1000 * secondsPerStep * step).toISOString();
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}
