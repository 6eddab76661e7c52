/**
 * The same training step in ablate and in PyTorch on this machine, process by process in turn (A B A B ...), so that what disturbs one
 * disturbs the other. PyTorch runs in both of its memory formats; the better one counts. Needs a Python with PyTorch.
 *
 *     npx tsx bench/compare/steps.ts [--models tuto,alex2,...] [--rounds 5] [--steps 30] [--warm-up 5] [--threads 2] [--precision f32]
 *                                    [--python /usr/bin/python3] [--preload libtcmalloc_minimal.so.4] [--out docs/results/step-comparison.json]
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeEnvironment } from '../../src/runs/environment.ts';
import { writeFileAtomic } from '../../src/util/atomic-file.ts';
import { percentile } from '../../src/util/percentile.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'alex2,tuto,alex4,squeeze1,nin2' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '30' },
    'warm-up': { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    precision: { type: 'string', default: 'f32' },
    python: { type: 'string', default: '/usr/bin/python3' },
    preload: { type: 'string' },
    out: { type: 'string', default: 'docs/results/step-comparison.json' },
  },
});
const { threads, precision, steps, 'warm-up': warmUp } = options;
const batchSize = '128';
const inputSize = '24';
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Round {
  /** Median milliseconds a step. */
  readonly ablate: number;
  readonly pytorch: { readonly contiguous: number; readonly channels_last: number };
}

/** The environment with no setting that a machine may have for OpenBLAS or OpenMP: both start from their defaults. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OPENBLAS|OMP|GOMP|KMP|MKL|DNNL)/.test(name));
  return Object.fromEntries(kept);
}

function ablateStep(model: string): number {
  const flags = [
    '--steps',
    steps,
    '--warm-up',
    warmUp,
    '--threads',
    threads,
    '--precision',
    precision,
    '--batch-size',
    batchSize,
  ];
  const args = ['bin/ablate.js', 'bench', 'train', model, ...flags, '--repetitions', '1', '--json'];
  const output = execFileSync(process.execPath, args, {
    cwd: root,
    env: cleanEnvironment(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return (JSON.parse(output) as { msPerStep: { median: number } }).msPerStep.median;
}

let torchVersion = '';

function pytorchStep(model: string, format: string): number {
  const args = ['bench/compare/pytorch_step.py', model, format, precision, threads, batchSize, inputSize, warmUp, steps];
  const environment = { ...cleanEnvironment(), ...(options.preload !== undefined && { LD_PRELOAD: options.preload }) };
  const output = execFileSync(options.python, args, {
    cwd: root,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { ms, torch } = JSON.parse(output) as { ms: number[]; torch: string };
  torchVersion = torch;
  return percentile(ms, 0.5);
}

const results = options.models.split(',').map((model) => {
  const rounds = Array.from({ length: Number(options.rounds) }, (_, i): Round => {
    const round = {
      ablate: ablateStep(model),
      pytorch: { contiguous: pytorchStep(model, 'contiguous'), channels_last: pytorchStep(model, 'channels_last') },
    };
    process.stderr.write(`${model} ${i + 1}/${options.rounds} ${JSON.stringify(round)}\n`);
    return round;
  });
  const ablateMs = percentile(
    rounds.map((round) => round.ablate),
    0.5,
  );
  const formats = ['contiguous', 'channels_last'] as const;
  const medians = formats.map((format) => ({
    format,
    ms: percentile(
      rounds.map((round) => round.pytorch[format]),
      0.5,
    ),
  }));
  const best = medians.reduce((a, b) => (b.ms < a.ms ? b : a));
  const ratios = rounds.map((round) => round.pytorch[best.format] / round.ablate);
  return {
    model,
    ablateMs,
    pytorchMs: best.ms,
    pytorchFormat: best.format,
    /** PyTorch's milliseconds over ablate's, round by round: median, least and largest. */
    ratio: { median: percentile(ratios, 0.5), min: Math.min(...ratios), max: Math.max(...ratios) },
    rounds,
  };
});

const record = {
  what: 'milliseconds of a training step: forward, loss, backward, SGD (ablate: the wait for the batch and the moving average too)',
  command: `npx tsx bench/compare/steps.ts ${process.argv.slice(2).join(' ')}`.trim(),
  configuration: { batchSize, inputSize, precision, threads, steps, warmUp, preload: options.preload ?? null },
  n: Number(options.rounds),
  environment: describeEnvironment({ threads: Number(threads), libraries: { torch: torchVersion } }),
  results,
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
for (const { model, ablateMs, pytorchMs, pytorchFormat, ratio } of results) {
  console.log(
    `${model}: ablate ${ablateMs.toFixed(1)} ms, PyTorch ${pytorchMs.toFixed(1)} ms (${pytorchFormat}), ratio ${ratio.median.toFixed(2)}`,
  );
}
