/** Images between how data sets store them and how a frozen file takes them. */
import type { ImageSet, Labels } from '../data/dataset.ts';
import { sliceImages } from '../data/image-set.ts';
import type { ImageBatch } from './onnx-runtime.ts';

export interface LabelledBatch {
  readonly batch: ImageBatch;
  /** `[count]` */
  readonly labels: Labels;
}

/**
 * The images of a set one batch after the other, the last partial one included.
 *
 * @param shape `[C, H, W]` of the stored images
 * @param limit only so many images, from the first on
 */
export function* imageBatches(
  set: ImageSet,
  [channels, height, width]: readonly [number, number, number],
  batchSize: number,
  limit = Infinity,
): Generator<LabelledBatch> {
  const total = Math.min(limit, set.count);
  for (let start = 0; start < total; start += batchSize) {
    const { images, labels, count } = sliceImages(set, start, Math.min(start + batchSize, total));
    yield { batch: { pixels: toInterleaved(images, count, height, width, channels), count, height, width }, labels };
  }
}

/** Stored images `[count, C, H, W]` as the `[count, H, W, C]` that a frozen file takes. */
export function toInterleaved(planar: Uint8Array, count: number, height: number, width: number, channels = 3): Uint8Array {
  const planeLength = height * width;
  const interleaved = new Uint8Array(count * channels * planeLength);
  for (let image = 0; image < count; image++) {
    const start = image * channels * planeLength;
    for (let pixel = 0; pixel < planeLength; pixel++) {
      const target = start + channels * pixel;
      for (let channel = 0; channel < channels; channel++) {
        interleaved[target + channel] = planar[start + channel * planeLength + pixel]!;
      }
    }
  }
  return interleaved;
}

/** The central parts of `height` x `width` pixels, as evaluations crop them: `[count, height, width, C]`. */
export function centralParts(
  { pixels, count, height: imageHeight, width: imageWidth }: ImageBatch,
  { height, width }: { readonly height: number; readonly width: number },
): Uint8Array {
  if (imageHeight === height && imageWidth === width) return pixels;
  const [top, left] = [(imageHeight - height) >> 1, (imageWidth - width) >> 1];
  const channels = pixels.length / (count * imageHeight * imageWidth);
  const rowLength = width * channels;
  const parts = new Uint8Array(count * height * rowLength);
  for (let row = 0; row < count * height; row++) {
    const start = ((Math.floor(row / height) * imageHeight + top + (row % height)) * imageWidth + left) * channels;
    parts.set(pixels.subarray(start, start + rowLength), row * rowLength);
  }
  return parts;
}
