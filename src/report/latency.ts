/**
 * How long one image takes: in the file that is shipped, run by ONNX Runtime as `ablate bench infer` does, on this machine. The weights do not matter
 * to the time, so that the files have first ones: nothing is read of the runs.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quantize } from '../compress/quantize/quantize.ts';
import type { Dataset } from '../data/dataset.ts';
import { allocateImages } from '../data/new-image-set.ts';
import { benchInference, type BenchOptions, type InferenceResult } from '../deploy/bench/bench-inference.ts';
import { untrainedFile } from '../deploy/freeze.ts';
import { runtimeVersion } from '../deploy/onnx-runtime.ts';
import { buildNetwork } from '../nn/description.ts';
import { isQuantized } from '../study/quantization.ts';
import { standardizationOf, type Classifier, type DatasetFacts } from '../train/classifier.ts';
import { AblateError } from '../util/errors.ts';
import { imageSize } from '../util/image-size.ts';
import { uint32 } from '../util/random.ts';
import { withTemporaryFolder } from '../util/temporary-folder.ts';
import type { ReportData, ReportVariant } from './report-data.ts';

/** Files take turns, one at a time, so that what disturbs the machine for a while disturbs all of them alike. */
const turns = 5;
/** Time of a file in each turn; five images at least, whatever they take. */
const turnMs = 100;
/** Each is loaded by a process of its own, which waits for its turn. */
const filesAtATime = 20;

/** More different files than this are not measured unless asked for. */
export const filesMeasuredUnasked = 20;

/** How many different files the variants become. */
export function countFiles(variants: readonly ReportVariant[]): number {
  return new Set(variants.map(fileKey)).size;
}

type Bench = (options: BenchOptions) => Promise<readonly Pick<InferenceResult, 'file' | 'latencyMs'>[]>;

/**
 * The report with the latency of each variant, and how it was measured. Variants that differ in nothing that matters to it are measured once;
 * those with custom layers have no file, and none.
 */
export async function withLatencies(data: ReportData, bench: Bench = benchInference): Promise<ReportData> {
  const distinct = [...new Map(data.variants.map((variant) => [fileKey(variant), variant]))];
  const latencies = new Map<string, number>();
  await withTemporaryFolder('latency', async (folder) => {
    const files: { readonly name: string; readonly path: string }[] = [];
    for (const [i, [key, variant]] of distinct.entries()) {
      const bytes = await shippedFile(variant, data);
      if (bytes === undefined) continue;
      const path = join(folder, `${i}.onnx`);
      writeFileSync(path, bytes);
      files.push({ name: key, path });
    }
    const usual = { threads: [1], runtimes: ['onnxruntime'], batchSizes: [], rounds: turns, roundMs: turnMs } as const;
    for (let first = 0; first < files.length; first += filesAtATime) {
      const measured = await bench({ ...usual, files: files.slice(first, first + filesAtATime) });
      for (const { file, latencyMs } of measured) latencies.set(file, latencyMs.p50);
    }
  });
  const variants = data.variants.map((variant) => ({
    ...variant,
    cost: { ...variant.cost, latencyMs: latencies.get(fileKey(variant)) },
  }));
  if (latencies.size === 0) return { ...data, variants };
  return { ...data, variants, costNotes: [...data.costNotes, latencyNote()] };
}

function latencyNote(): string {
  return (
    `Latency: median time of one image in the frozen file, bytes in and probabilities out, by ONNX Runtime ${runtimeVersion()} with one thread, on the machine that wrote this report, ` +
    `when training was over; ${turns} turns of ${turnMs} ms for each file.`
  );
}

/** What decides the time: the layers, how images become their input, and what is quantized. */
function fileKey({ network, config, quantization }: ReportVariant): string {
  return JSON.stringify([network, config.inputSize, config.standardization, isQuantized(quantization) ? quantization : null]);
}

/** Undefined for custom layers. */
async function shippedFile(variant: ReportVariant, facts: DatasetFacts): Promise<Uint8Array | undefined> {
  const { config, quantization, name } = variant;
  const classifier = classifierOf(variant, facts);
  let bytes: Uint8Array;
  try {
    bytes = untrainedFile(classifier, config);
  } catch (error) {
    if (error instanceof AblateError) return undefined;
    throw error;
  }
  if (quantization === undefined || quantization.scheme === 'none') return bytes;
  return (await quantize({ file: { bytes, source: name }, quantization, dataset: noiseFor(facts) })).encode(null);
}

/** As its runs have it, but for the names of the classes. */
export function classifierOf({ network: description, config }: ReportVariant, { shape, classes }: DatasetFacts): Classifier {
  const network = buildNetwork(description);
  const inputSize = imageSize(network.inputShape[1]!, network.inputShape[2]!);
  return {
    network,
    preprocessing: { inputSize, standardization: standardizationOf(config, shape[0]) },
    classes,
    imageShape: shape,
  };
}

/** Images to calibrate on: what the ranges are does not matter to the time. */
function noiseFor({ shape, classes }: DatasetFacts): Dataset {
  const images = allocateImages(64, shape);
  images.images.forEach((_, i) => (images.images[i] = uint32(1, i) % 256));
  return { name: 'noise', classes, shape, synthetic: true, fingerprint: '', train: images, test: images };
}
