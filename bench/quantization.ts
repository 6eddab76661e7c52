/**
 * What each way to quantize costs: bytes, accuracy on all test images, and on how many of them the quantized and the float32 file agree.
 * For frozen files of trained networks, on the data they were trained on. Writes docs/results/quantization.json, where what it says of other files
 * stays. Accuracy does not need a quiet machine; the time of the files is for `quantized-latency.ts`.
 *
 *     node --import tsx bench/quantization.ts trained_models/tuto.onnx ... [--threads 2] [-o file.json]
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { compareOnTest } from '../src/compress/quantize/compare.ts';
import { quantize, type QuantizeOptions } from '../src/compress/quantize/quantize.ts';
import { loadDataset } from '../src/user/dataset.ts';
import { readFrozenFile } from '../src/deploy/frozen-model.ts';
import { runtimeVersion } from '../src/deploy/onnx-runtime.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { formatAccuracy, formatBytes } from '../src/util/format.ts';
import { alignColumns } from '../src/util/text-table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    output: { type: 'string', short: 'o', default: 'docs/results/quantization.json' },
  },
});
const threads = Number(values.threads);

type Variant = NonNullable<QuantizeOptions['quantization']>;

const integers = { scheme: 'int8', calibration: 'mse' } as const;
const variants: Readonly<Record<string, Variant>> = {
  'int8, mse': integers,
  'int8, min-max': { ...integers, calibration: 'min-max' },
  'int8, percentile 99.99': { ...integers, calibration: 'percentile' },
  'int8, mse, weights of 8 bits': { ...integers, weightBits: 8 },
  'int8 weights only': { scheme: 'int8-weights' },
  'float16 weights only': { scheme: 'float16-weights' },
};

// `command` says what was run, without this machine's folders.
const environment = {
  ...describeEnvironment({ threads, libraries: { onnxruntime: runtimeVersion() } }),
  commandLine: undefined,
};
const command = `node --import tsx bench/quantization.ts ${positionals.join(' ')} --threads ${threads}`;
const rows = [];
for (const path of positionals) {
  const { bytes, metadata } = readFrozenFile(path);
  const dataset = await loadDataset(metadata.config.dataset);
  for (const [name, variant] of Object.entries(variants)) {
    const { encode } = await quantize({ quantization: variant, file: { bytes, source: path }, dataset });
    const quantized = encode(null);
    const comparison = await compareOnTest({ float: bytes, quantized, metadata, dataset, threads });
    rows.push({
      file: path,
      model: metadata.model,
      variant: name,
      floatBytes: bytes.length,
      bytes: quantized.length,
      ...comparison,
      commit: environment.git?.commit,
    });
  }
}

interface EarlierRecord {
  readonly results: readonly { readonly file: string }[];
}
const earlier = existsSync(values.output) ? (JSON.parse(readFileSync(values.output, 'utf8')) as EarlierRecord).results : [];
const document = {
  what: 'accuracy on all test images of quantized files and of the float32 files they were made of, in ONNX Runtime',
  /** Of the files measured last; `commit` is of each. */
  command,
  environment,
  results: [...earlier.filter(({ file }) => !positionals.includes(file)), ...rows],
};
mkdirSync(dirname(values.output), { recursive: true });
writeFileAtomic(values.output, `${JSON.stringify(document, undefined, 2)}\n`);
const cells = rows.map((row) => [
  row.model,
  row.variant,
  formatBytes(row.floatBytes),
  formatBytes(row.bytes),
  formatAccuracy(row.floatAccuracy),
  formatAccuracy(row.accuracy),
  formatAccuracy(row.agreement),
]);
const header = ['model', 'quantized', 'float32', 'bytes', 'float32', 'accuracy', 'agreement'];
console.log(alignColumns([header, ...cells], ['left', 'left', 'right', 'right', 'right', 'right', 'right']));
