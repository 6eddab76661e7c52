/** Writes PNG images (ISO/IEC 15948): 8 bits a sample, RGB or grey, no filter. Reading is sharp's business. */
import { deflateSync } from 'node:zlib';
import { crc32 } from '../util/checksum.ts';

/** Pixels row by row, the samples of a pixel side by side. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  /** 1: grey, 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** `[height, width, channels]`, 0-255. */
  readonly samples: Uint8Array;
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** @throws RangeError if the samples are not as many as the size says, or the image is empty. */
export function encodePng(image: Raster): Uint8Array {
  const { width, height, channels, samples } = image;
  if (width < 1 || height < 1 || samples.length !== width * height * channels) {
    throw new RangeError(`an image of ${width}x${height}x${channels} cannot have ${samples.length} samples`);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  const greyOrRgb = channels === 1 ? 0 : 2;
  header.set([8, greyOrRgb, 0, 0, 0], 8);
  return concatenate([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(scanlines(image))),
    chunk('IEND', new Uint8Array()),
  ]);
}

/** Each row behind a byte that says how it is filtered: 0, not at all. */
function scanlines({ width, height, channels, samples }: Raster): Uint8Array {
  const rowBytes = width * channels;
  const lines = new Uint8Array(height * (rowBytes + 1));
  for (let row = 0; row < height; row++) {
    lines.set(samples.subarray(row * rowBytes, (row + 1) * rowBytes), row * (rowBytes + 1) + 1);
  }
  return lines;
}

/** Length of the data, type, data, and the check of type and data. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = concatenate([new TextEncoder().encode(type), data]);
  return concatenate([bigEndian(data.length), body, bigEndian(crc32(body))]);
}

function bigEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
