/** What quantization costs, measured on labelled images: layer by layer, and together. */
import type { ImageSet } from '../../data/dataset.ts';
import { openSession } from '../../deploy/onnx-runtime.ts';
import { imageBatches } from '../../deploy/pixels.ts';
import { AblateError } from '../../util/errors.ts';
import { dropInPoints } from '../points.ts';

/** Images on which files are compared, and what the float file says of them. */
export interface Check {
  readonly images: ImageSet;
  /** `[3, H, W]` of the images. */
  readonly shape: readonly [number, number, number];
  readonly threads: number;
  /** Of the float file, `[count * classes]`. */
  readonly probabilities: Float32Array;
  /** Of the float file: fraction of the images that it labels correctly. */
  readonly accuracy: number;
}

export interface Cost {
  /** Accuracy of the float file less that of this one, in points: 100 for all images. */
  readonly dropPoints: number;
  /** Mean over the images of the Kullback-Leibler divergence of this file's probabilities from the float file's, in nats. */
  readonly divergence: number;
}

const batchSize = 100;

/** Runs the float file over the images, to compare others with it. */
export async function prepareCheck(
  float: Uint8Array,
  { images, shape, threads }: Pick<Check, 'images' | 'shape' | 'threads'>,
): Promise<Check> {
  const probabilities = await predict(float, { images, shape, threads });
  return { images, shape, threads, probabilities, accuracy: accuracyOf(probabilities, images) };
}

/** Fraction of the images that a frozen file labels correctly. */
export async function accuracyOnImages(bytes: Uint8Array, options: Pick<Check, 'images' | 'shape' | 'threads'>): Promise<number> {
  return accuracyOf(await predict(bytes, options), options.images);
}

export async function costOf(bytes: Uint8Array, check: Check): Promise<Cost> {
  const probabilities = await predict(bytes, check);
  return {
    dropPoints: dropInPoints(check.accuracy, accuracyOf(probabilities, check.images)),
    divergence: meanDivergence(check.probabilities, probabilities, check.images.count),
  };
}

async function predict(
  bytes: Uint8Array,
  { images, shape, threads }: Pick<Check, 'images' | 'shape' | 'threads'>,
): Promise<Float32Array> {
  const session = await openSession(bytes, 'the quantized file', { threads });
  try {
    const parts: Float32Array[] = [];
    for (const { batch } of imageBatches(images, shape, batchSize)) parts.push((await session.run(batch)).probabilities);
    const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of parts) {
      joined.set(part, offset);
      offset += part.length;
    }
    return joined;
  } finally {
    await session.dispose();
  }
}

function accuracyOf(probabilities: Float32Array, { count, labels }: ImageSet): number {
  const classes = probabilities.length / count;
  let correct = 0;
  for (let n = 0; n < count; n++) {
    const own = probabilities.subarray(n * classes, (n + 1) * classes);
    if (own.indexOf(Math.max(...own)) === labels[n]) correct++;
  }
  return correct / count;
}

/** sum over classes of p * log(p / q), mean over images. Probabilities that underflowed count as the smallest float32. */
function meanDivergence(from: Float32Array, to: Float32Array, count: number): number {
  const smallest = 2 ** -126;
  let sum = 0;
  for (let i = 0; i < from.length; i++) {
    const p = from[i]!;
    if (p > 0) sum += p * Math.log(Math.max(p, smallest) / Math.max(to[i]!, smallest));
  }
  return sum / count;
}

/** Not even one layer can be quantized within the drop allowed. */
export class NoLayerWithinDropError extends AblateError {}

/** A layer, and the cost of quantizing it alone. */
export interface LayerSensitivity extends Cost {
  readonly layer: string;
}

/** The cost of each layer quantized alone, in the order given. */
export async function measureSensitivities(
  layers: readonly string[],
  quantize: (layers: readonly string[]) => Uint8Array,
  check: Check,
  onLayer?: (done: number, layer: string) => void,
): Promise<LayerSensitivity[]> {
  const sensitivities: LayerSensitivity[] = [];
  for (const layer of layers) {
    onLayer?.(sensitivities.length, layer);
    sensitivities.push({ layer, ...(await costOf(quantize([layer]), check)) });
  }
  onLayer?.(layers.length, '');
  return sensitivities;
}

/**
 * Returns layers to float, the one with the largest divergence first, until accuracy drops by no more than `maxDrop` points.
 *
 * @returns the layers that stay quantized, in the order given, and their cost together
 * @throws NoLayerWithinDropError if not even one layer can
 */
export async function keepWithinDrop(
  sensitivities: readonly LayerSensitivity[],
  quantize: (layers: readonly string[]) => Uint8Array,
  check: Check,
  maxDrop: number,
): Promise<{ readonly layers: readonly string[]; readonly cost: Cost }> {
  const worstFirst = sensitivities.toSorted((a, b) => b.divergence - a.divergence);
  let cost: Cost | undefined;
  for (let returned = 0; returned < worstFirst.length; returned++) {
    const left = new Set(worstFirst.slice(returned).map(({ layer }) => layer));
    const layers = sensitivities.map(({ layer }) => layer).filter((layer) => left.has(layer));
    cost = await costOf(quantize(layers), check);
    if (cost.dropPoints <= maxDrop) return { layers, cost };
  }
  const { layer } = worstFirst.at(-1)!;
  throw new NoLayerWithinDropError(
    `no layer can be quantized within a drop of ${maxDrop} points on ${check.images.count} training images: ` +
      `even ${layer} alone, which changes the least, costs ${cost!.dropPoints.toFixed(2)}`,
    { fix: 'allow a larger --max-drop, or store the weights only: --weights-only float16' },
  );
}
