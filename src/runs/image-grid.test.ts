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

test('of several RGB images each value is at its place, and the pixels between them stay black', () => {
  const [count, channels, height, width] = [5, 3, 2, 3] as const;
  const size = channels * height * width;
  // From 0 to 255 in each image, so that stretching changes nothing, and other values in each.
  const images = Float32Array.from({ length: count * size }, (_, i) => {
    const within = i % size;
    return within === 0 ? 0 : within === size - 1 ? 255 : 10 + within * 5 + Math.floor(i / size) * 20;
  });
  const grid = imageGrid(images, [count, channels, height, width], { columns: 2, gap: 2 });
  expect(grid).toMatchObject({ width: 8, height: 10, channels: 3 });
  const expected = Array.from({ length: 10 }, () => new Array<number>(8 * 3).fill(0));
  images.forEach((value, i) => {
    const [image, within] = [Math.floor(i / size), i % size];
    const [channel, y, x] = [Math.floor(within / 6), Math.floor((within % 6) / 3), within % 3];
    const [left, top] = [
      [0, 0],
      [5, 0],
      [0, 4],
      [5, 4],
      [0, 8],
    ][image] as [number, number];
    expected[top + y]![(left + x) * 3 + channel] = value;
  });
  expect(decode(grid.png).rows).toEqual(expected);
});

test('about square by default', () => {
  expect(imageGrid(new Float32Array(10 * 3 * 4 * 4), [10, 3, 4, 4])).toMatchObject({ width: 19, height: 14 });
});

test('the smallest image, to the byte', () => {
  const png = Buffer.from(encodePng({ width: 1, height: 1, channels: 1, samples: Uint8Array.of(200) }));
  expect(png.subarray(0, 33).toString('hex')).toBe(
    '89504e470d0a1a0a' + '0000000d' + '49484452' + '00000001' + '00000001' + '0800000000' + '3a7e9b55',
  );
  expect(decode(png).rows).toEqual([[200]]);
  expect(png.subarray(-12).toString('hex')).toBe('00000000' + '49454e44' + 'ae426082');
});

test('refuses other shapes', () => {
  expect(() => imageGrid(new Float32Array(8), [1, 2, 2, 2])).toThrow('got [1, 2, 2, 2] with 8 elements');
  const problem = (text: string) => new RangeError(`a grid needs images [N, 1 or 3, H, W]; got ${text} elements`);
  expect(() => imageGrid(new Float32Array(0), [0, 3, 2, 2])).toThrow(problem('[0, 3, 2, 2] with 0'));
  expect(() => imageGrid(new Float32Array(4), [2, 1, 2, 2])).toThrow(problem('[2, 1, 2, 2] with 4'));
  for (const [width, height] of [
    [0, 2],
    [2, 0],
    [0, 0],
    [-1, -1],
  ] as const) {
    const samples = new Uint8Array(width * height);
    expect(() => encodePng({ width, height, channels: 1, samples })).toThrow(
      new RangeError(`an image of ${width}x${height}x1 cannot have ${samples.length} samples`),
    );
  }
  expect(() => encodePng({ width: 2, height: 2, channels: 3, samples: new Uint8Array(4) })).toThrow(
    'an image of 2x2x3 cannot have 4 samples',
  );
});
