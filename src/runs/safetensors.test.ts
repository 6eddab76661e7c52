import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { DataError } from '../util/errors.ts';
import { decodeSafetensors, encodeSafetensors, readSafetensors, readSafetensorsMetadata, type Tensor } from './safetensors.ts';

const tensors = new Map<string, Tensor>([
  ['conv1.weight', { shape: [2, 1, 1, 3], data: Float32Array.of(1, -2, 3.5, 3e38, -1e-45, -0) }],
  ['conv1.bias', { shape: [2], data: Float32Array.of(0.1, 1e-40) }],
  ['scale', { shape: [], data: Float32Array.of(7) }],
  ['empty', { shape: [0, 3], data: new Float32Array() }],
  ['größe', { shape: [1], data: Float32Array.of(2) }],
]);

test('what is encoded is decoded: values bit by bit, shapes, order, metadata', () => {
  const metadata = { step: '100', model: 'tuto', config: '{"a":"ü"}' };
  const decoded = decodeSafetensors(encodeSafetensors(tensors, metadata), 'file');
  expect(decoded.metadata).toEqual(metadata);
  expect([...decoded.tensors.keys()]).toEqual([...tensors.keys()]);
  expect(decoded.tensors).toEqual(tensors);
  expect(Object.is(decoded.tensors.get('conv1.weight')!.data[5], -0)).toBe(true);
});

test('decodes bytes that start anywhere in their buffer', () => {
  const bytes = encodeSafetensors(tensors, {});
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(decodeSafetensors(shifted.subarray(3), 'file').tensors).toEqual(tensors);
  // A Buffer's slice would share its memory.
  const buffer = Buffer.from(shifted.buffer, 3);
  const decoded = decodeSafetensors(buffer, 'file').tensors;
  buffer.fill(0);
  expect(decoded).toEqual(tensors);
});

test('the header is padded so that the tensors start at a multiple of 8 bytes', () => {
  for (const name of ['a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'abcdefgh']) {
    const bytes = encodeSafetensors(new Map([[name, { shape: [1], data: Float32Array.of(1) }]]), {});
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  }
});

test('the bytes of a file: its length, its header padded with blanks, and the values, however many', () => {
  const data = Float32Array.from({ length: 100 }, (_, i) => i);
  const bytes = Buffer.from(encodeSafetensors(new Map([['w', { shape: [100], data }]]), { a: 'b' }));
  const header = '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[100],"data_offsets":[0,400]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8, ' ');
  expect(padded.length).toBeGreaterThan(header.length);
  expect(bytes.readBigUInt64LE(0)).toBe(BigInt(padded.length));
  expect(bytes.subarray(8, 8 + padded.length).toString()).toBe(padded);
  expect(bytes.subarray(8 + padded.length)).toEqual(Buffer.from(data.buffer));
});

test('tensors may lie in another order than that of the header, and empty ones anywhere', () => {
  const entry = (begin: number, end: number) => ({ dtype: 'F32', shape: [(end - begin) / 4], data_offsets: [begin, end] });
  const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  for (const header of [
    { c: entry(12, 16), a: entry(0, 4), b: entry(4, 12) },
    { b: entry(4, 12), c: entry(12, 16), a: entry(0, 4) },
    { b: entry(4, 12), nothing: entry(4, 4), a: entry(0, 4), c: entry(12, 16) },
    { nothing: entry(4, 4), c: entry(12, 16), b: entry(4, 12), a: entry(0, 4) },
    { c: entry(12, 16), b: entry(4, 12), a: entry(0, 4), nothing: entry(16, 16) },
  ]) {
    const decoded = decodeSafetensors(file(header, data), 'w').tensors;
    expect([...decoded.keys()]).toEqual(Object.keys(header));
    expect(['a', 'b', 'c'].map((name) => [...decoded.get(name)!.data])).toEqual([[1], [2, 3], [4]]);
  }
});

test('refuses to encode data that is not of its shape, and the reserved name', () => {
  const tensor = { shape: [2, 2], data: new Float32Array(3) };
  expect(() => encodeSafetensors(new Map([['w', tensor]]), {})).toThrow('tensor w of shape [2, 2] has 3 elements');
  expect(() => encodeSafetensors(new Map([['__metadata__', { shape: [0], data: new Float32Array() }]]), {})).toThrow(
    new RangeError('a tensor must not have the reserved name __metadata__'),
  );
});

/** A file of a header as given and `dataBytes` bytes of data. */
function file(header: unknown, dataBytes: number | Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const data = typeof dataBytes === 'number' ? new Uint8Array(dataBytes) : dataBytes;
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

test('widens F16 and BF16 exactly', () => {
  const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x8000);
  const brain = Uint16Array.of(0x3f80, 0xc040, 0x0001);
  const data = new Uint8Array(half.byteLength + brain.byteLength);
  data.set(new Uint8Array(half.buffer));
  data.set(new Uint8Array(brain.buffer), half.byteLength);
  const header = {
    half: { dtype: 'F16', shape: [6], data_offsets: [0, 12] },
    brain: { dtype: 'BF16', shape: [3], data_offsets: [12, 18] },
  };
  const decoded = decodeSafetensors(file(header, data), 'file').tensors;
  expect([...decoded.get('half')!.data]).toEqual([1, -2, 2 ** -24, 1023 * 2 ** -24, 65504, -0]);
  expect([...decoded.get('brain')!.data]).toEqual([1, -3, 2 ** -133]);
});

test.each<[string, Uint8Array]>([
  ['F32', new Uint8Array(Float32Array.of(1, NaN).buffer)],
  ['F32', new Uint8Array(Float32Array.of(-Infinity, 1).buffer)],
  ['F16', new Uint8Array(Uint16Array.of(0x3c00, 0x7c00).buffer)],
  ['F16', new Uint8Array(Uint16Array.of(0x7e00, 0x3c00).buffer)],
  ['BF16', new Uint8Array(Uint16Array.of(0x3f80, 0xff80).buffer)],
])('values of %s that are not finite are refused', (dtype, data) => {
  const header = { 'conv1.bias': { dtype, shape: [2], data_offsets: [0, data.length] } };
  expect(told(() => decodeSafetensors(file(header, data), 'w'))).toEqual({
    kind: 'DataError',
    message: 'w has values in conv1.bias that are not finite',
    fix: 'use another file, or an earlier checkpoint',
  });
});

describe('damaged files give a DataError that names the file and what is wrong', () => {
  const one = (changes: object) => ({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...changes } });
  const pair = (a: number[], b: number[]) => ({
    a: { dtype: 'F32', shape: [2], data_offsets: a },
    b: { dtype: 'F32', shape: [2], data_offsets: b },
  });
  const entry = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ['empty', new Uint8Array(), 'it has 0 bytes'],
    ['seven bytes', file('{}', 0).subarray(0, 7), 'it has 7 bytes, and the length of its header alone takes 8'],
    ['eight bytes', file('{}', 0).subarray(0, 8), 'it is truncated: it has 8 bytes, and its header ends at 10'],
    ['header cut', file('{}', 0).subarray(0, 9), 'it is truncated: it has 9 bytes, and its header ends at 10'],
    ['text', new TextEncoder().encode('some lines of text'), 'its header would have'],
    ['not JSON', file('{"w":', 0), 'its header is not JSON'],
    [
      'not UTF-8',
      (() => {
        const f = file('{"w":1}', 0);
        f[10] = 0xff;
        return f;
      })(),
      'its header is not JSON',
    ],
    ...['[1]', 'null', '5', '"text"', 'true'].map(
      (text) => [`a header ${text}`, file(text, 0), 'its header is not a JSON object'] as const,
    ),
    ...['null', '5', '"text"', '["text"]'].map(
      (text) => [`metadata ${text}`, file(`{"__metadata__":${text}}`, 0), 'its __metadata__ is not an object'] as const,
    ),
    ...['null', '"text"', '[]'].map(
      (text) => [`an entry ${text}`, file(`{"w":${text}}`, 0), 'tensor "w" has the type missing'] as const,
    ),
    ['a type in a list', file(one({ dtype: ['F32'] }), 8), 'tensor "w" has the type ["F32"]; this program reads F32, F16, BF16'],
    [
      'a type of 60 characters with its quotes',
      file(one({ dtype: 'x'.repeat(58) }), 8),
      `tensor "w" has the type "${'x'.repeat(58)}"; this`,
    ],
    ['one of 61', file(one({ dtype: 'x'.repeat(59) }), 8), `tensor "w" has the type "${'x'.repeat(59)}...; this`],
    ['a shape missing', file(one({ shape: undefined }), 8), 'tensor "w" has the shape missing'],
    ['offsets missing', file(one({ data_offsets: undefined }), 8), 'tensor "w" has the offsets missing'],
    ['offsets between bytes', file(one({ data_offsets: [0.5, 8.5] }), 9), 'tensor "w" has the offsets [0.5,8.5]'],
    ['three offsets', file(one({ data_offsets: [0, 8, 9] }), 8), 'tensor "w" has the offsets [0,8,9]'],
    ['one offset', file(one({ data_offsets: [0] }), 8), 'tensor "w" has the offsets [0]'],
    [
      'two dimensions, not at the beginning',
      file(
        { a: { dtype: 'F16', shape: [4], data_offsets: [0, 8] }, b: { dtype: 'F32', shape: [2, 3], data_offsets: [8, 16] } },
        16,
      ),
      'tensor "b" [2, 3] of F32 takes 24 bytes, and has 8',
    ],
    ['data cut', file(one({}), 7), 'tensor "w" ends at byte 8 of the data, which has 7'],
    ['data too long', file(one({}), 9), '1 bytes follow the last tensor'],
    ['wrong size', file(one({ shape: [3] }), 8), 'tensor "w" [3] of F32 takes 12 bytes, and has 8'],
    ['type', file(one({ dtype: 'I64' }), 8), 'tensor "w" has the type "I64"; this program reads F32, F16, BF16'],
    ['shape', file(one({ shape: [-2] }), 8), 'tensor "w" has the shape [-2]'],
    ['offsets', file(one({ data_offsets: [8, 0] }), 8), 'tensor "w" has the offsets [8,0]'],
    ['no entry', file({ w: 1 }, 8), 'tensor "w" has the type missing'],
    [
      'a header of gigabytes',
      file('{}', 0).fill(0xff, 2, 5),
      'its header would have 1099511562242 bytes, more than the 10000000 allowed',
    ],
    [
      'a header of 10 MB and a byte',
      file('{}', 0)
        .fill(0, 0, 8)
        .map((byte, i) => [0x81, 0x96, 0x98][i] ?? byte),
      'would have 10000001 bytes',
    ],
    [
      'a header of 10 MB',
      file('{}', 0)
        .fill(0, 0, 8)
        .map((byte, i) => [0x80, 0x96, 0x98][i] ?? byte),
      'it is truncated',
    ],
    [
      'a shape whose product overflows',
      file(one({ shape: [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1] }), 8),
      'tensor "w" [9007199254740991',
    ],
    ['an overflow of 64 bits', file(one({ shape: [2 ** 32, 2 ** 32, 2] }), 8), 'has 8'],
    ['an integer that JSON rounds', file(one({ shape: [2 ** 53] }), 8), 'tensor "w" has the shape [9007199254740992]'],
    ['nine dimensions', file(one({ shape: [2, 1, 1, 1, 1, 1, 1, 1, 1] }), 8), 'tensor "w" has the shape [2,1,1,1,1,1,1,1,1]'],
    ['a long shape', file(one({ shape: new Array(1000).fill(1) }), 8), `has the shape [${'1,'.repeat(29)}1...`],
    ['offsets beyond the end', file(one({ data_offsets: [2 ** 52, 2 ** 52 + 8] }), 8), 'ends at byte 4503599627370504'],
    ['the same place twice', file(pair([0, 8], [0, 8]), 8), 'tensor "b" overlaps the one before it by 8 bytes'],
    ['a name twice', file(`{"w":${entry},"w":${entry}}`, 8), 'its header has "w" twice'],
    ['a name twice, written otherwise', file(`{"w":${entry},"\\u0077" :${entry}}`, 8), 'its header has "w" twice'],
    ['metadata twice', file('{"__metadata__":{"a":"{","a":"b"}}', 0), 'its header has "a" twice'],
    [
      'nested',
      file(`{"w":{"dtype":"F32","shape":${'['.repeat(100_000)}${']'.repeat(100_000)},"data_offsets":[0,8]}}`, 8),
      'nested deeper',
    ],
    ['overlap', file(pair([0, 8], [4, 12]), 12), 'tensor "b" overlaps the one before it by 4 bytes'],
    ['gap', file(pair([0, 8], [12, 20]), 20), 'there is a gap of 4 bytes before tensor "b"'],
    ['metadata', file({ __metadata__: { step: 1 } }, 0), 'its __metadata__ is not an object of strings'],
  ];
  test.each(cases)('%s', (_, bytes, problem) => {
    const decode = () => decodeSafetensors(bytes, 'runs/tuto/1/weights.safetensors');
    const { kind, message, fix } = told(decode);
    expect([kind, fix]).toEqual(['DataError', 'use another file, or an earlier checkpoint']);
    expect(message).toMatch(/^runs\/tuto\/1\/weights\.safetensors is not a valid safetensors file: /);
    expect(message).toContain(problem);
  });

  test('cut at every length', () => {
    const whole = encodeSafetensors(tensors, { step: '1' });
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeSafetensors(whole.subarray(0, length), 'cut')).toThrow(DataError);
    }
  });
});

test('keys of different objects may be the same, and values may look like keys', () => {
  const header = '{"__metadata__":{"a":"\\"a\\":{[","b":"b","dtype":"a"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}';
  const decoded = decodeSafetensors(file(header, 4), 'w');
  expect(decoded.metadata).toEqual({ a: '"a":{[', b: 'b', dtype: 'a' });
  expect(decoded.tensors.get('a')!.shape).toEqual([1, 1]);
  // Quotes and backslashes within a value end neither it nor what is counted as nested.
  const metadata = { a: '"', b: '{[{["\\', c: '\\"{[{[', 'd"': '\\\\' };
  expect(decodeSafetensors(file({ __metadata__: metadata }, 0), 'w').metadata).toEqual(metadata);
  const eight = { w: { dtype: 'F32', shape: [1, 1, 1, 1, 1, 1, 1, 2], data_offsets: [0, 8] } };
  expect(decodeSafetensors(file(eight, 8), 'w').tensors.get('w')!.data).toHaveLength(2);
});

test('a file that is not there is named', () => {
  expect(() => readSafetensors('/nowhere/w.safetensors')).toThrow('cannot read /nowhere/w.safetensors: no such file');
});

test('a file compressed with gzip reads as it is; a damaged one is refused, and no header is taken for gzip', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-gzip-'));
  const path = join(folder, 'w.safetensors.gz');
  try {
    const zipped = gzipSync(encodeSafetensors(tensors, { step: '1' }));
    writeFileSync(path, zipped);
    expect(readSafetensors(path)).toEqual({ tensors, metadata: { step: '1' } });
    writeFileSync(path, zipped.subarray(0, 40));
    expect(() => readSafetensors(path)).toThrow(/the gzip data of .*w\.safetensors\.gz are damaged: unexpected end of file/);
    // 10 MB of zeros in 10 kB, behind a file that says that it ends before them: what is allowed is what it says, to the byte.
    const whole = encodeSafetensors(tensors, {});
    writeFileSync(path, gzipSync(Buffer.concat([whole, Buffer.alloc(10_000_000)])));
    expect(() => readSafetensors(path)).toThrow(/unpack to more than the \d+ B that are allowed/);
    writeFileSync(path, gzipSync(Buffer.concat([whole, Buffer.alloc(1)])));
    expect(() => readSafetensors(path)).toThrow(DataError);
    writeFileSync(path, gzipSync('plain text of more than eight bytes'));
    expect(() => readSafetensors(path)).toThrow(/its header would have/);
    // A header of 0x8b1f bytes, whose length starts as a gzip file does.
    const header = `{"__metadata__":{}${' '.repeat(0x8b1f - 19)}}`;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    expect([length[0], length[1], header.length]).toEqual([0x1f, 0x8b, 0x8b1f]);
    writeFileSync(path, Buffer.concat([length, Buffer.from(header)]));
    expect(readSafetensors(path).tensors.size).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('of the metadata of a large file no more than the header is read, and the file is closed, also where reading fails', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-header-'));
  const path = join(folder, 'w.safetensors');
  try {
    const data = new Float32Array(100_000);
    writeFileSync(path, encodeSafetensors(new Map([['w', { shape: [data.length], data }]]), { step: '7' }));
    let metadata: unknown;
    const calls = callsOf(() => (metadata = readSafetensorsMetadata(path)));
    expect(metadata).toEqual({ step: '7' });
    const read = calls.filter(({ name }) => name === 'readSync').map(({ args }) => (args[1] as Uint8Array).length);
    expect(read.length).toBeGreaterThan(0);
    expect(Math.max(...read)).toBeLessThan(2000);
    expect(calls.at(-1)).toMatchObject({ name: 'closeSync', path });
    const names: string[] = [];
    const failing = () =>
      watchFs(
        ({ name }) => {
          names.push(name);
          if (name === 'readSync') throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'read' });
        },
        () => readSafetensorsMetadata(path),
      );
    expect(told(failing)).toEqual({
      kind: 'AblateError',
      message: `cannot read ${path}: the device failed (EIO)`,
      fix: 'check the disk',
    });
    expect(names.at(-1)).toBe('closeSync');
    for (const [bytes, problem] of [
      [5, 'it has 5 bytes, and the length of its header alone takes 8'],
      [8, /it is truncated: it has 8 bytes, and its header ends at \d+/],
    ] as const) {
      writeFileSync(path, encodeSafetensors(new Map(), {}).subarray(0, bytes));
      expect(() => readSafetensorsMetadata(path)).toThrow(problem);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('neither a file nor its metadata is read from what is no regular file', () => {
  for (const read of [readSafetensors, readSafetensorsMetadata]) {
    expect(() => read('/dev/zero')).toThrow('cannot read /dev/zero: it is a device, not a file');
    expect(() => read(tmpdir())).toThrow('it is a folder, not a file');
  }
});

test('a file of another kind is called what it is, compressed or not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-kinds-'));
  const path = join(folder, 'w.safetensors');
  try {
    for (const [start, problem, fix] of [
      ['version https://git-lfs.github.com/spec/v1\noid sha256:ab', 'is a Git LFS pointer', 'git lfs pull'],
      ['<!DOCTYPE html><html>', 'is an HTML page', 'download it again'],
      ['PK\u0003\u0004............../data.pkl', 'is a PyTorch file', 'give a run, or a file of its weights'],
      ['\u0080\u0002}q\u0000......', 'is a Python pickle', 'give a run'],
      ['\u0089HDF\r\n\u001a\n.....', 'is an HDF5 file', 'give a run'],
    ] as const) {
      const bytes = Buffer.from(start, 'latin1');
      for (const read of [readSafetensors, readSafetensorsMetadata]) {
        writeFileSync(path, bytes);
        const problemOf = expect.objectContaining({
          message: `${path} ${problem}, not a safetensors file`,
          fix: expect.stringContaining(fix) as string,
        }) as Error;
        expect(() => read(path)).toThrow(problemOf);
      }
      writeFileSync(path, gzipSync(bytes));
      expect(() => readSafetensors(path)).toThrow(`${path} ${problem}, not a safetensors file`);
    }
    // A header of 640 bytes: its length begins as a pickle does.
    const padded = `{"__metadata__":{"step":"3"}${' '.repeat(611)}}`;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(640n);
    writeFileSync(path, Buffer.concat([length, Buffer.from(padded)]));
    expect(padded).toHaveLength(640);
    expect(readSafetensors(path).metadata).toEqual({ step: '3' });
    expect(readSafetensorsMetadata(path)).toEqual({ step: '3' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
