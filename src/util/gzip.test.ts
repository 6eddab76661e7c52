import { expect, test } from 'vitest';
import { DataError } from './errors.ts';
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
