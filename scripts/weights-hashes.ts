/**
 * What every model computes, to the bit: a restructuring must change none of it.
 *
 *   npm run hashes            compares with docs/results/weights-hashes.json, and fails where anything differs
 *   npm run hashes -- --write writes it
 *
 * For each model: parameters, operations, and SHA-256 of its weights with the seed 0 before the first step and after 20 steps of its default
 * training on CIFAR-10. Bits depend on the processor and on oneDNN's version: compare on the machine that wrote the record.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDataset } from '../src/user/dataset.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { modelNames } from '../src/models/registry.ts';
import { countOperations, countParameters, type Network } from '../src/nn/network.ts';
import { latestCheckpoint } from '../src/runs/checkpoint.ts';
import { checkpointWeights } from '../src/runs/checkpoint-weights.ts';
import { readSafetensors } from '../src/runs/safetensors.ts';
import { resolveConfig } from '../src/train/config.ts';
import { train } from '../src/train/train.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { tensorsOf } from '../src/train/weights.ts';
import { weightsChecksum } from '../src/train/weights-checksum.ts';
import { cpuInfo } from '../src/util/cpu.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

interface Entry {
  readonly parameters: number;
  readonly operations: number;
  readonly step0: string;
  readonly step20: string;
}

const path = join(import.meta.dirname, '../docs/results/weights-hashes.json');

async function hashesOf(model: string): Promise<Entry> {
  const config = resolveConfig({ model, seed: 0, steps: 20, threads: 1, evalEvery: 0, saveEvery: 0 });
  const engine = createOnednnEngine({ threads: 1 });
  let network: Network | undefined;
  const { run } = await train({
    config,
    engine,
    dataset: fewTestImages,
    record: { runsFolder },
    hooks: { onStart: (start) => (network = start.network) },
  });
  const plan = await engine.compileInference(network!, { batchSize: 1 });
  await initializeParameters(plan.parameters, config.seed, config.initializer);
  const first = await tensorsOf(plan.parameters, plan.parameters.values, '');
  plan.dispose();
  const { path: checkpoint } = latestCheckpoint(run!)!;
  return {
    parameters: countParameters(network!.parameters),
    operations: countOperations(network!),
    step0: weightsChecksum(first),
    step20: weightsChecksum(checkpointWeights(readSafetensors(checkpoint), 'raw', checkpoint)),
  };
}

const dataset = await loadDataset('cifar10');
const { test } = dataset;
const pixels = dataset.shape.reduce((product, extent) => product * extent, 1);
const fewTestImages = {
  ...dataset,
  test: { ...test, images: test.images.subarray(0, 100 * pixels), labels: test.labels.subarray(0, 100), count: 100 },
};
const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-hashes-'));
const models: Record<string, Entry> = {};
try {
  for (const model of modelNames()) {
    models[model] = await hashesOf(model);
    process.stderr.write(`${model}\n`);
  }
} finally {
  rmSync(runsFolder, { recursive: true });
}
const { libraryVersion } = createOnednnEngine({ threads: 1 });
const record = { processor: cpuInfo().model, oneDNN: libraryVersion, command: 'npm run hashes -- --write', models };
if (process.argv.includes('--write')) {
  writeFileAtomic(path, `${JSON.stringify(record, null, 2)}\n`);
} else {
  const before = JSON.parse(readFileSync(path, 'utf8')) as typeof record;
  const different = Object.keys(before.models).filter(
    (model) => JSON.stringify(before.models[model]) !== JSON.stringify(models[model]),
  );
  const lines = different.map(
    (model) => `${model}: ${JSON.stringify(before.models[model])} is now ${JSON.stringify(models[model])}`,
  );
  const asBefore = Object.keys(before.models).length - different.length;
  process.stdout.write([...lines, `${asBefore} models as before, ${different.length} not`, ''].join('\n'));
  process.exitCode = different.length > 0 ? 1 : 0;
}
