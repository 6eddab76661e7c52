/**
 * What 8-bit integers save in time: each network in float32 and quantized (weights of 7 bits), in ONNX Runtime, all taking turns in one
 * run; one image at a time, and batches of 128. Models with first weights, as time does not depend on their values; or frozen files, such as
 * a network before and after its filters were removed. Writes docs/results/quantized-latency.json. Needs a quiet machine and CIFAR-10.
 *
 *     node --import tsx bench/quantized-latency.ts [file.onnx ...] [--models tuto,alex4,nin2,squeeze1,air94] [--rounds 5] [--round-ms 300]
 *                                                  [--threads 1,2] [-o file.json]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { quantize } from '../src/compress/quantize/quantize.ts';
import { loadDataset } from '../src/user/dataset.ts';
import { benchInference, type InferenceResult } from '../src/deploy/bench/bench-inference.ts';
import { readFrozenFile } from '../src/deploy/frozen-model.ts';
import { runtimeVersion } from '../src/deploy/onnx-runtime.ts';
import { freezeUntrained } from '../test/freeze-untrained.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { alignColumns } from '../src/util/text-table.ts';

const { values, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string', default: 'tuto,alex4,nin2,squeeze1,air94' },
    rounds: { type: 'string', default: '5' },
    'round-ms': { type: 'string', default: '300' },
    threads: { type: 'string', default: '1,2' },
    output: { type: 'string', short: 'o', default: 'docs/results/quantized-latency.json' },
  },
});
const threads = values.threads.split(',').map(Number);
const batchSize = 128;
const dataset = await loadDataset('cifar10');
const engine = createOnednnEngine();
const folder = mkdtempSync(join(tmpdir(), 'ablate-quantized-'));
const results = [];
try {
  for (const [model, bytes] of await networks()) {
    const { encode } = await quantize({
      file: { bytes, source: model },
      seed: 1,
      dataset,
    });
    const variants = Object.entries({ float32: bytes, int8: encode(null) }).map(([name, content]) => {
      const path = join(folder, `${model}-${name}.onnx`);
      writeFileSync(path, content);
      return { name, path };
    });
    const turns = { rounds: Number(values.rounds), roundMs: Number(values['round-ms']), batchSizes: [batchSize] };
    const measured = await benchInference({ files: variants, threads, runtimes: ['onnxruntime'], ...turns });
    for (const count of threads) {
      const of = (name: string) => measured.find((each) => each.file === name && each.threads === count)!;
      const [float, int8] = [of('float32'), of('int8')];
      const row = { model, threads: count, float32: inShort(float), int8: inShort(int8) };
      const ratios = {
        latency: float.latencyMs.p50 / int8.latencyMs.p50,
        batch: row.int8.imagesPerSecond / row.float32.imagesPerSecond,
      };
      results.push({ ...row, timesAsFast: ratios });
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** The files by their names, or without any the untrained models. */
async function networks(): Promise<[name: string, bytes: Uint8Array][]> {
  if (files.length > 0) return files.map((path) => [basename(path, '.onnx'), readFrozenFile(path).bytes]);
  const models = values.models.split(',');
  return Promise.all(models.map(async (model) => [model, (await freezeUntrained(engine, { model })).encode(null)]));
}

function inShort({ latencyMs, throughput, bytes }: InferenceResult) {
  const { imagesPerSecond } = throughput.find((each) => each.batchSize === batchSize)!;
  return { latencyMs, imagesPerSecond, bytes };
}

const libraries = { onnxruntime: runtimeVersion() };
const record = {
  what: `float32 and int8 files in ONNX Runtime, in turns: latency of one image, images a second in batches of ${batchSize}, and how many times as fast int8 is`,
  command: `node --import tsx bench/quantized-latency.ts ${files.length > 0 ? files.join(' ') : `--models ${values.models}`} --rounds ${values.rounds} --round-ms ${values['round-ms']} --threads ${values.threads}`,
  environment: { ...describeEnvironment({ threads: Math.max(...threads), libraries }), commandLine: undefined },
  results,
};
mkdirSync(dirname(values.output), { recursive: true });
writeFileAtomic(values.output, `${JSON.stringify(record, undefined, 2)}\n`);
const header = ['model', 'threads', 'float32 ms', 'int8 ms', 'times', 'float32 images/s', 'int8 images/s', 'times'];
const rows = results.map(({ model, threads: count, float32, int8, timesAsFast }) => [
  model,
  String(count),
  float32.latencyMs.p50.toFixed(3),
  int8.latencyMs.p50.toFixed(3),
  timesAsFast.latency.toFixed(2),
  float32.imagesPerSecond.toFixed(0),
  int8.imagesPerSecond.toFixed(0),
  timesAsFast.batch.toFixed(2),
]);
console.log(alignColumns([header, ...rows], ['left', ...Array<'right'>(7).fill('right')]));
