/**
 * `npm run microcontrollers`: the networks for MLPerf Tiny's image classification that come with ablate. Each is a trained network
 * that loses filters and is trained again, with the whole network as its teacher, once for each seed; no choice looks at the test images. Of
 * the runs that are finished, docs/results/mlperf-tiny.json records what the exported integers reach, and those of seed 1 are written to
 * trained_models/microcontrollers/: weights, C, and TensorFlow Lite. Hours for each run; after an interruption it goes on.
 *
 *     npm run microcontrollers -- [small-1 small-2 ...] [--runs-dir folder] [--record-only]
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { countOperations, countParameters } from '../src/nn/network.ts';
import { allRuns, openRun, readEnvironment } from '../src/runs/run-folder.ts';
import { estimateMean } from '../src/study/statistics.ts';
import { readSavedModel } from '../src/train/saved-model.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'runs-dir': { type: 'string', default: 'runs/microcontrollers' },
    'record-only': { type: 'boolean', default: false },
  },
});
const root = resolve(import.meta.dirname, '..');
const runsDir = resolve(values['runs-dir']);
const seeds = [1, 2, 3];

/** The same on every processor, whatever its instructions. */
const inFloat32 = ['--set', 'precision=f32'];

interface Class {
  /** Weights that lose filters. They are the teacher, too. */
  readonly whole: string;
  /** What is left of its operations. */
  readonly operations: string;
  readonly steps: string;
}

const classes = {
  small: { whole: 'trained_models/squeeze1.safetensors', operations: '0.42', steps: '40000' },
  large: { whole: 'trained_models/xception.safetensors', operations: '0.63', steps: '12000' },
} as const satisfies Readonly<Record<string, Class>>;
type ClassName = keyof typeof classes;

/** What `ablate export --json` says. */
interface Exported {
  readonly accuracy: number;
  readonly floatAccuracy: number;
  readonly images: number;
  readonly flashBytes: object;
  readonly ramBytes: object;
  readonly multiplyAdds: number;
}

mkdirSync(runsDir, { recursive: true });
const names = Object.keys(classes) as ClassName[];
for (const name of names) {
  for (const seed of seeds) {
    const wanted = positionals.length === 0 || positionals.includes(`${name}-${seed}`);
    if (wanted && !values['record-only'] && !existsSync(weightsOf(name, seed))) prune(name, seed);
  }
}
const record = {
  what:
    'Networks for the classes of MLPerf Tiny: trained networks that lost filters and were trained again, with the whole network as teacher. ' +
    'Accuracy, a fraction of the test images, of the integers that `ablate export` writes, and of the weights in float32',
  command: 'npm run microcontrollers',
  classes: names.flatMap((name) => describe(name) ?? []),
};
writeFileAtomic(join(root, 'docs/results/mlperf-tiny.json'), `${JSON.stringify(record, null, 2)}\n`);

function folderOf(name: ClassName, seed: number): string {
  return join(runsDir, `${name}-${seed}`);
}

function weightsOf(name: ClassName, seed: number): string {
  return `${folderOf(name, seed)}.safetensors`;
}

function prune(name: ClassName, seed: number): void {
  const { whole, operations, steps } = classes[name];
  const folder = folderOf(name, seed);
  const [begun] = allRuns(folder);
  const size = ['--structured', '--operations', operations, '--steps', steps];
  const options = [...size, '--set', `teacher=${whole}`, '--set', `seed=${seed}`];
  const how = begun === undefined ? [whole, ...options, ...inFloat32] : ['--resume', begun.path];
  ablate('prune', [...how, '--threads', '1', '--runs-dir', folder, '-o', weightsOf(name, seed), '--json']);
}

/** Of the runs that are finished; undefined without one. Those of seed 1 are written to trained_models/. */
function describe(name: ClassName) {
  const finished = seeds.filter((seed) => existsSync(weightsOf(name, seed)));
  if (finished.length === 0) return undefined;
  const exported = finished.map((seed) => exportNetwork(name, seed));
  const { flashBytes, ramBytes, multiplyAdds } = exported[0]!;
  const { config, classifier } = readSavedModel(weightsOf(name, finished[0]!), {});
  const network = classifier!.network;
  return {
    class: name,
    model: config.model,
    inputSize: config.inputSize,
    parameters: countParameters(network.parameters),
    operations: countOperations(network),
    ...{ flashBytes, ramBytes, multiplyAdds },
    images: exported[0]!.images,
    n: finished.length,
    accuracy: meanOf(exported.map(({ accuracy }) => accuracy)),
    floatAccuracy: meanOf(exported.map(({ floatAccuracy }) => floatAccuracy)),
    runs: finished.map((seed, i) => {
      const { date, cpu, threads, versions, git } = readEnvironment(openRun(allRuns(folderOf(name, seed))[0]!.path));
      const { accuracy, floatAccuracy } = exported[i]!;
      return { seed, accuracy, floatAccuracy, date, cpu, threads, versions, commit: git?.commit };
    }),
    config,
  };
}

function meanOf(accuracies: readonly number[]) {
  const { mean, deviation } = estimateMean(accuracies);
  return { mean, deviation: deviation ?? null };
}

function exportNetwork(name: ClassName, seed: number): Exported {
  const shipped = join(root, 'trained_models/microcontrollers', name);
  const [weights, c] = seed === 1 ? [`${shipped}.safetensors`, shipped] : [weightsOf(name, seed), `${folderOf(name, seed)}-c`];
  if (seed === 1) {
    mkdirSync(join(shipped, '..'), { recursive: true });
    copyFileSync(weightsOf(name, seed), weights);
  }
  const options = ['--c', c, '--tflite', `${c}.tflite`, '--name', `cifar10_${name}`, '--force', '--json'];
  return JSON.parse(ablate('export', [weights, ...options])) as Exported;
}

/** What it prints. */
function ablate(command: string, options: readonly string[]): string {
  return execFileSync(process.execPath, ['bin/ablate.js', command, ...options], {
    ...{ cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  });
}
