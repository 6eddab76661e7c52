/** Image files as pixels, the same for training and for a trained network. */
import sharp from 'sharp';
import type { Picture } from './fit-image.ts';

/** The name of a file that is read as an image. */
export const imageFileName = /\.(png|jpe?g|webp)$/i;

/** Larger ones would take more than 200 MB decoded. */
export const maximumPixels = 64_000_000;

/**
 * Decodes an image, turned upright as the camera noted and transparent parts on white, at its own size.
 *
 * @param image a file's path or its bytes
 * @throws Error from the decoder if it is no image, damaged, or has more than `maximumPixels`
 */
export async function decodeImage(image: string | Uint8Array): Promise<Picture> {
  const { data, info } = await sharp(image, { limitInputPixels: maximumPixels })
    .rotate()
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, samples: data };
}
