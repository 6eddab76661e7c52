/** One network on the way of compression: frozen, quantized, and measured in both forms. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset, ImageSet } from '../data/dataset.ts';
import { splitOf } from '../data/image-set.ts';
import { benchInference, type BenchOptions, type InferenceResult } from '../deploy/bench/bench-inference.ts';
import { accuracyRecord } from '../deploy/evaluate.ts';
import { fewestImages } from '../deploy/integers/drawn-images.ts';
import type { Frozen } from '../deploy/freeze.ts';
import type { Device } from '../deploy/mcu/cores.ts';
import { networkFigures } from '../deploy/mcu/figures.ts';
import type { FrozenAccuracy } from '../deploy/metadata.ts';
import { dropInPoints, roundPoints } from './points.ts';
import { quantize, type CheckSettings, type MeasuredCheck, type Quantized } from './quantize/quantize.ts';
import { accuracyOnImages, NoLayerWithinDropError, type LayerSensitivity } from './quantize/sensitivity.ts';
import { hasLimits, keepsLimits, type CompressTargets, type DeviceSize, type Measured } from './rounds.ts';
import { withTemporaryFolder } from '../util/temporary-folder.ts';

/** How networks are measured. */
export interface Measuring {
  readonly dataset: Dataset;
  /** Of ONNX Runtime, for accuracies. */
  readonly threads: number;
  /** What to call the network in errors. */
  readonly source: string;
  /** Microcontrollers, none or one, if what a network takes there is limited. */
  readonly devices?: readonly Device[] | undefined;
  /** Times files; default `benchInference`. */
  readonly bench?: ((options: BenchOptions) => Promise<readonly Pick<InferenceResult, 'latencyMs'>[]>) | undefined;
  /** Stops calibration, which then throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A file of the network. */
export interface MeasuredFile {
  /** With room for its accuracy on test images. */
  readonly bytes: number;
  /** Median of one image, with one thread of ONNX Runtime. */
  readonly latencyMs: number;
  /** Fraction of the validation images. */
  readonly validationAccuracy: number;
}

export interface MeasuredNetwork {
  readonly frozen: Frozen;
  readonly quantized: Quantized;
  readonly float32: MeasuredFile;
  readonly int8: MeasuredFile;
  readonly device: DeviceSize | undefined;
}

/** The images that are kept out of the training of every round, and decide. */
export function validationImages(dataset: Dataset): ImageSet {
  return splitOf(dataset, 'val', true);
}

export async function measureNetwork(frozen: Frozen, measuring: Measuring): Promise<MeasuredNetwork> {
  const quantized = await quantizeNetwork(frozen, measuring, undefined);
  const [float32, int8] = await measureFiles([frozen, quantized], measuring);
  return { frozen, quantized, float32: float32!, int8: int8!, device: deviceSize(frozen, measuring) };
}

/**
 * Where quantization and not the smaller network costs too much, returns layers to float32 until the drop is kept: the network as it was, if that
 * cannot be, if it is not needed, or if a limit of size is missed or would be.
 */
export async function withinDrop(
  network: MeasuredNetwork,
  original: MeasuredNetwork,
  targets: CompressTargets,
  measuring: Measuring,
): Promise<MeasuredNetwork> {
  const { maxDrop } = targets;
  if (maxDrop === undefined || dropOf(network.int8, original) <= maxDrop) return network;
  const isSmall = (each: MeasuredNetwork) =>
    !hasLimits(targets) || keepsLimits(targets, decisive(original, original), decisive(each, original));
  const floatDrop = dropOf(network.float32, original);
  if (floatDrop > maxDrop || !isSmall(network)) return network;
  try {
    // What the smaller network itself has cost is not left for quantization.
    const quantized = await quantizeNetwork(network.frozen, measuring, { maxDrop: roundPoints(maxDrop - floatDrop) });
    const [int8] = await measureFiles([quantized], measuring);
    const mixed = { ...network, quantized, int8: int8! };
    return isSmall(mixed) ? mixed : network;
  } catch (error) {
    if (error instanceof NoLayerWithinDropError) return network;
    throw error;
  }
}

/**
 * What of a network is limited, whatever its weights: bytes as integers, and if it is limited the latency. Few images calibrate, as the values
 * of the scales are no matter.
 */
export async function measureSize(
  frozen: Frozen,
  { latencyMs }: CompressTargets,
  measuring: Measuring,
): Promise<Pick<Measured, 'bytes' | 'latencyMs' | 'device'>> {
  const { encode } = await quantizeNetwork(frozen, measuring, undefined, fewestImages);
  return {
    bytes: encode(longestAccuracy(measuring.dataset)).length,
    latencyMs: latencyMs === undefined ? 0 : (await measureLatencies([encode(null)], measuring))[0]!,
    device: deviceSize(frozen, measuring),
  };
}

/** @throws DataError for a network that integers on a microcontroller cannot compute */
function deviceSize({ classifier }: Frozen, { devices }: Measuring): DeviceSize | undefined {
  if (devices === undefined) return undefined;
  const { flashBytes, ramBytes, cores } = networkFigures(classifier, devices);
  return { flashBytes: flashBytes.weights + flashBytes.code, ramBytes: ramBytes.activations, deviceMs: cores[0]?.ms ?? 0 };
}

/** What quantizing each layer alone costs, on the validation images; in the order of the network. */
export async function layerSensitivities(
  { frozen, quantized }: MeasuredNetwork,
  measuring: Measuring,
  onLayer: CheckSettings['onLayer'],
): Promise<readonly LayerSensitivity[]> {
  const measured: MeasuredCheck | undefined =
    quantized.check ?? (await quantizeNetwork(frozen, measuring, { ...(onLayer !== undefined && { onLayer }) })).check;
  return measured!.sensitivities;
}

/** In points; positive if the file is worse than the original in float32. */
export function dropOf(file: MeasuredFile, original: MeasuredNetwork): number {
  return dropInPoints(original.float32.validationAccuracy, file.validationAccuracy);
}

/** What of the quantized network decides about further rounds. */
export function decisive({ frozen, int8, device }: MeasuredNetwork, original: MeasuredNetwork): Measured {
  const { parameters, operations } = frozen.metadata;
  const { bytes, latencyMs } = int8;
  return { parameters, operations, bytes, latencyMs, dropPoints: dropOf(int8, original), device };
}

/** Weights in 7 bits, ranges from training images that are not of validation. */
async function quantizeNetwork(
  frozen: Frozen,
  { dataset, threads, source, signal }: Measuring,
  check: Pick<CheckSettings, 'maxDrop' | 'onLayer'> | undefined,
  images?: number,
): Promise<Quantized> {
  return await quantize({
    file: { bytes: frozen.encode(null), source },
    calibrationImages: images,
    check: check && { ...check, imageSet: validationImages(dataset), threads },
    dataset,
    trainingImages: splitOf(dataset, 'train', true),
    signal,
  });
}

async function measureFiles(files: readonly Pick<Frozen, 'encode'>[], measuring: Measuring): Promise<MeasuredFile[]> {
  const { dataset, threads } = measuring;
  const images = { images: validationImages(dataset), shape: dataset.shape, threads };
  const encoded = files.map((file) => file.encode(null));
  const accuracies: number[] = [];
  for (const bytes of encoded) accuracies.push(await accuracyOnImages(bytes, images));
  const latencies = await measureLatencies(encoded, measuring);
  return files.map((file, i) => ({
    bytes: file.encode(longestAccuracy(dataset)).length,
    latencyMs: latencies[i]!,
    validationAccuracy: accuracies[i]!,
  }));
}

/** A size decides before the accuracy on test images, which goes into the file, may be known: one with as many digits as any. */
function longestAccuracy(dataset: Dataset): FrozenAccuracy {
  return accuracyRecord({ accuracy: 0.30000000000000004, split: 'test', images: dataset.test.count }, dataset);
}

const turns = { rounds: 3, roundMs: 100 };

function measureLatencies(files: readonly Uint8Array[], { bench = benchInference }: Measuring): Promise<number[]> {
  return withTemporaryFolder('ablate-latency-', async (folder) => {
    const named = files.map((bytes, i) => {
      const path = join(folder, `${i}.onnx`);
      writeFileSync(path, bytes);
      return { name: String(i), path };
    });
    const results = await bench({ files: named, threads: [1], runtimes: ['onnxruntime'], batchSizes: [], ...turns });
    return results.map(({ latencyMs }) => latencyMs.p50);
  });
}
