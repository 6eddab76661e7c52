import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { imageGrid } from './image-grid.ts';
import { encodePng } from './png.ts';

/** The parts of a PNG written without filters. */
function decode(png: Uint8Array): { width: number; height: number; colorType: number; rows: number[][] } {
  const buffer = Buffer.from(png);
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < buffer.length;) {
    const length = buffer.readUInt32BE(at);
    chunks.set(buffer.toString('latin1', at + 4, at + 8), buffer.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const header = chunks.get('IHDR')!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const lines = inflateSync(chunks.get('IDAT')!);
  const stride = lines.length / height;
  const rows = Array.from({ length: height }, (_, y) => [...lines.subarray(y * stride + 1, (y + 1) * stride)]);
  return { width, height, colorType: header[9]!, rows };
}

test('stretches each image by itself, channels interleaved, images from left to right and top to bottom', () => {
  const images = Float32Array.of(...[-1, 0, 1, 3], ...[5, 5, 5, 5], ...[0, 1, 2, 3]);
  const grid = imageGrid(images, [3, 1, 2, 2], { columns: 2 });
  expect(grid).toMatchObject({ width: 5, height: 5, channels: 1 });
  expect(decode(grid.png)).toEqual({
    width: 5,
    height: 5,
    colorType: 0,
    rows: [
      [0, 64, 0, 0, 0],
      [128, 255, 0, 0, 0],
      [0, 0, 0, 0, 0],
      [0, 85, 0, 0, 0],
      [170, 255, 0, 0, 0],
    ],
  });
});

test('RGB: one range for the three channels', () => {
  const grid = imageGrid(Float32Array.of(0, 1, 2, 3, 4, 5), [1, 3, 1, 2]);
  expect(decode(grid.png)).toEqual({ width: 2, height: 1, colorType: 2, rows: [[0, 102, 204, 51, 153, 255]] });
});

test('about square by default', () => {
  expect(imageGrid(new Float32Array(10 * 3 * 4 * 4), [10, 3, 4, 4])).toMatchObject({ width: 19, height: 14 });
});

test('refuses other shapes', () => {
  expect(() => imageGrid(new Float32Array(8), [1, 2, 2, 2])).toThrow('got [1, 2, 2, 2] with 8 elements');
  expect(() => imageGrid(new Float32Array(0), [0, 3, 2, 2])).toThrow(RangeError);
  expect(() => encodePng({ width: 2, height: 2, channels: 3, samples: new Uint8Array(4) })).toThrow(
    'an image of 2x2x3 cannot have 4 samples',
  );
});
