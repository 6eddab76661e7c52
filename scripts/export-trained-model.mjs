/*
 * Takes the moving averages (or the weights themselves, where a recipe keeps none) out of a finished run and puts them, as plain weights,
 * among the trained models that come with ablate: trained_models/<name>.safetensors, and <name>.json beside it with how they were made
 * and their accuracy on the test images; of a run that started from another of these (`--init`), also how that one was made.
 *
 *     node scripts/export-trained-model.mjs runs/tuto/1 [name]
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeSavedWeights } from '../dist/compress/weights-file.js';
import { latestCheckpoint } from '../dist/runs/checkpoint.js';
import { metricsPath, openRun, readConfig, readEnvironment } from '../dist/runs/run-folder.js';
import { readMetrics } from '../dist/runs/metrics.js';
import { readSavedModel } from '../dist/train/saved-model.js';
import { preferredWeights } from '../dist/train/weights.js';
import { writeFileAtomic } from '../dist/util/atomic-file.js';

const [, , folder, given] = process.argv;
if (folder === undefined) throw new Error('usage: node scripts/export-trained-model.mjs <run folder> [name]');
const run = openRun(resolve(folder));
const config = readConfig(run);
const name = given ?? config.model;
const latest = latestCheckpoint(run);
if (latest === undefined || latest.step !== config.steps) throw new Error(`${folder} is not finished`);
const saved = readSavedModel(latest.path, {});
const last = readMetrics(metricsPath(run)).findLast(({ step, metrics }) => step === latest.step && 'test/accuracy' in metrics);
const { cpu, threads, versions, git } = readEnvironment(run);
const before = config.init.replace(/\.safetensors$/, '.json');
const made = {
  model: config.model,
  weights: preferredWeights(saved.file),
  steps: latest.step,
  testAccuracy: last?.metrics['test/accuracy'],
  config,
  machine: { cpu: cpu.model, threads },
  versions,
  commit: git?.commit,
  ...(before.endsWith('.json') && existsSync(before) && { startedFrom: JSON.parse(readFileSync(before, 'utf8')) }),
};
const target = join(dirname(fileURLToPath(import.meta.url)), '..', 'trained_models', name);
mkdirSync(dirname(target), { recursive: true });
writeFileAtomic(`${target}.safetensors`, encodeSavedWeights(`${target}.safetensors`, saved));
writeFileAtomic(`${target}.json`, `${JSON.stringify(made, null, 2)}\n`);
console.log(`${target}.safetensors: ${readFileSync(`${target}.safetensors`).length} bytes, test accuracy ${made.testAccuracy}`);
