/** From a frozen file in float32 to one that is smaller, and computes in integers where that is asked for. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { selectImages, splitOf } from '../../data/image-set.ts';
import { requireFitting } from '../../deploy/evaluate.ts';
import { calibrate } from '../../deploy/integers/calibrate.ts';
import { calibrationOrder, requireImageCount, usualCalibrationImages } from '../../deploy/integers/drawn-images.ts';
import { rangeMethodOf, type RangeMethod } from '../../deploy/integers/ranges.ts';
import { encodeFrozenMetadata, readFrozenMetadata, type FrozenAccuracy, type FrozenMetadata } from '../../deploy/metadata.ts';
import {
  quantizationSettings,
  type Quantization,
  type QuantizationScheme,
  type QuantizationSettings,
} from '../../deploy/quantization.ts';
import { decodeModel, encodeModel, type GraphProto, type ModelProto } from '../../deploy/onnx/schema.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { ConfigurationError, DataError } from '../../util/errors.ts';
import { check } from '../../util/schema.ts';
import { weightedLayers, withoutLayers, type WeightedLayer } from './layers.ts';
import { integerTensors, scaleGroups } from './placement.ts';
import { withFloat16Weights, withInt8Weights, withIntegerArithmetic } from './rewrite.ts';
import {
  costOf,
  keepWithinDrop,
  measureSensitivities,
  prepareCheck,
  type Check,
  type Cost,
  type LayerSensitivity,
} from './sensitivity.ts';

/** A frozen file, and what to call it in errors. */
export interface FloatFile {
  readonly bytes: Uint8Array;
  readonly source: string;
  /** Steps that its network was trained with rounded weights, for the record; default 0. */
  readonly fineTuningSteps?: number;
}

/** Measuring on images that did not calibrate, by default training images. */
export interface CheckSettings {
  /** Default 2000, or as many as calibration leaves. */
  readonly images?: number | undefined;
  /** Measured on these, and on all of them, in place of training images. */
  readonly imageSet?: ImageSet | undefined;
  /** Largest loss of accuracy allowed, in points; default: any. */
  readonly maxDrop?: number | undefined;
  /** Of ONNX Runtime; default the physical cores. */
  readonly threads?: number | undefined;
  readonly onLayer?: ((done: number, total: number, layer: string) => void) | undefined;
}

export interface QuantizeOptions {
  readonly file: FloatFile;
  /** Default: integer arithmetic, with weights of 7 bits. */
  readonly quantization?: z.input<typeof quantizationSettings> | undefined;
  /** Training images that calibrate; default 1024, or all; where layers are measured, no more than half of them. */
  readonly calibrationImages?: number | undefined;
  /** Names of layers that stay as they are. */
  readonly keepFloat?: readonly string[] | undefined;
  /** Default: layers are not measured. */
  readonly check?: CheckSettings | undefined;
  /** Which training images calibrate, and which check; default 1. */
  readonly seed?: number | undefined;
  /** Needed for integer arithmetic, and to check. */
  readonly dataset?: Dataset | undefined;
  /** Which of its images may calibrate and check; default: those that the network was trained on. */
  readonly trainingImages?: ImageSet | undefined;
  /** Images that calibrated; each counts once for each time that it is looked at. */
  readonly onCalibration?: ((done: number, total: number) => void) | undefined;
  /** Stops the calibration. */
  readonly signal?: AbortSignal | undefined;
}

export interface Quantized {
  /** Of the file that was made, without an accuracy. */
  readonly metadata: FrozenMetadata;
  readonly quantization: Quantization;
  /** The layers that were quantized, in the order of the graph. */
  readonly layers: readonly string[];
  /** What the layers cost, if it was asked for. */
  readonly check: MeasuredCheck | undefined;
  /** The file's bytes; with an accuracy, they say so in their metadata. The same options give the same bytes. */
  encode(accuracy: FrozenAccuracy | null): Uint8Array;
}

export interface MeasuredCheck {
  readonly images: number;
  /** Of the float file: fraction of these images. */
  readonly floatAccuracy: number;
  /** Of the quantized file. */
  readonly cost: Cost;
  /** In the order of the graph. */
  readonly sensitivities: readonly LayerSensitivity[];
}

const usualCheckImages = 2000;

/**
 * Quantizes a file that `ablate freeze` wrote.
 *
 * @throws DataError for a file that is no such file, is quantized already, or does not fit the images; ConfigurationError for layers that do
 *   not exist and for too few images; AblateError if no layer can be quantized within the drop allowed;
 *   the reason of the signal, if that stopped it
 */
export async function quantize(options: QuantizeOptions): Promise<Quantized> {
  const { keepFloat = [], check: checkSettings } = options;
  const settings = check(quantizationSettings, options.quantization ?? { scheme: 'int8' });
  check(z.object({ maxDrop: z.number().min(0).optional() }), { maxDrop: checkSettings?.maxDrop });
  const { scheme } = settings;
  const { metadata, model } = readFloatFile(options.file);
  const all = weightedLayers(model.graph);
  const candidates = withoutLayers(all, keepFloat);
  const looksAtImages = scheme === 'int8' || checkSettings !== undefined;
  const images = looksAtImages ? chooseImages(options, metadata) : undefined;
  const rewrite = await prepareRewrite(settings, model, candidates, images, options);
  const withLayers = (names: readonly string[]) => rewrite(candidates.filter(({ name }) => names.includes(name)));
  const names = candidates.map(({ name }) => name);
  const plain = (layers: readonly string[]) => encodeModel({ ...model, graph: withLayers(layers) });
  const checked =
    checkSettings &&
    images?.check &&
    (await checkLayers(names, plain, options.file.bytes, { ...images, images: images.check }, checkSettings));
  const layers = checked?.layers ?? names;
  const quantization: Quantization = {
    scheme,
    weightBits: scheme === 'int8' ? settings.weightBits : scheme === 'int8-weights' ? 8 : 16,
    calibration: scheme === 'int8' && images ? calibrationRecord(rangeMethodOf(settings), images) : null,
    fineTuningSteps: options.file.fineTuningSteps ?? 0,
    floatLayers: all.map(({ name }) => name).filter((name) => !layers.includes(name)),
    source: { bytes: options.file.bytes.length, sha256: createHash('sha256').update(options.file.bytes).digest('hex') },
  };
  const graph = withLayers(layers);
  const docString = `${model.docString} Quantized: ${describeScheme[scheme]}.`;
  return {
    metadata: { ...metadata, accuracy: null, quantization },
    quantization,
    layers,
    check: checked?.measured,
    encode: (accuracy) =>
      encodeModel({ ...model, docString, graph, metadata: encodeFrozenMetadata({ ...metadata, accuracy, quantization }) }),
  };
}

const describeScheme: Readonly<Record<QuantizationScheme, string>> = {
  int8: 'integer arithmetic with 8-bit weights and activations',
  'int8-weights': '8-bit weights, float arithmetic',
  'float16-weights': '16-bit weights, float arithmetic',
};

function readFloatFile({ bytes, source }: FloatFile): { readonly metadata: FrozenMetadata; readonly model: ModelProto } {
  const metadata = readFrozenMetadata(bytes, source);
  if (metadata.quantization !== null) {
    throw new DataError(`${source} is quantized already (${metadata.quantization.scheme})`, {
      fix: 'quantize the float32 file or the run that it was made of',
    });
  }
  const model = decodeModel(bytes);
  if (model !== undefined) return { metadata, model };
  throw new DataError(`${source} is damaged, or was changed by another program after ablate wrote it`, {
    fix: 'freeze it again',
  });
}

/** Makes the graph in which some of the candidates are quantized. */
type Rewrite = (layers: readonly WeightedLayer[]) => GraphProto;

async function prepareRewrite(
  settings: QuantizationSettings,
  model: ModelProto,
  candidates: readonly WeightedLayer[],
  images: ChosenImages | undefined,
  { onCalibration: onProgress, signal }: QuantizeOptions,
): Promise<Rewrite> {
  const { graph } = model;
  switch (settings.scheme) {
    case 'int8-weights':
      return (layers) => withInt8Weights(graph, layers);
    case 'float16-weights':
      return (layers) => withFloat16Weights(graph, layers);
    case 'int8': {
      const groups = scaleGroups(graph, integerTensors(graph, candidates));
      const { calibration: chosen, shape } = images!;
      const method = rangeMethodOf(settings);
      const scales = await calibrate({ model, groups, images: chosen, shape, method, onProgress, signal });
      return (layers) => withIntegerArithmetic(graph, layers, scales, settings.weightBits);
    }
  }
}

/** Measures the layers, and leaves in float those that cost too much. */
async function checkLayers(
  names: readonly string[],
  plain: (layers: readonly string[]) => Uint8Array,
  float: Uint8Array,
  chosen: Pick<Check, 'images' | 'shape'>,
  { maxDrop, threads = defaultThreads(), onLayer }: CheckSettings,
): Promise<{ readonly layers: readonly string[]; readonly measured: MeasuredCheck }> {
  const reference = await prepareCheck(float, { ...chosen, threads });
  const sensitivities = await measureSensitivities(names, plain, reference, (done, layer) =>
    onLayer?.(done, names.length, layer),
  );
  const { layers, cost } =
    maxDrop === undefined
      ? { layers: names, cost: await costOf(plain(names), reference) }
      : await keepWithinDrop(sensitivities, plain, reference, maxDrop);
  return { layers, measured: { images: reference.images.count, floatAccuracy: reference.accuracy, cost, sensitivities } };
}

interface ChosenImages {
  readonly calibration: ImageSet;
  /** None of these calibrates. Undefined unless they are asked for. */
  readonly check: ImageSet | undefined;
  readonly shape: readonly [number, number, number];
  readonly dataset: Dataset;
  readonly seed: number;
}

/** Training images in an order drawn from the seed: the first ones calibrate, the next ones check. Test images are for the result. */
function chooseImages(
  { calibrationImages, check: asked, dataset, trainingImages, ...options }: QuantizeOptions,
  metadata: FrozenMetadata,
): ChosenImages {
  const { seed } = check(z.object({ seed: z.int().min(0).default(1) }), { seed: options.seed });
  if (dataset === undefined) throw new ConfigurationError('integer arithmetic, and measuring layers, need a data set');
  requireFitting(metadata, dataset);
  const train = trainingImages ?? splitOf(dataset, 'train', metadata.config.val);
  const drawsCheck = asked !== undefined && asked.imageSet === undefined;
  const calibrationCount = calibrationImages ?? usualCount(train.count, drawsCheck);
  requireImageCount('images', calibrationCount, train.count, `${dataset.name} has as training images`);
  const order = calibrationOrder(seed, train.count);
  const chosen = { calibration: selectImages(train, order.subarray(0, calibrationCount)), shape: dataset.shape, dataset, seed };
  if (!drawsCheck) return { ...chosen, check: asked?.imageSet };
  const left = train.count - calibrationCount;
  const checkCount = asked.images ?? Math.min(usualCheckImages, left);
  requireImageCount('check-images', checkCount, left, 'calibration leaves of the training images');
  return { ...chosen, check: selectImages(train, order.subarray(calibrationCount, calibrationCount + checkCount)) };
}

/** Of a small set, half is left to check with. */
function usualCount(available: number, leavesRest: boolean): number {
  return Math.min(usualCalibrationImages, leavesRest ? Math.floor(available / 2) : available);
}

function calibrationRecord(
  { method, percentile }: RangeMethod,
  { calibration: images, dataset, seed }: ChosenImages,
): Quantization['calibration'] {
  return {
    method,
    percentile: method === 'percentile' ? percentile : null,
    images: images.count,
    seed,
    dataset: dataset.name,
    fingerprint: dataset.fingerprint,
  };
}
