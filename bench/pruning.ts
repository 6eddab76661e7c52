/**
 * What a way of pruning costs: `ablate prune` of one trained network, once for each seed of the training that follows, and the test accuracy,
 * parameters, operations and bytes before and after. Everything behind `--` goes to `ablate prune`. Rows are added to
 * docs/results/pruning.json; one with the same network and options gains the seeds that it does not have yet.
 *
 *     npx tsx bench/pruning.ts trained_models/tuto.safetensors [--seeds 1,2,3] [--threads 2] [--runs-dir runs/pruning] [--keep folder] [-o file.json]
 *                              -- --sparsity 0.9 --rounds 3 --steps 1000
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { NetworkReport } from '../src/compress/prune/prune.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { estimateMean } from '../src/study/statistics.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { formatAccuracy } from '../src/util/format.ts';

const separator = process.argv.indexOf('--');
const ownArguments = process.argv.slice(2, separator === -1 ? undefined : separator);
const pruneOptions = separator === -1 ? [] : process.argv.slice(separator + 1);
const { values: options, positionals } = parseArgs({
  args: ownArguments,
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    threads: { type: 'string', default: '2' },
    'runs-dir': { type: 'string', default: 'runs/pruning' },
    keep: { type: 'string' },
    output: { type: 'string', short: 'o', default: 'docs/results/pruning.json' },
  },
});
const [network] = positionals;
if (network === undefined || positionals.length > 1 || pruneOptions.length === 0) {
  throw new Error('usage: npx tsx bench/pruning.ts <run|file> [options] -- <options of ablate prune>');
}

type Size = Pick<NetworkReport, 'parameters' | 'operations' | 'nonZeroWeights' | 'bytes' | 'compressedBytes'>;

interface PrunedRun {
  readonly seed: number;
  readonly accuracy: number;
  readonly size: Size;
}

interface Row {
  readonly command: string;
  readonly network: string;
  readonly options: string;
  readonly before: Size & { readonly accuracy: number };
  readonly runs: readonly PrunedRun[];
  readonly n: number;
  readonly meanAccuracy: number;
  /** Points of accuracy lost; null with a single seed. */
  readonly lost: { readonly mean: number; readonly low95: number | null; readonly high95: number | null };
  readonly environment: unknown;
}

interface Output {
  readonly before: NetworkReport;
  readonly after: NetworkReport;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const what = 'test accuracy and size of trained networks before and after `ablate prune`, for each seed of the training after it';
const key = { network, options: pruneOptions.join(' ') };
const recorded = existsSync(options.output)
  ? (JSON.parse(readFileSync(options.output, 'utf8')) as { readonly results: readonly Row[] }).results
  : [];
const isThis = (row: Row) => row.network === key.network && row.options === key.options;
const runs = [...(recorded.find(isThis)?.runs ?? [])];
let before = recorded.find(isThis)?.before;

const seeds = options.seeds.split(',').map(Number);
const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'ablate-pruning-'));
mkdirSync(folder, { recursive: true });
try {
  for (const seed of seeds.filter((each) => !runs.some((run) => run.seed === each))) {
    const output = pruneOnce(seed);
    before = { ...sizeOf(output.before), accuracy: output.before.evaluation!.accuracy };
    const accuracy = output.after.evaluation!.accuracy;
    runs.push({ seed, accuracy, size: sizeOf(output.after) });
    console.log(`seed ${seed}: ${formatAccuracy(before.accuracy)} -> ${formatAccuracy(accuracy)}`);
    record(before);
  }
} finally {
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}

function pruneOnce(seed: number): Output {
  const file = join(folder, `${basename(network!).replace(/\..*$/, '')}-seed${seed}.safetensors.gz`);
  const fixed = ['--set', `seed=${seed}`, '--threads', options.threads, '--runs-dir', options['runs-dir'], '--json', '-o', file];
  const command = [join(root, 'bin/ablate.js'), 'prune', network!, ...pruneOptions, ...fixed];
  const output = execFileSync(process.execPath, command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(output) as Output;
}

function sizeOf({ parameters, operations, nonZeroWeights, bytes, compressedBytes }: NetworkReport): Size {
  return { parameters, operations, nonZeroWeights, bytes, compressedBytes };
}

function record(source: Row['before']): void {
  const estimate = estimateMean(runs.map(({ accuracy }) => 100 * (source.accuracy - accuracy)));
  const meanAccuracy = runs.reduce((sum, { accuracy }) => sum + accuracy, 0) / runs.length;
  const lost = { mean: estimate.mean, low95: estimate.low ?? null, high95: estimate.high ?? null };
  // `command` says what was run, without this machine's folders.
  const environment = { ...describeEnvironment({ threads: Number(options.threads) }), commandLine: undefined };
  const command = `npx tsx bench/pruning.ts ${network!} --seeds ${options.seeds} -- ${key.options}`;
  const row: Row = { command, ...key, before: source, runs, n: runs.length, meanAccuracy, lost, environment };
  const results = [...recorded.filter((each) => !isThis(each)), row];
  writeFileAtomic(options.output, `${JSON.stringify({ what, results }, undefined, 2)}\n`);
}
