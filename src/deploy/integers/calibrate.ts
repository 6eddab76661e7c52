/** Runs a float graph over images and finds the scale of each tensor that is to be stored as integers. */
import type { ImageSet } from '../../data/dataset.ts';
import { letEventsIn } from '../../train/events.ts';
import { DataError } from '../../util/errors.ts';
import { openSession } from '../onnx-runtime.ts';
import { encodeModel, type ModelProto } from '../onnx/schema.ts';
import { imageBatches } from '../pixels.ts';
import {
  addToHistogram,
  chooseRange,
  histogramBins,
  scaleOf,
  type ActivationScale,
  type Histogram,
  type Range,
  type RangeMethod,
} from './ranges.ts';

/** Integer tensors that share a scale. */
export interface ScaleGroup {
  readonly tensors: readonly string[];
  /** Those of them that something computes with, and does not just move: their values decide the scale. */
  readonly observed: readonly string[];
  /** Whether all values that were seen get integers, whatever the method: clipped logits would be equal. */
  readonly unclipped?: boolean;
}

export interface CalibrationOptions {
  readonly model: ModelProto;
  readonly groups: readonly ScaleGroup[];
  readonly images: ImageSet;
  /** `[3, H, W]` of the images. */
  readonly shape: readonly [number, number, number];
  readonly method: RangeMethod;
  /** Images that were looked at, of those of all passes. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Images that the graph computes at a time; does not change the result. */
const batchSize = 32;

/**
 * The scale of each tensor by name, the same for those of a group. Two passes: the first finds the ends of the values, the second counts
 * what is between them. With one thread, so that the same images give the same scales on any number of cores.
 *
 * @throws DataError if the network computes infinities or what is not a number; the reason of the signal, if that stopped it
 */
export async function calibrate(options: CalibrationOptions): Promise<ReadonlyMap<string, ActivationScale>> {
  const { groups, images, method, onProgress, signal } = options;
  const total = images.count * (method.method === 'min-max' ? 1 : 2);
  let done = 0;
  const session = await openSession(withOutputs(options), 'the network to calibrate');
  const visit = async (look: (group: number, values: Float32Array) => void) => {
    const observed = groups.flatMap((group) => group.observed);
    for (const { batch } of imageBatches(images, options.shape, batchSize)) {
      const read = await session.read(batch, observed);
      for (const [i, group] of groups.entries()) {
        for (const tensor of group.observed) look(i, read.get(tensor)!);
      }
      done += batch.count;
      onProgress?.(done, total);
      await letEventsIn();
      signal?.throwIfAborted();
    }
  };
  try {
    const ends = groups.map((): [low: number, high: number] => [Infinity, -Infinity]);
    await visit((i, values) => widen(ends[i]!, values, groups[i]!));
    const all = ends.map(([low, high]) => ({ low, high }));
    const chosen = method.method === 'min-max' ? all : await chooseRanges(ends, method, visit);
    const ranges = groups.map(({ unclipped }, i) => (unclipped === true ? all[i]! : chosen[i]!));
    return new Map(groups.flatMap(({ tensors }, i) => tensors.map((tensor) => [tensor, scaleOf(ranges[i]!)] as const)));
  } finally {
    await session.dispose();
  }
}

async function chooseRanges(
  ends: readonly (readonly [number, number])[],
  method: RangeMethod,
  visit: (look: (group: number, values: Float32Array) => void) => Promise<void>,
): Promise<Range[]> {
  const histograms = ends.map(([low, high]): Histogram => ({ low, high, counts: new Float64Array(histogramBins) }));
  await visit((i, values) => addToHistogram(histograms[i]!, values));
  return histograms.map((histogram) => chooseRange(histogram, method));
}

function widen(ends: [low: number, high: number], values: Float32Array, { tensors }: ScaleGroup): void {
  let [low, high] = ends;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
    sum += value;
  }
  // A sum is not finite if any value is not, and float64 does not overflow on sums of float32.
  if (!Number.isFinite(sum)) throw new DataError(`the values of ${tensors[0]!} in the network are not all finite`);
  ends[0] = low;
  ends[1] = high;
}

/** The model with the observed tensors as further outputs. */
function withOutputs({ model, groups }: CalibrationOptions): Uint8Array {
  const observed = groups.flatMap((group) => group.observed).map((name) => ({ name, type: 'float' as const }));
  return encodeModel({ ...model, graph: { ...model.graph, output: [...model.graph.output, ...observed] } });
}
