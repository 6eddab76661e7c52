/**
 * The same training step in ablate and in PyTorch on this machine, process by process in turn (A B A B ...), so that what disturbs one
 * disturbs the other. ablate runs in each of --precision with the oneDNN it finds by itself, and with each library of --onednn. Each --peer is a
 * Python with PyTorch, in a precision, perhaps with a library preloaded: an allocator that keeps large blocks (tcmalloc) is its best case. It
 * runs in both of PyTorch's memory formats; the better one counts. Debian's PyTorch should have OpenBLAS (libopenblas0-pthread): with the reference
 * BLAS its dense layers are many times slower. Rows that were measured anew take the place of those before.
 *
 *     npx tsx bench/compare/steps.ts [--models tuto,alex2,...] [--rounds 5] [--steps 20] [--warm-up 5] [--threads 2] [--precision f32,bf16]
 *                                    [--peer /usr/bin/python3] [--peer /usr/bin/python3,f32,libtcmalloc_minimal.so.4] ...
 *                                    [--onednn /path/libdnnl.so.3] [--out docs/results/step-comparison.json]
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeEnvironment } from '../../src/runs/environment.ts';
import { percentile } from '../../src/util/percentile.ts';
import { measuredOn, recordRows } from '../records/rows.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'alex2,tuto,alex4,squeeze1,nin2,air94' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '20' },
    'warm-up': { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    precision: { type: 'string', default: 'f32' },
    peer: { type: 'string', multiple: true, default: ['/usr/bin/python3', '/usr/bin/python3,f32,libtcmalloc_minimal.so.4'] },
    onednn: { type: 'string', default: '' },
    out: { type: 'string', default: 'docs/results/step-comparison.json' },
  },
});
const { threads } = options;
const formats = ['contiguous', 'channels_last'] as const;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Batch, side of the images and steps: a step of air94's batch takes seconds, so that fewer do. */
function workload(model: string) {
  if (model !== 'air94')
    return { recipe: '2017', batchSize: '128', inputSize: '24', warmUp: options['warm-up'], steps: options.steps };
  return {
    recipe: 'airbench',
    batchSize: '512',
    inputSize: '32',
    warmUp: '1',
    steps: String(Math.ceil(Number(options.steps) / 5)),
  };
}

interface Peer {
  readonly python: string;
  readonly precision: string;
  /** A library. */
  readonly preload: string | undefined;
}

const peers = options.peer.map((text): Peer => {
  const [python, precision = 'f32', preload] = text.split(',');
  return { python: python!, precision, preload };
});

interface Contestant {
  readonly precision: string;
  /** The path of oneDNN; undefined for the one that is found. */
  readonly library: string | undefined;
}

const libraries = [undefined, ...options.onednn.split(',').filter((path) => path !== '')];
const contestants = options.precision
  .split(',')
  .flatMap((precision) => libraries.map((library): Contestant => ({ precision, library })));
const onednnVersions = new Map<Contestant['library'], string>();

/** The environment with no setting that a machine may have for OpenBLAS or OpenMP: both start from their defaults. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OPENBLAS|OMP|GOMP|KMP|MKL|DNNL)/.test(name));
  return Object.fromEntries(kept);
}

function outputOf(program: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): unknown {
  const env = { ...cleanEnvironment(), ...more };
  return JSON.parse(execFileSync(program, args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
}

/** Median milliseconds of a step. */
function ablateStep(model: string, { precision, library }: Contestant): number {
  const { recipe, batchSize, warmUp, steps } = workload(model);
  const timing = ['--steps', steps, '--warm-up', warmUp, '--repetitions', '1'];
  const training = ['--threads', threads, '--precision', precision, '--batch-size', batchSize, '--recipe', recipe];
  const command = ['bin/ablate.js', 'bench', 'train', model, ...timing, ...training, '--json'];
  const result = outputOf(process.execPath, command, library === undefined ? {} : { ABLATE_ONEDNN: library });
  const { msPerStep, onednn } = result as { msPerStep: { median: number }; onednn: string };
  onednnVersions.set(library, onednn);
  return msPerStep.median;
}

const torchVersions: Record<string, string> = {};
const blasLibraries: Record<string, string> = {};

/** Median milliseconds of a step. */
function pytorchStep(model: string, { python, precision, preload }: Peer, format: string): number {
  const { batchSize, inputSize, warmUp, steps } = workload(model);
  const args = ['bench/compare/pytorch_step.py', model, format, precision, threads, batchSize, inputSize, warmUp, steps];
  const result = outputOf(python, args, preload === undefined ? {} : { LD_PRELOAD: preload });
  const { ms, torch, blas } = result as { ms: number[]; torch: string; blas: string };
  torchVersions[python] = torch;
  blasLibraries[python] = blas;
  return percentile(ms, 0.5);
}

const spread = (values: readonly number[]) => ({
  median: percentile(values, 0.5),
  min: Math.min(...values),
  max: Math.max(...values),
});

function compare(model: string) {
  const ablate = contestants.map((): number[] => []);
  const times = peers.map(() => formats.map((): number[] => []));
  for (let round = 1; round <= Number(options.rounds); round++) {
    contestants.forEach((contestant, c) => ablate[c]!.push(ablateStep(model, contestant)));
    peers.forEach((peer, p) => formats.forEach((format, f) => times[p]![f]!.push(pytorchStep(model, peer, format))));
    process.stderr.write(`${model} ${round}/${options.rounds}\n`);
  }
  return {
    model,
    ...workload(model),
    ablate: contestants.map(({ precision, library }, c) => ({
      precision,
      onednn: onednnVersions.get(library)!,
      ms: spread(ablate[c]!),
    })),
    pytorch: peers.map((peer, p) => {
      const medians = times[p]!.map((values) => percentile(values, 0.5));
      const best = medians.indexOf(Math.min(...medians));
      return {
        version: torchVersions[peer.python]!,
        precision: peer.precision,
        blas: blasLibraries[peer.python]!,
        preload: peer.preload ?? null,
        format: formats[best]!,
        ms: spread(times[p]![best]!),
        otherFormatMs: medians[1 - best]!,
        /** PyTorch's milliseconds over ablate's, round by round, for each of ablate's precisions and libraries. */
        ratios: ablate.map((own) => spread(times[p]![best]!.map((ms, round) => ms / own[round]!))),
      };
    }),
  };
}

const results = options.models.split(',').map(compare);
const environment = describeEnvironment({ threads: Number(threads) });
recordRows(options.out, {
  what: 'milliseconds of a training step in ablate, and how many times as long PyTorch takes: forward, loss, backward, SGD (ablate: the wait for the batch and the moving average too)',
  command: 'npx tsx bench/compare/steps.ts',
  rows: results.flatMap(({ model, recipe, batchSize, inputSize, ablate, pytorch }) =>
    ablate.map(({ precision, onednn, ms }, i) => ({
      model,
      ...measuredOn(environment, { library: `oneDNN ${onednn}`, precision, threads: Number(threads) }),
      ...{ recipe, batchSize: Number(batchSize), inputSize: Number(inputSize), n: Number(options.rounds), ms },
      pytorch: pytorch.map(({ ratios, ...peer }) => ({ ...peer, ratio: ratios[i]! })),
    })),
  ),
});
for (const { model, ablate, pytorch } of results) {
  const own = ablate.map(({ precision, onednn, ms }) => `${precision}, oneDNN ${onednn} ${ms.median.toFixed(1)} ms`);
  const others = pytorch.map(({ version, precision, preload, format, ms, ratios }) => {
    const name = `PyTorch ${version}, ${precision}${preload === null ? '' : ' + tcmalloc'}`;
    const ratio = ratios.map(({ median }) => median.toFixed(2)).join(' and ');
    return `${name} ${ms.median.toFixed(1)} ms (${format}), ratio ${ratio}`;
  });
  console.log(`${model}: ablate ${own.join('; ')}; ${others.join('; ')}`);
}
