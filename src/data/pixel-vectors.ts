/** Pixels by the vector instructions of WebAssembly (pixels.wat), three to four times as fast as plain loops. */
import { pixelsBinary } from './pixels-binary.ts';
import type { ImageShape, PixelPlanes, Sides } from './pixel-planes.ts';

/** What is used of WebAssembly: Node has it, but TypeScript only among the browser's types. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: PixelExports };
};

/** Addresses and lengths are in bytes. */
interface PixelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  gather(
    source: number,
    width: number,
    rows: number,
    columns: number,
    inputHeight: number,
    inputWidth: number,
    target: number,
  ): void;
  sums(source: number, length: number, result: number): void;
  affine(source: number, length: number, scale: number, shift: number, target: number): void;
}

const vectorBytes = 16;
const pageBytes = 65_536;
/** Columns are bytes here, where 255 stands for none. */
export const widestForVectors = 240;
/** Pixels whose squares add up to less than 2^32. */
const summable = 65_536;

/**
 * @param shape of images no wider than `widestForVectors`
 * @throws RangeError where there is no memory for it
 */
export function createPixelVectors([channels, height, width]: ImageShape, [inputHeight, inputWidth]: Sides): PixelPlanes {
  const module = new WebAssembly.Module(Uint8Array.from(atob(pixelsBinary), (character) => character.charCodeAt(0)));
  const { memory, ...kernels } = new WebAssembly.Instance(module).exports;
  const imageLength = channels * height * width;
  const planeLength = inputHeight * inputWidth;

  let end = 0;
  // The vector behind each field is for what kernels read and write beyond its end.
  const reserve = (bytes: number): number => {
    const address = end;
    end += roundUp(bytes) + vectorBytes;
    return address;
  };
  const planeBytes = roundUp(planeLength) + vectorBytes;
  const imageAddress = reserve(imageLength);
  const rowsAddress = reserve(4 * inputHeight);
  const columnsAddress = reserve(inputWidth);
  const planesAddress = reserve(channels * planeBytes);
  const sumsAddress = reserve(2 * vectorBytes);
  const floatsAddress = reserve(4 * channels * planeLength);
  memory.grow(Math.ceil(end / pageBytes));

  const image = new Uint8Array(memory.buffer, imageAddress, imageLength);
  const rowOffsets = new Int32Array(memory.buffer, rowsAddress, inputHeight);
  const columnPlaces = new Uint8Array(memory.buffer, columnsAddress, roundUp(inputWidth)).fill(255);
  const partialSums = new Uint32Array(memory.buffer, sumsAddress, 8);
  const floats = new Float32Array(memory.buffer, floatsAddress, channels * planeLength);
  const planeAddress = (channel: number): number => planesAddress + channel * planeBytes;

  return {
    gather(images, position, rows, columns) {
      image.set(images.subarray(position * imageLength, (position + 1) * imageLength));
      for (let i = 0; i < inputHeight; i++) rowOffsets[i] = rows[i]! * width;
      columnPlaces.set(columns);
      for (let channel = 0; channel < channels; channel++) {
        const source = imageAddress + channel * height * width;
        kernels.gather(source, width, rowsAddress, columnsAddress, inputHeight, inputWidth, planeAddress(channel));
      }
    },

    sums(channel) {
      let sum = 0;
      let squares = 0;
      for (let start = 0; start < planeLength; start += summable) {
        kernels.sums(planeAddress(channel) + start, Math.min(summable, planeLength - start), sumsAddress);
        for (let i = 0; i < 4; i++) {
          sum += partialSums[i]!;
          squares += partialSums[4 + i]!;
        }
      }
      return { sum, squares };
    },

    writeAffine(scales, shifts, output, offset) {
      // In this order: what is written beyond the end of a channel is the next one's.
      for (let channel = 0; channel < channels; channel++) {
        const target = floatsAddress + 4 * channel * planeLength;
        kernels.affine(planeAddress(channel), planeLength, scales[channel]!, shifts[channel]!, target);
      }
      output.set(floats, offset);
    },
  };
}

/** To whole vectors. */
function roundUp(bytes: number): number {
  return Math.ceil(bytes / vectorBytes) * vectorBytes;
}
