/** Images between how data sets store them and how a frozen file takes them. */
import type { ImageSet } from '../data/dataset.ts';
import { sliceImages } from '../data/image-set.ts';
import type { ImageBatch } from './onnx-runtime.ts';

export interface LabelledBatch {
  readonly batch: ImageBatch;
  /** `[count]` */
  readonly labels: Uint8Array;
}

/**
 * The images of a set one batch after the other, the last partial one included.
 *
 * @param shape `[3, H, W]` of the stored images
 * @param limit only so many images, from the first on
 */
export function* imageBatches(
  set: ImageSet,
  [, height, width]: readonly [number, number, number],
  batchSize: number,
  limit = Infinity,
): Generator<LabelledBatch> {
  const total = Math.min(limit, set.count);
  for (let start = 0; start < total; start += batchSize) {
    const { images, labels, count } = sliceImages(set, start, Math.min(start + batchSize, total));
    yield { batch: { pixels: toInterleaved(images, count, height, width), count, height, width }, labels };
  }
}

/** Stored images `[count, 3, H, W]` as the `[count, H, W, 3]` that a frozen file takes. */
export function toInterleaved(planar: Uint8Array, count: number, height: number, width: number): Uint8Array {
  const planeLength = height * width;
  const interleaved = new Uint8Array(count * 3 * planeLength);
  for (let image = 0; image < count; image++) {
    const start = image * 3 * planeLength;
    for (let pixel = 0; pixel < planeLength; pixel++) {
      const target = start + 3 * pixel;
      interleaved[target] = planar[start + pixel]!;
      interleaved[target + 1] = planar[start + planeLength + pixel]!;
      interleaved[target + 2] = planar[start + 2 * planeLength + pixel]!;
    }
  }
  return interleaved;
}

/** The central squares of `side` pixels, as evaluations crop them: `[count, side, side, 3]`. */
export function centralSquares({ pixels, count, height, width }: ImageBatch, side: number): Uint8Array {
  if (height === side && width === side) return pixels;
  const [top, left] = [(height - side) >> 1, (width - side) >> 1];
  const squares = new Uint8Array(count * side * side * 3);
  for (let row = 0; row < count * side; row++) {
    const start = ((Math.floor(row / side) * height + top + (row % side)) * width + left) * 3;
    squares.set(pixels.subarray(start, start + side * 3), row * side * 3);
  }
  return squares;
}
