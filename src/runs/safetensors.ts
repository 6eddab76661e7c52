/**
 * The safetensors format (github.com/huggingface/safetensors): the header's length in 8 bytes, little-endian; the header, a JSON
 * object from tensor names to type, shape and place, padded with blanks; then the tensors' bytes, little-endian, without gaps.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { DataError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { decompress, startsAsGzip } from '../util/gzip.ts';

/** One tensor in plain layout. */
export interface Tensor {
  readonly shape: readonly number[];
  /** As many elements as the product of `shape`, the last dimension running fastest. */
  readonly data: Float32Array;
}

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit, which keeps a damaged length from asking for all memory. */
const maximumHeaderBytes = 100_000_000;
const lengthBytes = 8;
const metadataKey = '__metadata__';

/**
 * Encodes tensors as F32, in the order of the map.
 *
 * @throws RangeError if a tensor's data does not have the size that its shape says, or has the reserved name `__metadata__`.
 */
export function encodeSafetensors(tensors: ReadonlyMap<string, Tensor>, metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: [string, unknown][] = [[metadataKey, metadata]];
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === metadataKey) throw new RangeError(`a tensor must not have the reserved name ${metadataKey}`);
    if (data.length !== elementCount(shape)) {
      throw new RangeError(`tensor ${name} of shape [${shape.join(', ')}] has ${data.length} elements`);
    }
    header.push([name, { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] }]);
    offset += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(lengthBytes + headerBytes + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, lengthBytes + json.length, lengthBytes + headerBytes);
  file.set(json, lengthBytes);
  let position = lengthBytes + headerBytes;
  for (const { data } of tensors.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

/**
 * Decodes a file of F32, F16 or BF16 tensors; the latter two are widened to float32, exactly. The result shares nothing with `bytes`.
 *
 * @param source What to call the file in errors, usually its path.
 * @throws DataError if the file is truncated, too long, not JSON, has tensors that overlap or leave gaps, or another type.
 */
export function decodeSafetensors(bytes: Uint8Array, source: string): Safetensors {
  const { header, dataStart } = decodeHeader(bytes, source);
  const data = bytes.subarray(dataStart);
  const { [metadataKey]: metadata, ...rest } = header;
  const entries = Object.entries(rest).map(([name, value]) => checkEntry(name, value, data.length, source));
  checkPlacement(entries, data.length, source);
  const tensors = new Map<string, Tensor>();
  for (const { name, type, shape, begin, end } of entries) {
    tensors.set(name, { shape, data: decoders[type](new Uint8Array(data.subarray(begin, end))) });
  }
  return { tensors, metadata: checkMetadata(metadata, source) };
}

/**
 * Reads and decodes a file, which may be compressed with gzip.
 *
 * @throws AblateError if it cannot be read; DataError as `decodeSafetensors`, or if the compressed data are damaged.
 */
export function readSafetensors(path: string): Safetensors {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fileError('read', path, error);
  }
  return decodeSafetensors(isGzip(bytes) ? decompress(bytes, path) : bytes, path);
}

/** The first bytes could also be a header's length; then a brace follows them, which a gzip file never has there (RFC 1952: XFL). */
function isGzip(bytes: Uint8Array): boolean {
  return startsAsGzip(bytes) && bytes[lengthBytes] !== 0x7b;
}

/**
 * Reads the metadata alone, whatever the size of the file; not of a compressed one.
 *
 * @throws AblateError if it cannot be read; DataError if its header is damaged.
 */
export function readSafetensorsMetadata(path: string): Readonly<Record<string, string>> {
  let start: Uint8Array;
  try {
    const descriptor = openSync(path, 'r');
    try {
      const length = readStart(descriptor, lengthBytes);
      const headerBytes = length.length < lengthBytes ? 0 : headerLength(length, path);
      start = readStart(descriptor, lengthBytes + headerBytes);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw fileError('read', path, error);
  }
  return checkMetadata(decodeHeader(start, path).header[metadataKey], path);
}

/** The first `count` bytes of a file, or all if it has less. */
function readStart(descriptor: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let filled = 0;
  while (filled < count) {
    const read = readSync(descriptor, bytes, filled, count - filled, filled);
    if (read === 0) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}

const elementBytes = { F32: 4, F16: 2, BF16: 2 } as const;

type ElementType = keyof typeof elementBytes;

/** From a tensor's bytes, at the start of their own buffer, to float32. */
const decoders: Readonly<Record<ElementType, (bytes: Uint8Array) => Float32Array>> = {
  F32: (bytes) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4),
  F16: (bytes) => Float32Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), halfToFloat),
  BF16: (bytes) => {
    const high = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    return new Float32Array(Uint32Array.from(high, (bits) => bits << 16).buffer);
  },
};

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

interface Entry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function damaged(source: string, problem: string): DataError {
  return new DataError(`${source} is not a valid safetensors file: ${problem}`, {
    fix: 'use another file, or an earlier checkpoint',
  });
}

function decodeHeader(
  bytes: Uint8Array,
  source: string,
): { readonly header: Record<string, unknown>; readonly dataStart: number } {
  if (bytes.length < lengthBytes) {
    throw damaged(source, `it has ${bytes.length} bytes, and the length of its header alone takes ${lengthBytes}`);
  }
  const dataStart = lengthBytes + headerLength(bytes, source);
  if (dataStart > bytes.length) {
    throw damaged(source, `it is truncated: it has ${bytes.length} bytes, and its header ends at ${dataStart}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(lengthBytes, dataStart)));
  } catch (error) {
    throw damaged(source, `its header is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(header)) throw damaged(source, 'its header is not a JSON object');
  return { header, dataStart };
}

/** The first eight bytes. */
function headerLength(bytes: Uint8Array, source: string): number {
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (headerBytes > maximumHeaderBytes) {
    throw damaged(source, `its header would have ${headerBytes} bytes, more than the ${maximumHeaderBytes} allowed`);
  }
  return headerBytes;
}

function checkEntry(name: string, value: unknown, dataBytes: number, source: string): Entry {
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  if (!isElementType(dtype)) {
    const allowed = Object.keys(elementBytes).join(', ');
    throw damaged(source, `tensor "${name}" has the type ${JSON.stringify(dtype)}; this program reads ${allowed}`);
  }
  if (!isIntegers(shape)) throw damaged(source, `tensor "${name}" has the shape ${JSON.stringify(shape)}`);
  if (!isIntegers(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw damaged(source, `tensor "${name}" has the offsets ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  if (end > dataBytes) {
    throw damaged(source, `it is truncated: tensor "${name}" ends at byte ${end} of the data, which has ${dataBytes}`);
  }
  const expected = elementCount(shape) * elementBytes[dtype];
  if (end - begin !== expected) {
    throw damaged(source, `tensor "${name}" [${shape.join(', ')}] of ${dtype} takes ${expected} bytes, and has ${end - begin}`);
  }
  return { name, type: dtype, shape, begin, end };
}

/** The tensors lie one behind the other, and fill the data. */
function checkPlacement(entries: readonly Entry[], dataBytes: number, source: string): void {
  let reached = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < reached) throw damaged(source, `tensor "${name}" overlaps the one before it by ${reached - begin} bytes`);
    if (begin > reached) throw damaged(source, `there is a gap of ${begin - reached} bytes before tensor "${name}"`);
    reached = end;
  }
  if (reached !== dataBytes) throw damaged(source, `${dataBytes - reached} bytes follow the last tensor`);
}

function checkMetadata(metadata: unknown = {}, source: string): Record<string, string> {
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw damaged(source, `its ${metadataKey} is not an object of strings`);
  }
  return metadata as Record<string, string>;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isElementType(value: unknown): value is ElementType {
  return typeof value === 'string' && Object.hasOwn(elementBytes, value);
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
