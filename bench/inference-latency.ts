/**
 * Latency of one image for four models of tensorsandbox: frozen in ONNX Runtime, in ablate's own engine, and in PyTorch where there is
 * one, all taking turns in one run; beside what tensorsandbox reported. Writes docs/results/inference-latency.json. Needs a quiet machine.
 *
 *     node --import tsx bench/inference-latency.ts [--rounds 20] [--round-ms 300] [--threads 1,2] [--python /usr/bin/python3] [-o file.json]
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { latencyOf, measureInTurns } from '../src/deploy/bench/bench-inference.ts';
import { startCompetitor, type Competitor, type Measurement, type MeasureRequest } from '../src/deploy/bench/competitor.ts';
import { runtimeVersion } from '../src/deploy/onnx-runtime.ts';
import { freezeUntrained } from '../test/freeze-untrained.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { alignColumns } from '../src/util/text-table.ts';

/** Milliseconds that tensorsandbox's C++ tool took for one image, on its author's machine in 2017. */
const ms2017 = { tuto: 44, alex4: 50, nin2: 90, squeeze1: 27 };
const models = Object.keys(ms2017) as (keyof typeof ms2017)[];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    'round-ms': { type: 'string', default: '300' },
    threads: { type: 'string', default: '1,2' },
    python: { type: 'string', default: '/usr/bin/python3' },
    output: { type: 'string', short: 'o', default: 'docs/results/inference-latency.json' },
  },
});
const threadCounts = values.threads.split(',').map(Number);
const torchVersion = findTorch(values.python);

/** The version of PyTorch that a Python has; undefined if it has none. */
function findTorch(python: string): string | undefined {
  const { status, stdout } = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** As it is written, and prepared for inference: torch_latency.py says how. */
const torchModes = ['eager', 'optimized'] as const;
type TorchMode = (typeof torchModes)[number];

/** The same network and preprocessing in PyTorch, in a Python process that answers lines of JSON. */
function startTorch(model: string, threads: number, mode: TorchMode): Competitor {
  const script = fileURLToPath(new URL('./torch_latency.py', import.meta.url));
  const child: ChildProcess = spawn(values.python, [script, model, String(threads), mode], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // PyTorch's own choice of threads is overridden by OpenMP's variable.
    env: { ...process.env, OMP_NUM_THREADS: String(threads) },
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    runtime: `pytorch ${mode}`,
    threads,
    async measure(request: MeasureRequest) {
      child.stdin!.write(`${JSON.stringify(request)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error(`PyTorch ended while it measured ${model}`);
      return JSON.parse(line.value) as Measurement;
    },
    stop: () => {
      child.kill();
    },
  };
}

const folder = mkdtempSync(join(tmpdir(), 'ablate-bench-'));
const engine = createOnednnEngine({ threads: 1 });
interface Row {
  readonly model: string;
  readonly runtime: string;
  readonly threads: number;
  /** Timed runs. */
  readonly runs: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** What tensorsandbox reported, on its author's machine. */
  readonly ms2017: number;
}

const rows: Row[] = [];
try {
  for (const model of models) {
    const path = join(folder, `${model}.onnx`);
    const frozen = await freezeUntrained(engine, { model });
    writeFileSync(path, frozen.encode(null));
    const competitors = threadCounts.flatMap((threads) => [
      startCompetitor({ runtime: 'onnxruntime', path, threads }),
      startCompetitor({ runtime: 'ablate', path, threads }),
      ...(torchVersion === undefined ? [] : torchModes.map((mode) => startTorch(model, threads, mode))),
    ]);
    try {
      const options = { batchSizes: [1], rounds: Number(values.rounds), roundMs: Number(values['round-ms']) };
      const samples = await measureInTurns(competitors, options);
      competitors.forEach(({ runtime, threads }, i) => {
        const runs = samples[i]!.timesMs.get(1)!.length;
        rows.push({ model, runtime, threads, runs, latencyMs: latencyOf(samples[i]!), ms2017: ms2017[model] });
      });
    } finally {
      for (const competitor of competitors) competitor.stop();
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const cells = rows.map(({ model, runtime, threads, latencyMs, ms2017: reported }) => [
  model,
  runtime,
  String(threads),
  ...[latencyMs.p50, latencyMs.p95, latencyMs.p99].map((ms) => ms.toFixed(3)),
  String(reported),
]);
const header = ['model', 'runtime', 'threads', 'p50 ms', 'p95 ms', 'p99 ms', 'ms in 2017'];
console.log(alignColumns([header, ...cells], ['left', 'left', 'right', 'right', 'right', 'right', 'right']));
if (torchVersion === undefined)
  console.log(`${values.python} has no PyTorch: it was not measured (Debian: apt-get install python3-torch)`);

const libraries = {
  onednn: engine.libraryVersion,
  onnxruntime: runtimeVersion(),
  ...(torchVersion !== undefined && { pytorch: torchVersion }),
};
mkdirSync(dirname(values.output), { recursive: true });
const environment = describeEnvironment({ threads: Math.max(...threadCounts), libraries });
const document = {
  what: 'latency of one 32x32 image, bytes in, probabilities out, preprocessing included; untrained weights; all take turns in one run',
  command: `node --import tsx bench/inference-latency.ts ${process.argv.slice(2).join(' ')}`.trim(),
  // `command` says what was run, without this machine's folders.
  environment: { ...environment, commandLine: undefined },
  rows,
};
writeFileAtomic(values.output, `${JSON.stringify(document, undefined, 2)}\n`);
