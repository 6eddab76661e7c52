/**
 * The work on every pixel of an input: crop, mirror and reflection, the sums that statistics need, scale and shift. In WebAssembly
 * with vector instructions (pixels.wat), since the thread that does it shares the cores with training: plain loops take three to four
 * times as long.
 */
import { pixelsBinary } from './pixels-binary.ts';

/** Inputs of one size, cut from images of one shape, one at a time. */
export interface PixelPlanes {
  /**
   * Takes the input from the image at `position` of `images` (`[count, C, H, W]`): its pixel (y, x) is the image's pixel
   * (rows[y], columns[x]), in every channel.
   */
  gather(images: Uint8Array, position: number, rows: Int32Array, columns: Int32Array): void;
  /** The exact sum of a channel's pixels and of their squares. */
  sums(channel: number): { readonly sum: number; readonly squares: number };
  /** Writes `[C, inputSize, inputSize]` to `output[offset ...]`: channel c times scales[c] plus shifts[c], in float64, then rounded. */
  writeAffine(scales: Float64Array, shifts: Float64Array, output: Float32Array, offset: number): void;
}

/** What is used of WebAssembly: Node has it, but TypeScript only among the browser's types. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: PixelExports };
};

/** Addresses and lengths are in bytes. */
interface PixelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  gather(source: number, width: number, rows: number, columns: number, size: number, target: number): void;
  sums(source: number, length: number, result: number): void;
  affine(source: number, length: number, scale: number, shift: number, target: number): void;
}

const vectorBytes = 16;
const pageBytes = 65_536;
/** Columns are bytes in the vector loop, where 255 stands for none. */
const widestForVectors = 240;
/** Pixels whose squares add up to less than 2^32. */
const summable = 65_536;

/** @param shape `[C, H, W]` of the stored images */
export function createPixelPlanes([channels, height, width]: readonly [number, number, number], inputSize: number): PixelPlanes {
  const module = new WebAssembly.Module(Buffer.from(pixelsBinary, 'base64'));
  const { memory, ...kernels } = new WebAssembly.Instance(module).exports;
  const imageLength = channels * height * width;
  const planeLength = inputSize * inputSize;

  let end = 0;
  // The vector behind each field is for what kernels read and write beyond its end.
  const reserve = (bytes: number): number => {
    const address = end;
    end += roundUp(bytes) + vectorBytes;
    return address;
  };
  const planeBytes = roundUp(planeLength) + vectorBytes;
  const imageAddress = reserve(imageLength);
  const rowsAddress = reserve(4 * inputSize);
  const columnsAddress = reserve(inputSize);
  const planesAddress = reserve(channels * planeBytes);
  const sumsAddress = reserve(2 * vectorBytes);
  const floatsAddress = reserve(4 * channels * planeLength);
  memory.grow(Math.ceil(end / pageBytes));

  const image = new Uint8Array(memory.buffer, imageAddress, imageLength);
  const rowOffsets = new Int32Array(memory.buffer, rowsAddress, inputSize);
  const columnPlaces = new Uint8Array(memory.buffer, columnsAddress, roundUp(inputSize)).fill(255);
  const planes = new Uint8Array(memory.buffer, planesAddress, channels * planeBytes);
  const partialSums = new Uint32Array(memory.buffer, sumsAddress, 8);
  const floats = new Float32Array(memory.buffer, floatsAddress, channels * planeLength);

  function gatherByVectors(rows: Int32Array, columns: Int32Array): void {
    for (let i = 0; i < inputSize; i++) rowOffsets[i] = rows[i]! * width;
    columnPlaces.set(columns);
    for (let channel = 0; channel < channels; channel++) {
      const source = imageAddress + channel * height * width;
      kernels.gather(source, width, rowsAddress, columnsAddress, inputSize, planesAddress + channel * planeBytes);
    }
  }

  function gatherWide(rows: Int32Array, columns: Int32Array): void {
    for (let channel = 0; channel < channels; channel++) {
      let target = channel * planeBytes;
      for (let y = 0; y < inputSize; y++) {
        const row = (channel * height + rows[y]!) * width;
        for (let x = 0; x < inputSize; x++) planes[target++] = image[row + columns[x]!]!;
      }
    }
  }

  return {
    gather(images, position, rows, columns) {
      image.set(images.subarray(position * imageLength, (position + 1) * imageLength));
      if (width <= widestForVectors) gatherByVectors(rows, columns);
      else gatherWide(rows, columns);
    },

    sums(channel) {
      let sum = 0;
      let squares = 0;
      for (let start = 0; start < planeLength; start += summable) {
        const length = Math.min(summable, planeLength - start);
        kernels.sums(planesAddress + channel * planeBytes + start, length, sumsAddress);
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
        const source = planesAddress + channel * planeBytes;
        kernels.affine(source, planeLength, scales[channel]!, shifts[channel]!, floatsAddress + 4 * channel * planeLength);
      }
      output.set(floats, offset);
    },
  };
}

/** To whole vectors. */
function roundUp(bytes: number): number {
  return Math.ceil(bytes / vectorBytes) * vectorBytes;
}
