import { expect, test } from 'vitest';
import { DataError } from './errors.ts';
import { mix32 } from './random.ts';
import { bytesFor, compress, decompress, startsAsGzip } from './gzip.ts';

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 7);

test('a name that ends in .gz, and no other, compresses; the same bytes come back', () => {
  expect(bytesFor('model.onnx', bytes)).toBe(bytes);
  const packed = bytesFor('model.onnx.gz', bytes);
  expect(packed.length).toBeLessThan(100);
  expect(packed).toEqual(compress(bytes));
  expect([startsAsGzip(packed), startsAsGzip(bytes), startsAsGzip(new Uint8Array())]).toEqual([true, false, false]);
  expect(new Uint8Array(decompress(packed, 'model.onnx.gz'))).toEqual(bytes);
});

test('data that are cut off or changed are refused, with the name of the file', () => {
  const packed = compress(bytes);
  const changed = packed.map((value, i) => (i === packed.length - 6 ? value ^ 1 : value));
  for (const broken of [packed.subarray(0, 20), packed.subarray(0, packed.length - 1), changed]) {
    expect(() => decompress(broken, 'model.onnx.gz')).toThrow(DataError);
    expect(() => decompress(broken, 'model.onnx.gz')).toThrow(/^the gzip data of model\.onnx\.gz are damaged: /);
  }
});

test('what unpacks to more than it may is refused, at the size that its own start announces', () => {
  // A length of four bytes, then so many: as formats with a header have it.
  const file = (announced: number, length: number): Uint8Array => {
    const contents = new Uint8Array(4 + length);
    new DataView(contents.buffer).setUint32(0, announced, true);
    return compress(contents);
  };
  const announcedBytes = (start: Uint8Array): number | undefined =>
    start.length < 4 ? undefined : 4 + new DataView(start.buffer, start.byteOffset).getUint32(0, true);
  expect(decompress(file(1000, 1000), 'a.gz', { announcedBytes }).length).toBe(1004);
  expect(decompress(file(1000, 900), 'a.gz', { announcedBytes }).length).toBe(904);
  expect(() => decompress(file(1000, 1001), 'a.gz', { announcedBytes })).toThrow(
    'the gzip data of a.gz unpack to more than the 1.0 kB that are allowed',
  );
  expect(() => decompress(file(50_000_000, 2000), 'a.gz', { announcedBytes, maximumBytes: 2003 })).toThrow(
    /more than the 2\.0 kB/,
  );
  expect(decompress(file(7, 2000), 'a.gz', { maximumBytes: 2004 }).length).toBe(2004);
  expect(() => decompress(file(7, 2000), 'a.gz', { maximumBytes: 2003 })).toThrow(DataError);
  // A start that never tells is unpacked whole.
  expect(decompress(file(7, 2000), 'a.gz', { announcedBytes: () => undefined }).length).toBe(2004);
});

test('a length that is told late is found', () => {
  const random = Uint8Array.from({ length: 60_000 }, (_, i) => mix32(i));
  const lengths: number[] = [];
  const announcedBytes = (start: Uint8Array): number | undefined => {
    lengths.push(start.length);
    return start.length < 50_000 ? undefined : 60_000;
  };
  expect(new Uint8Array(decompress(compress(random), 'a.gz', { announcedBytes }))).toEqual(random);
  expect(lengths.length).toBe(3);
});
