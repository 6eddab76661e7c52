/** The long loops of the twin, in WebAssembly where there is memory for it. All numbers lie in one memory; addresses and steps are in bytes. */
import { requantize } from './fixed-point.ts';
import { kernelsBinary } from './kernels-binary.ts';

/** What is used of WebAssembly: Node has it, but TypeScript only among the browser's types. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Loops & { readonly memory: WasmMemory } };
};

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface Loops {
  /**
   * Pixel p of a row of a convolution reads `rows` runs of 8 * `vectors` integers of 16 bits, of which run r begins at `input + p * pixelStep + r *
   * rowStep`. Filters come in fours (`filters` is a multiple of 4), their weights by four, run, vector and filter. The sum of pixel p and filter
   * f, 32 bits, goes to `output + 4 * (p * filters + f)`. Pixels may go in pairs, so that one more is read and written.
   */
  row(
    input: number,
    pixelStep: number,
    rows: number,
    rowStep: number,
    vectors: number,
    pixels: number,
    weights: number,
    filters: number,
    output: number,
  ): void;
  /**
   * Of each of `pixels` with `filters` sums of 32 bits, `stride` bytes from pixel to pixel, the activations, 16 bits each, without gaps, kept between
   * `low` and `high`: the sum and the filter's bias (32 bits, at `biases`) times its factor (a float32, at `factors`), as in fixed-point.ts.
   */
  finish(
    sums: number,
    pixels: number,
    stride: number,
    filters: number,
    biases: number,
    factors: number,
    low: number,
    high: number,
    output: number,
  ): void;
  /** Adds `count` activations of two tensors, 16 bits each, times their multipliers, and writes the sums over 2^shift. */
  add(
    a: number,
    b: number,
    count: number,
    aMultiplier: number,
    bMultiplier: number,
    shift: number,
    low: number,
    high: number,
    output: number,
  ): void;
  /**
   * The largest of `rows` x `columns` pixels of `channels` activations, 16 bits each: pixels follow one another, rows begin `rowStep` bytes apart.
   */
  largest(input: number, rows: number, rowStep: number, columns: number, channels: number, output: number): void;
}

/** Memory, and loops that work in it. */
export interface Kernels extends Loops {
  readonly memory: ArrayBuffer;
}

const pageBytes = 65_536;

/** Both ways give the same numbers. */
export function createKernels(bytes: number): Kernels {
  try {
    return createWasmKernels(bytes);
  } catch (error) {
    // A WebAssembly memory reserves ten gigabytes of addresses, which a limit on virtual memory (`ulimit -v`) may refuse.
    if (error instanceof RangeError) return createPlainKernels(bytes);
    throw error;
  }
}

/** @throws RangeError where there is no memory for it */
export function createWasmKernels(bytes: number): Kernels {
  const module = new WebAssembly.Module(Buffer.from(kernelsBinary, 'base64'));
  const { memory, ...loops } = new WebAssembly.Instance(module).exports;
  memory.grow(Math.ceil(bytes / pageBytes));
  return { memory: memory.buffer, ...loops };
}

export function createPlainKernels(bytes: number): Kernels {
  const memory = new ArrayBuffer(Math.ceil(bytes / pageBytes) * pageBytes);
  const values = new Int16Array(memory);
  const sums = new Int32Array(memory);
  const between = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const floats = new Float32Array(memory);
  return {
    memory,

    row(input, pixelStep, rows, rowStep, vectors, pixels, weights, filters, output) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        for (let filter = 0; filter < filters; filter++) {
          let w = weights / 2 + (filter - (filter % 4)) * rows * vectors * 8 + (filter % 4) * 8;
          let sum = 0;
          for (let r = 0; r < rows; r++) {
            let x = (input + pixel * pixelStep + r * rowStep) / 2;
            for (let v = 0; v < vectors; v++) {
              for (let i = 0; i < 8; i++) sum += values[x++]! * values[w + i]!;
              w += 32;
            }
          }
          sums[output / 4 + pixel * filters + filter] = sum;
        }
      }
    },

    finish(from, pixels, stride, filters, biases, factors, low, high, output) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        for (let filter = 0; filter < filters; filter++) {
          const sum = sums[(from + pixel * stride) / 4 + filter]! + sums[biases / 4 + filter]!;
          const value = requantize(sum, floats[factors / 4 + filter]!);
          values[output / 2 + pixel * filters + filter] = between(value, low, high);
        }
      }
    },

    add(a, b, count, aMultiplier, bMultiplier, shift, low, high, output) {
      for (let i = 0; i < count; i++) {
        const sum = values[a / 2 + i]! * aMultiplier + values[b / 2 + i]! * bMultiplier;
        values[output / 2 + i] = between((sum + 2 ** (shift - 1)) >> shift, low, high);
      }
    },

    largest(input, rows, rowStep, columns, channels, output) {
      for (let c = 0; c < channels; c++) {
        let most = -256;
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            most = Math.max(most, values[(input + row * rowStep) / 2 + column * channels + c]!);
          }
        }
        values[output / 2 + c] = most;
      }
    },
  };
}
