/** Where a tensor lies: pixel by pixel, the channels of each side by side (NHWC), perhaps as some of the channels of a wider tensor. */
import { sizeOf, type Shape } from '../../nn/shape.ts';

/** Memory that kernels share, of which there is a buffer once it is known how long it is needed. */
export interface Storage {
  readonly label: string;
  /** In elements. */
  readonly length: number;
  /** Whether its elements are float16, of two bytes, rather than of four. */
  readonly half?: boolean;
  /** Whether a lane may read another lane's part of it. */
  readonly isInput?: boolean;
  /** Of memory that there is before the program: parameters, input, output. */
  readonly buffer?: GPUBuffer;
}

/** What an array takes in words of four bytes. */
export function wordsOf({ length, half = false }: Pick<Storage, 'length' | 'half'>): number {
  return half ? Math.ceil(length / 2) : length;
}

export interface View {
  readonly storage: Storage;
  /** Of the first element. */
  readonly offset: number;
  /** Elements from a pixel to the next. */
  readonly stride: number;
  readonly channels: number;
  /** Batch times pixels. */
  readonly rows: number;
}

/** A tensor of its own: `shape` is that of an example. */
export function viewOf(storage: Storage, shape: Shape, batchSize: number): View {
  const channels = shape[0]!;
  return { storage, offset: 0, stride: channels, channels, rows: (batchSize * sizeOf(shape)) / channels };
}

/** Some of a tensor's channels. */
export function channelsOf(view: View, first: number, channels: number): View {
  return { ...view, offset: view.offset + first, channels };
}

/** Elements that a load may take at once. */
export type Width = 1 | 4;

/** Four where all of the tensors may be read and written four channels at a time. */
export function widthOf(...views: readonly View[]): Width {
  return views.every(({ offset, stride, channels }) => [offset, stride, channels].every((n) => n % 4 === 0)) ? 4 : 1;
}

/** What is computed with. */
export function typeOf(width: Width): 'f32' | 'vec4f' {
  return width === 4 ? 'vec4f' : 'f32';
}

/** What is in memory, `width` elements at a time. */
export function storedTypeOf({ half = false }: Pick<Storage, 'half'>, width: Width): 'f32' | 'vec4f' | 'f16' | 'vec4h' {
  if (!half) return typeOf(width);
  return width === 4 ? 'vec4h' : 'f16';
}

/** The text of an element's index in its array of `width` floats each; `column` counts in steps of `width`. */
export function indexText({ offset, stride }: View, row: string, column: string, width: Width): string {
  const start = offset === 0 ? '' : ` + ${offset / width}u`;
  return `${row} * ${stride / width}u${start} + ${column}`;
}

/** Whether its elements lie one behind the other. */
export function isContiguous({ stride, channels }: View): boolean {
  return stride === channels;
}
