/**
 * Reads a TensorFlow Lite model, field by field as TensorFlow's schema.fbs numbers them, and computes it in plain loops with 8-bit integers. Written without a
 * look at what writes such files; rounded as XNNPACK does. test/tflite.test.ts runs the files in LiteRT itself, where that is installed.
 */
import { expect } from 'vitest';
import { curveTable } from '../src/deploy/mcu/curve-table.ts';
import { nearestEven, requantize } from '../src/deploy/mcu/fixed-point.ts';
import type { CurveActivation } from '../src/deploy/mcu/graph.ts';

export interface TfliteTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** int32: 2, int8: 9. */
  readonly type: number;
  /** Of a constant. */
  readonly data: Uint8Array | undefined;
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  readonly dimension: number;
}

export interface TfliteOperator {
  readonly code: number;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options: Table | undefined;
}

export interface TfliteModel {
  readonly description: string;
  readonly tensors: readonly TfliteTensor[];
  readonly operators: readonly TfliteOperator[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A table of a flatbuffer: its fields by their numbers in the schema. */
class Table {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
  }

  /** Where a field is; undefined if it is left out. */
  #place(number: number): number | undefined {
    const fields = this.#at - this.#view.getInt32(this.#at, true);
    const entry = 4 + 2 * number;
    const offset = entry < this.#view.getUint16(fields, true) ? this.#view.getUint16(fields + entry, true) : 0;
    return offset === 0 ? undefined : this.#at + offset;
  }

  #target(number: number): number | undefined {
    const place = this.#place(number);
    return place === undefined ? undefined : place + this.#view.getUint32(place, true);
  }

  byte(number: number): number | undefined {
    const place = this.#place(number);
    return place === undefined ? undefined : this.#view.getInt8(place);
  }

  int(number: number): number | undefined {
    const place = this.#place(number);
    return place === undefined ? undefined : this.#view.getInt32(place, true);
  }

  float(number: number): number | undefined {
    const place = this.#place(number);
    return place === undefined ? undefined : this.#view.getFloat32(place, true);
  }

  table(number: number): Table | undefined {
    const at = this.#target(number);
    return at === undefined ? undefined : new Table(this.#view, at);
  }

  /** Where each element of a vector is. */
  #elements(number: number, bytes: number): number[] {
    const at = this.#target(number);
    return at === undefined ? [] : Array.from({ length: this.#view.getUint32(at, true) }, (_, i) => at + 4 + i * bytes);
  }

  ints(number: number): number[] {
    return this.#elements(number, 4).map((at) => this.#view.getInt32(at, true));
  }

  longs(number: number): number[] {
    return this.#elements(number, 8).map((at) => Number(this.#view.getBigInt64(at, true)));
  }

  floats(number: number): number[] {
    return this.#elements(number, 4).map((at) => this.#view.getFloat32(at, true));
  }

  tables(number: number): Table[] {
    return this.#elements(number, 4).map((at) => new Table(this.#view, at + this.#view.getUint32(at, true)));
  }

  /** The bytes of a vector, and where in the file they begin. */
  bytes(number: number): { readonly values: Uint8Array; readonly start: number } | undefined {
    const places = this.#elements(number, 1);
    const [start] = places;
    if (start === undefined) return undefined;
    return { values: new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, places.length).slice(), start };
  }

  text(number: number): string {
    return Buffer.from(this.bytes(number)?.values ?? []).toString();
  }
}

/** By BuiltinOperator: the version for 8-bit integers, and which of BuiltinOptions there must be. */
const known = new Map([
  [0, { version: 2, options: 11 }],
  [1, { version: 2, options: 5 }],
  [2, { version: 2, options: 10 }],
  [3, { version: 3, options: 1 }],
  [4, { version: 3, options: 2 }],
  [14, { version: 2, options: undefined }],
  [17, { version: 2, options: 5 }],
  [18, { version: 2, options: 21 }],
  [19, { version: 2, options: undefined }],
  [21, { version: 2, options: undefined }],
  [22, { version: 1, options: 17 }],
  [34, { version: 2, options: 22 }],
  [60, { version: 2, options: 43 }],
  [98, { version: 2, options: 75 }],
  [117, { version: 1, options: 91 }],
  [150, { version: 2, options: 116 }],
]);

/** What a file holds. Fails where it is not as the schema wants it. */
export function readTflite(file: Uint8Array): TfliteModel {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  expect(Buffer.from(file.subarray(4, 8)).toString()).toBe('TFL3');
  const root = new Table(view, view.getUint32(0, true));
  expect(root.int(0)).toBe(3);
  const codes = root.tables(1).map((each) => {
    const code = each.int(3)!;
    expect([each.byte(0), each.int(2)]).toEqual([Math.min(code, 127), known.get(code)!.version]);
    return code;
  });
  expect(new Set(codes).size).toBe(codes.length);
  const buffers = root.tables(4).map((each) => each.bytes(0));
  expect(buffers[0]).toBeUndefined();
  for (const buffer of buffers.slice(1)) expect(buffer!.start % 16).toBe(0);
  const graphs = root.tables(2);
  expect(graphs.map((each) => each.text(4))).toEqual(['main']);
  const [graph] = graphs as [Table];
  const tensors = graph.tables(0).map((each): TfliteTensor => {
    expect(each.byte(8)).toBe(1);
    const quantization = each.table(4);
    return {
      ...{ name: each.text(3), shape: each.ints(0), type: each.byte(1)!, data: buffers[each.int(2)!]?.values },
      ...{ scales: quantization?.floats(2) ?? [], zeroPoints: quantization?.longs(3) ?? [] },
      dimension: quantization?.int(6) ?? 0,
    };
  });
  const operators = graph.tables(3).map((each): TfliteOperator => {
    const code = codes[each.int(0)!]!;
    expect(each.byte(3)).toBe(known.get(code)!.options);
    return { code, inputs: each.ints(1), outputs: each.ints(2), options: each.table(4) };
  });
  return { description: root.text(3), tensors, operators, inputs: graph.ints(1), outputs: graph.ints(2) };
}

interface Made {
  readonly tensor: TfliteTensor;
  readonly values: Int8Array | Int32Array;
}

/** @param image `[1, height, width, channels]` as int8. @returns the values of the only output */
export function runTflite({ tensors, operators, inputs, outputs }: TfliteModel, image: Int8Array): Int8Array | Int32Array {
  const made = new Map<number, Made>();
  const [input] = inputs as [number];
  expect([inputs.length, outputs.length, sizeOf(tensors[input]!)]).toEqual([1, 1, image.length]);
  made.set(input, { tensor: tensors[input]!, values: image });
  for (const [i, tensor] of tensors.entries()) if (tensor.data !== undefined) made.set(i, constant(tensor));
  for (const operator of operators) {
    const [output] = operator.outputs as [number];
    const tensor = tensors[output]!;
    expect([operator.outputs.length, made.has(output), tensor.type]).toEqual([1, false, 9]);
    const values = compute(
      operator,
      operator.inputs.map((number) => made.get(number)!),
      tensor,
    );
    expect(values.length).toBe(sizeOf(tensor));
    made.set(output, { tensor, values });
  }
  return made.get(outputs[0]!)!.values;
}

const sizeOf = ({ shape }: TfliteTensor) => shape.reduce((product, side) => product * side, 1);
const clamped = (value: number, low = -128, high = 127) => Math.min(Math.max(value, low), high);

function constant(tensor: TfliteTensor): Made {
  const { data, type } = tensor;
  const values = type === 2 ? new Int32Array(data!.buffer) : new Int8Array(data!.buffer);
  expect(values.length).toBe(sizeOf(tensor));
  return { tensor, values };
}

/** Of an activation: one scale, one zero point. */
function scaleOf({ scales, zeroPoints }: TfliteTensor): { readonly scale: number; readonly zeroPoint: number } {
  expect([scales.length, zeroPoints.length]).toEqual([1, 1]);
  return { scale: scales[0]!, zeroPoint: zeroPoints[0]! };
}

function compute({ code, options }: TfliteOperator, inputs: readonly Made[], output: TfliteTensor): Int8Array | Int32Array {
  const [x] = inputs as [Made];
  switch (code) {
    case 0:
      return add(inputs as [Made, Made], output, options!);
    case 1:
    case 17:
      return pool(code === 17, x, output, options!);
    case 2:
      return concat(inputs, output, options!);
    case 3:
    case 4:
      return convolve(code === 4, inputs as [Made, Made, Made], output, options!);
    case 18:
      return multiply(inputs as [Made, Made], output, options!);
    case 22:
      expect(options!.ints(0)).toEqual(output.shape);
      expect([...inputs[1]!.values]).toEqual(output.shape);
      return x.values;
    case 34:
      return pad(x, inputs[1]!, scaleOf(x.tensor).zeroPoint, output);
    case 60: {
      const value = inputs[2]!;
      expect(scaleOf(value.tensor)).toEqual(scaleOf(x.tensor));
      return pad(x, inputs[1]!, value.values[0]!, output);
    }
    default: {
      const table = curveTable(curveOf(code, options), scaleOf(x.tensor), scaleOf(output));
      return Int8Array.from(x.values, (value) => table[value + 128]!);
    }
  }
}

function curveOf(code: number, options: Table | undefined): CurveActivation {
  if (code === 98) return { type: 'leakyRelu', slope: options!.float(0)! };
  // Not approximated.
  if (code === 150) expect(options!.byte(0)).toBe(0);
  const types = { 14: 'sigmoid', 19: 'relu', 21: 'relu6', 117: 'hardSwish', 150: 'gelu' } as const;
  return { type: types[code as keyof typeof types] };
}

/** Which integers a fused activation leaves. */
function limits(activation: number | undefined, output: TfliteTensor): readonly [low: number, high: number] {
  const { scale, zeroPoint } = scaleOf(output);
  expect([0, 1, 3]).toContain(activation);
  return [activation === 0 ? -128 : zeroPoint, activation === 3 ? Math.min(127, zeroPoint + Math.round(6 / scale)) : 127];
}

/** Of one axis, before the first pixel. */
function paddingBefore(kind: number | undefined, input: number, kernel: number, stride: number, output: number): number {
  expect(output).toBe(kind === 0 ? Math.ceil(input / stride) : Math.floor((input - kernel) / stride) + 1);
  return kind === 0 ? Math.floor(Math.max((output - 1) * stride + kernel - input, 0) / 2) : 0;
}

/** Rows and columns of the input that a window has, from the upper left on. */
function windows(
  options: Table,
  input: TfliteTensor,
  [kernelHeight, kernelWidth]: readonly [number, number],
  output: TfliteTensor,
) {
  const [right, down] = [options.int(1)!, options.int(2)!];
  const [, height, width] = input.shape as [number, number, number];
  const top = paddingBefore(options.byte(0), height, kernelHeight, down, output.shape[1]!);
  const left = paddingBefore(options.byte(0), width, kernelWidth, right, output.shape[2]!);
  return (y: number, x: number) => {
    const seen: { readonly ky: number; readonly kx: number; readonly pixel: number }[] = [];
    for (let ky = 0; ky < kernelHeight; ky++) {
      for (let kx = 0; kx < kernelWidth; kx++) {
        const [row, column] = [y * down - top + ky, x * right - left + kx];
        if (row >= 0 && row < height && column >= 0 && column < width) seen.push({ ky, kx, pixel: row * width + column });
      }
    }
    return seen;
  };
}

/** Calls `make` for every element of `[1, height, width, channels]`. */
function elements({ shape }: TfliteTensor, make: (y: number, x: number, c: number) => number): Int8Array {
  const [, height, width, channels] = shape as [number, number, number, number];
  const values = new Int8Array(height * width * channels);
  for (let i = 0; i < values.length; i++) {
    const pixel = Math.floor(i / channels);
    values[i] = make(Math.floor(pixel / width), pixel % width, i % channels);
  }
  return values;
}

function convolve(isDepthwise: boolean, [x, weights, bias]: [Made, Made, Made], output: TfliteTensor, options: Table): Int8Array {
  const channels = x.tensor.shape[3]!;
  const [first, height, width, last] = weights.tensor.shape as [number, number, number, number];
  const filters = isDepthwise ? last : first;
  expect(bias.tensor.shape).toEqual([filters]);
  expect([weights.tensor.type, bias.tensor.type, weights.tensor.dimension]).toEqual([9, 2, isDepthwise ? 3 : 0]);
  expect(weights.tensor.zeroPoints).toEqual(new Array(filters).fill(0));
  expect(bias.tensor.zeroPoints).toEqual(new Array(filters).fill(0));
  const multiplier = isDepthwise ? options.int(3)! : 1;
  if (isDepthwise) expect([first, filters]).toEqual([1, channels * multiplier]);
  // Groups follow from the sizes.
  const perFilter = isDepthwise ? 1 : last;
  const group = isDepthwise ? multiplier : (filters * perFilter) / channels;
  const { scale, zeroPoint } = scaleOf(x.tensor);
  const made = scaleOf(output);
  const units = weights.tensor.scales.map((each) => Math.fround(scale * each));
  expect(bias.tensor.scales).toEqual(units);
  const [low, high] = limits(options.byte(isDepthwise ? 4 : 3), output);
  const seenAt = windows(options, x.tensor, [height, width], output);
  return elements(output, (y, column, f) => {
    let sum = bias.values[f]!;
    for (const { ky, kx, pixel } of seenAt(y, column)) {
      for (let c = 0; c < perFilter; c++) {
        const at = isDepthwise ? (ky * width + kx) * filters + f : ((f * height + ky) * width + kx) * perFilter + c;
        sum += weights.values[at]! * (x.values[pixel * channels + Math.floor(f / group) * perFilter + c]! - zeroPoint);
      }
    }
    return clamped(made.zeroPoint + requantize(sum, Math.fround(units[f]! / made.scale)), low, high);
  });
}

function pool(isMax: boolean, x: Made, output: TfliteTensor, options: Table): Int8Array {
  const kernel = [options.int(4)!, options.int(3)!] as const;
  expect([options.byte(5), scaleOf(output)]).toEqual([0, scaleOf(x.tensor)]);
  const channels = x.tensor.shape[3]!;
  const seenAt = windows(options, x.tensor, kernel, output);
  return elements(output, (y, column, c) => {
    const seen = seenAt(y, column).map(({ pixel }) => x.values[pixel * channels + c]!);
    if (isMax) return Math.max(...seen);
    const mean = seen.reduce((a, b) => a + b, 0) / seen.length;
    // Halves away from zero.
    return Math.sign(mean) * Math.floor(Math.abs(mean) + 0.5);
  });
}

function add([a, b]: [Made, Made], output: TfliteTensor, options: Table): Int8Array {
  const { scale, zeroPoint } = scaleOf(output);
  const terms = [a, b].map(({ tensor, values }) => {
    const own = scaleOf(tensor);
    return { values, zero: own.zeroPoint, factor: Math.fround(own.scale / scale) };
  });
  // XNNPACK: 21 bits for the larger factor.
  const shift = Math.min(20 - Math.floor(Math.log2(Math.max(...terms.map(({ factor }) => factor)))), 30);
  const [low, high] = limits(options.byte(0), output);
  return Int8Array.from(a.values, (_, i) => {
    const sum = terms.reduce(
      (total, { values, zero, factor }) => total + (values[i]! - zero) * nearestEven(factor * 2 ** shift),
      0,
    );
    return clamped(zeroPoint + Math.floor(sum / 2 ** shift + 0.5), low, high);
  });
}

/** Of tensors of one extent, or of an image and one pixel. */
function multiply([a, b]: [Made, Made], output: TfliteTensor, options: Table): Int8Array {
  expect(options.byte(0)).toBe(0);
  const [first, second, made] = [scaleOf(a.tensor), scaleOf(b.tensor), scaleOf(output)];
  const factor = Math.fround(Math.fround(first.scale * second.scale) / made.scale);
  return Int8Array.from(a.values, (value, i) => {
    const other = b.values[i % b.values.length]!;
    return clamped(made.zeroPoint + requantize((value - first.zeroPoint) * (other - second.zeroPoint), factor));
  });
}

function concat(inputs: readonly Made[], output: TfliteTensor, options: Table): Int8Array {
  expect([options.int(0), options.byte(1)]).toEqual([3, 0]);
  for (const { tensor } of inputs) expect(scaleOf(tensor)).toEqual(scaleOf(output));
  const width = output.shape[2]!;
  return elements(output, (y, x, c) => {
    let part = 0;
    while (c >= inputs[part]!.tensor.shape[3]!) c -= inputs[part++]!.tensor.shape[3]!;
    const { tensor, values } = inputs[part]!;
    return values[(y * width + x) * tensor.shape[3]! + c]!;
  });
}

function pad(x: Made, amounts: Made, value: number, output: TfliteTensor): Int8Array {
  expect([amounts.tensor.shape, amounts.tensor.type]).toEqual([[4, 2], 2]);
  const [, , top, bottom, left, right, ...others] = amounts.values as Int32Array;
  const [, height, width, channels] = x.tensor.shape as [number, number, number, number];
  expect(output.shape).toEqual([1, top! + height + bottom!, left! + width + right!, channels]);
  expect([...amounts.values.slice(0, 2), ...others]).toEqual([0, 0, 0, 0]);
  return elements(output, (y, column, c) => {
    const [row, place] = [y - top!, column - left!];
    const isInside = row >= 0 && row < height && place >= 0 && place < width;
    return isInside ? x.values[(row * width + place) * channels + c]! : value;
  });
}
