/**
 * The safetensors format (github.com/huggingface/safetensors): the header's length in 8 bytes, little-endian; the header, a JSON
 * object from tensor names to type, shape and place, padded with blanks; then the tensors' bytes, little-endian, without gaps.
 */
import { closeSync } from 'node:fs';
import { DataError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { recognizedBytes, recognizeFile } from '../util/file-kind.ts';
import { decompress, startsAsGzip } from '../util/gzip.ts';
import { openRegularFile, readRegularFile, readStart } from '../util/regular-file.ts';

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

/** Keeps a damaged length from asking for all memory. The format itself allows ten times as much; the largest networks need less than a tenth. */
const maximumHeaderBytes = 10_000_000;
/** Of a tensor's shape. */
const mostDimensions = 8;
/** The header, an entry, its shape. */
const deepestNesting = 3;
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
 * @throws DataError if the file is truncated, too long, not JSON, has tensors that overlap or leave gaps, another type, or values that are
 *   not finite: no training goes on from those, and no network computes with them.
 */
export function decodeSafetensors(bytes: Uint8Array, source: string): Safetensors {
  requireKind(bytes, source);
  const { header, dataStart } = decodeHeader(bytes, source);
  const data = bytes.subarray(dataStart);
  const entries = entriesOf(header, data.length, source);
  checkPlacement(entries, data.length, source);
  const tensors = new Map<string, Tensor>();
  for (const { name, type, shape, begin, end } of entries) {
    const values = decoders[type](new Uint8Array(data.subarray(begin, end)));
    if (!values.every(Number.isFinite))
      throw new DataError(`${source} has values in ${name} that are not finite`, { fix: otherFile });
    tensors.set(name, { shape, data: values });
  }
  return { tensors, metadata: checkMetadata(header[metadataKey], source) };
}

/**
 * Reads and decodes a file, which may be compressed with gzip.
 *
 * @throws AblateError if it cannot be read; DataError as `decodeSafetensors`, or if the compressed data are damaged.
 */
export function readSafetensors(path: string): Safetensors {
  const bytes = readRegularFile(path);
  const announcedBytes = (start: Uint8Array) => announcedLength(start, path);
  return decodeSafetensors(isGzip(bytes) ? decompress(bytes, path, { announcedBytes }) : bytes, path);
}

/** Of a file that begins so: undefined as long as the header is not whole. */
function announcedLength(start: Uint8Array, source: string): number | undefined {
  requireKind(start, source);
  if (start.length < lengthBytes || start.length < lengthBytes + headerLength(start, source)) return undefined;
  const { header, dataStart } = decodeHeader(start, source);
  const ends = entriesOf(header, Infinity, source).map(({ end }) => end);
  return ends.reduce((last, end) => Math.max(last, end), 0) + dataStart;
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
  const { descriptor } = openRegularFile(path);
  let start: Uint8Array;
  try {
    const beginning = readStart(descriptor, recognizedBytes);
    requireKind(beginning, path);
    start = readStart(descriptor, lengthBytes + headerLength(beginning, path));
  } catch (error) {
    throw fileError('read', path, error);
  } finally {
    closeSync(descriptor);
  }
  return checkMetadata(decodeHeader(start, path).header[metadataKey], path);
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

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. NaN for what is infinite, too: neither is let through. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

interface Entry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const otherFile = 'use another file, or an earlier checkpoint';

/** @throws DataError if a file that begins so is of another kind: its first bytes would only be taken for a senseless length */
function requireKind(start: Uint8Array, source: string): void {
  if (start[lengthBytes] === 0x7b) return;
  const kind = recognizeFile(start);
  if (kind === undefined) return;
  throw new DataError(`${source} is ${kind.name}, not a safetensors file`, {
    fix: kind.fix ?? 'give a run, or a file of its weights',
  });
}

function damaged(source: string, problem: string): DataError {
  return new DataError(`${source} is not a valid safetensors file: ${problem}`, { fix: otherFile });
}

function decodeHeader(
  bytes: Uint8Array,
  source: string,
): { readonly header: Record<string, unknown>; readonly dataStart: number } {
  const dataStart = lengthBytes + headerLength(bytes, source);
  if (dataStart > bytes.length) {
    throw damaged(source, `it is truncated: it has ${bytes.length} bytes, and its header ends at ${dataStart}`);
  }
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(lengthBytes, dataStart));
    header = JSON.parse(text);
  } catch (error) {
    throw damaged(source, `its header is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(header)) throw damaged(source, 'its header is not a JSON object');
  checkKeys(text, source);
  return { header, dataStart };
}

/** Of a key that is there twice, JSON.parse forgets the first. @param json valid JSON */
function checkKeys(json: string, source: string): void {
  const objects: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (character === '{' || character === '[') {
      if (objects.push(new Set()) > deepestNesting) throw damaged(source, 'its header is nested deeper than the format allows');
    } else if (character === '}' || character === ']') objects.pop();
    else if (character === '"') {
      const start = i;
      for (i++; json[i] !== '"'; i++) if (json[i] === '\\') i++;
      const isKey = /^\s*:/.test(json.slice(i + 1, i + 100));
      if (!isKey) continue;
      const name = JSON.parse(json.slice(start, i + 1)) as string;
      const keys = objects.at(-1)!;
      if (keys.has(name)) throw damaged(source, `its header has ${shortened(name)} twice`);
      keys.add(name);
    }
  }
}

/** The first eight bytes. */
function headerLength(bytes: Uint8Array, source: string): number {
  if (bytes.length < lengthBytes) {
    throw damaged(source, `it has ${bytes.length} bytes, and the length of its header alone takes ${lengthBytes}`);
  }
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (headerBytes > maximumHeaderBytes) {
    throw damaged(source, `its header would have ${headerBytes} bytes, more than the ${maximumHeaderBytes} allowed`);
  }
  return headerBytes;
}

function entriesOf(header: Readonly<Record<string, unknown>>, dataBytes: number, source: string): Entry[] {
  const tensors = Object.entries(header).filter(([name]) => name !== metadataKey);
  return tensors.map(([name, value]) => checkEntry(name, value, dataBytes, source));
}

function checkEntry(name: string, value: unknown, dataBytes: number, source: string): Entry {
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  if (!isElementType(dtype)) {
    const allowed = Object.keys(elementBytes).join(', ');
    throw damaged(source, `tensor "${name}" has the type ${shortened(dtype)}; this program reads ${allowed}`);
  }
  if (!isIntegers(shape) || shape.length > mostDimensions)
    throw damaged(source, `tensor "${name}" has the shape ${shortened(shape)}`);
  if (!isIntegers(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw damaged(source, `tensor "${name}" has the offsets ${shortened(offsets)}`);
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

function shortened(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
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
