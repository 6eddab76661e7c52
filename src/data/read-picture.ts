/** Picture files as pixels: one reader for the images that a network trains on and for those that it labels. */
import sharp, { type Metadata, type Sharp } from 'sharp';
import { DataError, messageOf } from '../util/errors.ts';
import { recognizeFile } from '../util/file-kind.ts';
import { sidesOf, type ImageSize } from '../util/image-size.ts';
import { readRegularFile } from '../util/regular-file.ts';
import type { Picture } from './fit-image.ts';
import { mendJpeg } from './mend-jpeg.ts';

/** Larger ones would take more than 200 MB decoded. */
const maximumPixels = 64_000_000;
/** More than a picture of so many pixels has. */
const maximumFileBytes = 400_000_000;

/** What the decoders get to see; what else they could read is refused here, as the name of a file says nothing about it. */
const readable: readonly (string | undefined)[] = ['a PNG image', 'a JPEG image', 'a WebP image'];

/**
 * Reads a PNG, JPEG or WebP file: turned upright as the camera noted, transparent parts on white, colours in sRGB. Faults that change no
 * pixel are mended; damaged and truncated files are refused.
 *
 * @param smallest size of a picture that is accepted
 * @throws AblateError if the file cannot be read; DataError if it is no such picture, damaged, too large or too small
 */
export async function readPicture(path: string, smallest: ImageSize = 1): Promise<Picture> {
  const bytes = readRegularFile(path, maximumFileBytes);
  if (bytes.length === 0) throw new DataError(`${path} is empty (0 bytes)`, { fix: 'give a PNG, JPEG or WebP image' });
  const kind = recognizeFile(bytes);
  if (!readable.includes(kind?.name)) {
    const what = kind === undefined ? 'is not an image' : `is ${kind.name}`;
    const fix = kind === undefined ? 'give a PNG, JPEG or WebP image' : (kind.fix ?? 'convert it first');
    throw new DataError(`${path} ${what}, and must be PNG, JPEG or WebP`, { fix });
  }
  const mended = kind?.name === 'a JPEG image' ? mendJpeg(bytes) : bytes;
  try {
    const header = await sharp(mended, { limitInputPixels: false }).metadata();
    requireSize(path, header, smallest);
    return await decode(mended, header);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path} cannot be decoded: ${firstLine(error)}`, { fix: 'give an undamaged image', cause: error });
  }
}

/** What a decoder says goes over several lines, of which the later ones repeat the first; one is sharp's own, about how it was called. */
function firstLine(error: unknown): string {
  const lines = messageOf(error).split('\n');
  return (lines.find((line) => !line.includes('failOn setting')) ?? lines[0]!).trim();
}

function requireSize(path: string, { width, height }: Metadata, smallest: ImageSize): void {
  if (width * height > maximumPixels) {
    const megapixels = (pixels: number): string => `${Math.round(pixels / 1e6)} megapixels`;
    throw new DataError(`${path} has ${megapixels(width * height)}, and at most ${megapixels(maximumPixels)} are read`, {
      fix: 'scale it down first: the network sees a few dozen pixels',
    });
  }
  const [leastHeight, leastWidth] = sidesOf(smallest);
  if (height < leastHeight || width < leastWidth) {
    const least = `${leastHeight}x${leastWidth}`;
    throw new DataError(`${path} is ${height}x${width} pixels (height x width), and the network sees ${least}`, {
      fix: `give an image of at least ${least} pixels`,
    });
  }
}

async function decode(bytes: Uint8Array, header: Metadata): Promise<Picture> {
  const upright = sharp(bytes, { limitInputPixels: maximumPixels }).rotate().flatten({ background: 'white' });
  const { data, info } = await inSrgb(upright, header).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, samples: data };
}

/** sharp applies the colour profile of a picture with 8 bits by itself; to one with 16 bits only if a profile is asked for. */
function inSrgb(picture: Sharp, { depth, icc }: Metadata): Sharp {
  const converted = picture.toColourspace('srgb');
  return depth === 'ushort' && icc !== undefined ? converted.withIccProfile('srgb') : converted;
}
