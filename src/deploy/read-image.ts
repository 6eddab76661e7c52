/** Images that a person gives, as pixels. */
import { readFile } from 'node:fs/promises';
import sharp, { type Metadata } from 'sharp';
import { decodeImage, maximumPixels } from '../data/decode-image.ts';
import { fitToSquare } from '../data/fit-image.ts';
import { DataError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import type { FrozenMetadata } from './metadata.ts';

const formats: readonly string[] = ['png', 'jpeg', 'webp'];

/**
 * Decodes a PNG, JPEG or WebP file and scales it to what the model was trained on, as the images of a folder are for training.
 *
 * @returns `[imageSize, imageSize, 3]` bytes
 * @throws AblateError if the file cannot be read; DataError if it is no image, damaged, too large, or smaller than the model's input
 */
export async function readImage(
  path: string,
  { imageSize, inputSize }: Pick<FrozenMetadata, 'imageSize' | 'inputSize'>,
): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  if (bytes.length === 0) throw new DataError(`${path} is empty (0 bytes)`, { fix: 'give a PNG, JPEG or WebP image' });
  const { width, height } = await checkHeader(bytes, path);
  if (Math.min(width, height) < inputSize) {
    throw new DataError(`${path} is ${width}x${height} pixels, and the network sees ${inputSize}x${inputSize}`, {
      fix: `give an image of at least ${inputSize}x${inputSize} pixels`,
    });
  }
  try {
    return fitToSquare(await decodeImage(bytes), imageSize);
  } catch (error) {
    throw new DataError(`${path} cannot be decoded: ${messageOf(error)}`, { fix: 'give an undamaged image', cause: error });
  }
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fileError('read', path, error);
  }
}

/** Reads the size alone, before anything is decoded. */
async function checkHeader(bytes: Buffer, path: string): Promise<{ readonly width: number; readonly height: number }> {
  let header: Metadata;
  try {
    header = await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw new DataError(`${path} is not an image, or is damaged: ${messageOf(error)}`, {
      fix: 'give a PNG, JPEG or WebP image',
      cause: error,
    });
  }
  const { format, width, height } = header;
  if (!formats.includes(format)) {
    throw new DataError(`${path} is ${format.toUpperCase()}, and must be PNG, JPEG or WebP`, { fix: 'convert it first' });
  }
  if (width * height > maximumPixels) {
    const megapixels = (pixels: number) => `${Math.round(pixels / 1e6)} megapixels`;
    throw new DataError(`${path} has ${megapixels(width * height)}, and at most ${megapixels(maximumPixels)} are read`, {
      fix: 'scale it down first: the network sees a few dozen pixels',
    });
  }
  return { width, height };
}
