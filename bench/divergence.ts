/**
 * Why a run diverged: its last checkpoint is trained on, with the same batches, up to the step at which its loss exploded, with the gradient's
 * norm of every step. The last of these steps are then taken a second time in PyTorch, from the same weights with the same batches: if its
 * loss explodes at the same step, the recipe did it, not the engine. For runs of plain SGD (recipe `2017`) of a model that
 * bench/compare/pytorch_step.py has.
 *
 *     npx tsx bench/divergence.ts runs/tuto/2 [--last 20] [--data-dir folder] [--python python3] [--out docs/results/divergence.json]
 *
 * Replaying is exact with the run's own oneDNN on the same kind of processor.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { singleProcess } from '../src/cluster/collective.ts';
import { splitOf } from '../src/data/image-set.ts';
import { createTrainingLoader } from '../src/data/loader.ts';
import type { Labels } from '../src/data/dataset.ts';
import { loadDataset } from '../src/user/dataset.ts';
import { sidesOf } from '../src/util/image-size.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { openRun, runName } from '../src/runs/run-folder.ts';
import { encodeSafetensors, type Tensor } from '../src/runs/safetensors.ts';
import { createClassifier, trainingPreprocessing } from '../src/train/classifier.ts';
import { decayedParameters } from '../src/train/optimizers/segments.ts';
import { recordedConfig } from '../src/train/resume.ts';
import { createTrainer, DivergenceError, trainingOptions } from '../src/train/trainer.ts';
import { tensorsOf } from '../src/train/weights.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

interface Step {
  /** 1 is the first of the run. */
  readonly step: number;
  /** Of the batch, before the update. */
  readonly loss: number;
  /** Euclidean norm of the gradient of that loss, without weight decay. */
  readonly gradientNorm: number;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    last: { type: 'string', default: '20' },
    'data-dir': { type: 'string' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string', default: 'docs/results/divergence.json' },
  },
});
const run = openRun(positionals[0] ?? 'runs/tuto/2');
const last = Number(options.last);
const config = recordedConfig(run);
const dataDir = options['data-dir'];
const dataset = await loadDataset(config.dataset, dataDir === undefined ? {} : { dataDir });
const engine = createOnednnEngine({ threads: config.threads });
const classifier = createClassifier(config, dataset);
const { network } = classifier;
const preprocessing = trainingPreprocessing(classifier, config);
const { inputSize } = preprocessing;
const plan = await engine.compileTraining(network, trainingOptions(config, singleProcess));
const { parameters: arena } = plan;
const trainer = createTrainer(plan, config, singleProcess);
const latest = latestCheckpoint(run);
if (latest === undefined) throw new Error(`${runName(run)} has no checkpoint`);
const checkpoint = loadCheckpoint(latest.path);

/** Trains from the checkpoint until the loss explodes or `until`, the last step to take. */
async function replay(until: number, onBatch?: (inputs: Float32Array, labels: Labels) => Promise<void>): Promise<Step[]> {
  await trainer.restore(checkpoint.tensors, checkpoint.step, runName(run));
  const loader = createTrainingLoader({
    images: splitOf(dataset, 'train', config.val),
    shape: dataset.shape,
    preprocessing,
    batchSize: config.batchSize,
    seed: config.seed,
    firstStep: checkpoint.step,
  });
  const steps: Step[] = [];
  try {
    while (trainer.step < until) {
      const batch = (await loader.next())!;
      await onBatch?.(batch.inputs, batch.labels);
      await trainer.train(batch, false);
      const [loss] = await trainer.losses();
      steps.push({ step: trainer.step, loss: loss!, gradientNorm: Math.hypot(...(await parameterNorms())) });
    }
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
    steps.push({ step: error.step, loss: Infinity, gradientNorm: Math.hypot(...(await parameterNorms())) });
  } finally {
    await loader.dispose();
  }
  return steps;
}

async function parameterNorms(): Promise<number[]> {
  const gradients = arena.entries
    .filter(({ spec }) => spec.kind !== 'statistic')
    .map(({ offset, length }) => arena.gradients.part(offset, offset + length));
  return [...(await plan.vectorMath.sumsOfSquares(gradients)())].map(Math.sqrt);
}

const steps = await replay(config.steps);
const exploded = steps.at(-1)!.step;
const from = exploded - last;
let weights = new Map<string, Tensor>();
const inputs = new Float32Array(last * plan.input.length);
const labels = new Float32Array(last * config.batchSize);
await replay(exploded, async (batchInputs, batchLabels) => {
  if (trainer.step < from) return;
  if (trainer.step === from) weights = new Map(await tensorsOf(arena, arena.values, ''));
  inputs.set(batchInputs, (trainer.step - from) * batchInputs.length);
  labels.set(batchLabels, (trainer.step - from) * batchLabels.length);
});

const decays = new Map(decayedParameters(arena, config).map(({ entry, coefficient }) => [entry.spec.name, coefficient]));
const scratch = mkdtempSync(join(tmpdir(), 'ablate-divergence-'));
const batches = {
  inputs: { shape: [last, config.batchSize, dataset.shape[0], ...sidesOf(inputSize)], data: inputs },
  labels: { shape: [last, config.batchSize], data: labels },
};
writeFileSync(join(scratch, 'steps.safetensors'), encodeSafetensors(new Map([...weights, ...Object.entries(batches)]), {}));
const question = {
  model: config.model,
  size: sidesOf(inputSize)[0],
  learningRate: config.learningRate,
  decays: [...weights.keys()].map((name) => decays.get(name) ?? 0),
};
const answer = execFileSync(options.python, [
  'bench/divergence_torch.py',
  join(scratch, 'steps.safetensors'),
  JSON.stringify(question),
]);
rmSync(scratch, { recursive: true });
const peer = JSON.parse(answer.toString()) as { torch: string; steps: { loss: number | null; gradientNorm: number | null }[] };

const record = {
  what: 'the end of a run whose loss exploded: trained on from its last checkpoint, and its last steps again in PyTorch with the same weights and batches. null: not finite or beyond 1e6',
  command: `npx tsx bench/divergence.ts runs/${runName(run)} --last ${last}`,
  configuration: {
    model: config.model,
    recipe: config.recipe,
    augment: config.augment,
    seed: config.seed,
    batchSize: config.batchSize,
  },
  environment: describeEnvironment({ threads: config.threads, libraries: { onednn: engine.libraryVersion, torch: peer.torch } }),
  checkpointStep: checkpoint.step,
  explodedStep: exploded,
  steps: steps
    .filter(({ step }) => step > from)
    .map(({ step, loss, gradientNorm }, i) => ({
      step,
      loss: finite(loss),
      gradientNorm: finite(gradientNorm),
      torch: peer.steps[i],
    })),
  medianGradientNormBefore: median(steps.filter(({ step }) => step <= from).map(({ gradientNorm }) => gradientNorm)),
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(record.steps, null, 1)}\n`);
plan.dispose();

function finite(value: number): number | null {
  return value < 1e6 ? Number(value.toPrecision(4)) : null;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
