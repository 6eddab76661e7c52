/**
 * Writes Protocol Buffers messages (protobuf.dev/programming-guides/encoding): a message is a list of fields, each a number and a
 * value of one of a few wire types. Just what event files need; files of a larger schema (ONNX) are written with its generated code.
 */

/** An encoded field; a message is the concatenation of its fields. */
export type Field = Uint8Array;

const varintType = 0;
const fixed64Type = 1;
const lengthType = 2;
const fixed32Type = 5;

/** int32, int64, enum, bool: a whole number, at least 0. */
export function integerField(number: number, value: number): Field {
  return Uint8Array.from([...tag(number, varintType), ...varint(value)]);
}

export function doubleField(number: number, value: number): Field {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return message([Uint8Array.from(tag(number, fixed64Type)), bytes]);
}

export function floatField(number: number, value: number): Field {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return message([Uint8Array.from(tag(number, fixed32Type)), bytes]);
}

export function bytesField(number: number, value: Uint8Array): Field {
  return message([Uint8Array.from([...tag(number, lengthType), ...varint(value.length)]), value]);
}

export function stringField(number: number, value: string): Field {
  return bytesField(number, new TextEncoder().encode(value));
}

export function messageField(number: number, fields: readonly Field[]): Field {
  return bytesField(number, message(fields));
}

export function message(fields: readonly Field[]): Uint8Array {
  return new Uint8Array(Buffer.concat(fields));
}

function tag(number: number, wireType: number): number[] {
  return varint(number * 8 + wireType);
}

/** Seven bits a byte, the least first; the top bit says that more follow. Divides, as shifts would cut at 32 bits. */
function varint(value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`value (=${value}) must be an integer, at least 0`);
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}
