/** Images that a person gives, as pixels. */
import type { Picture } from '../../../data/fit-image.ts';

/** As for `ablate label`. */
const maximumPixels = 64_000_000;

/** What is wrong with an image, for the person who gave it. */
export class PictureError extends Error {}

/**
 * Decodes an image as `ablate label` does: turned upright as the camera noted, transparent parts on white. The pixels are those of the
 * file, not scaled.
 *
 * @param least smallest height and width allowed, in pixels
 * @throws PictureError if it is no image, or too small or too large
 */
export async function readPicture(image: Blob, [leastHeight, leastWidth]: readonly [number, number]): Promise<Picture> {
  const { source, width, height, close } = await decode(image);
  try {
    if (height < leastHeight || width < leastWidth) {
      throw new PictureError(`The image is ${width}×${height} pixels, and the network sees ${leastWidth}×${leastHeight}.`);
    }
    if (width * height > maximumPixels) {
      throw new PictureError(`The image has ${Math.round((width * height) / 1e6)} megapixels; at most 64 are read.`);
    }
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, height);
    context.drawImage(source, 0, 0, width, height);
    return { width, height, channels: 4, samples: context.getImageData(0, 0, width, height).data };
  } finally {
    close();
  }
}

interface Decoded {
  readonly source: CanvasImageSource;
  readonly width: number;
  readonly height: number;
  close(): void;
}

/** Drawings have a size of their own too, but only image elements decode them. */
async function decode(image: Blob): Promise<Decoded> {
  try {
    if (image.type === 'image/svg+xml') return await decodeDrawing(image);
    const bitmap = await createImageBitmap(image);
    return {
      source: bitmap,
      width: bitmap.width,
      height: bitmap.height,
      close: () => {
        bitmap.close();
      },
    };
  } catch (error) {
    throw new PictureError('This is not an image that the browser can decode, or it is damaged.', { cause: error });
  }
}

async function decodeDrawing(image: Blob): Promise<Decoded> {
  const url = URL.createObjectURL(image);
  const element = new Image();
  element.src = url;
  await element.decode();
  return {
    source: element,
    width: element.naturalWidth,
    height: element.naturalHeight,
    close: () => {
      URL.revokeObjectURL(url);
    },
  };
}
