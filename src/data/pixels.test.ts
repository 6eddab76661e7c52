import { expect, test } from 'vitest';
import { assemblePixels } from '../../scripts/assemble-pixels.ts';
import { pixelsBinary } from './pixels-binary.ts';
import { createPixelPlanes } from './pixels.ts';

type ImageShape = readonly [channels: number, height: number, width: number];

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24);
}

/** Rows or columns in any order, some of them twice. */
function anyOf(length: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (Math.imul(i + 3, 40503) >>> 0) % length);
}

/** The pixels of a channel of the input, one by one. */
function pixelsOf(
  images: Uint8Array,
  shape: ImageShape,
  position: number,
  channel: number,
  rows: Int32Array,
  columns: Int32Array,
) {
  const [channels, height, width] = shape;
  const plane = (position * channels + channel) * height * width;
  return [...rows].flatMap((row) => [...columns].map((column) => images[plane + row * width + column]!));
}

test('the module is made of pixels.wat (after a change: npm run pixels)', async () => {
  expect(pixelsBinary).toBe(Buffer.from(await assemblePixels()).toString('base64'));
});

test.each<[shape: ImageShape, inputSize: number]>([
  [[1, 1, 1], 1],
  [[3, 32, 32], 24],
  [[3, 32, 32], 32],
  [[2, 7, 5], 3],
  [[3, 17, 33], 17],
  [[1, 300, 240], 31],
  [[3, 31, 241], 30],
])('images of %j to inputs of %i pixels, as plain loops do it', (shape, inputSize) => {
  const [channels, height, width] = shape;
  const images = noise(3 * channels * height * width);
  const planes = createPixelPlanes(shape, inputSize);
  const planeLength = inputSize * inputSize;
  const scales = Float64Array.from({ length: channels }, (_, channel) => 0.013 * (channel + 1));
  const shifts = Float64Array.from({ length: channels }, (_, channel) => 0.7 - channel);
  // Twice, so that what the first image leaves behind would show.
  for (const position of [2, 1]) {
    const rows = anyOf(height, inputSize);
    const columns = anyOf(width, inputSize).map((column) => (position === 1 ? width - 1 - column : column));
    const output = new Float32Array(channels * planeLength + 2).fill(-99);
    planes.gather(images, position, rows, columns);
    const expected: number[] = [];
    for (let channel = 0; channel < channels; channel++) {
      const pixels = pixelsOf(images, shape, position, channel, rows, columns);
      const sum = pixels.reduce((total, pixel) => total + pixel, 0);
      const squares = pixels.reduce((total, pixel) => total + pixel * pixel, 0);
      expect(planes.sums(channel)).toEqual({ sum, squares });
      expected.push(...pixels.map((pixel) => Math.fround(pixel * scales[channel]! + shifts[channel]!)));
    }
    planes.writeAffine(scales, shifts, output, 1);
    expect([...output]).toEqual([-99, ...expected, -99]);
  }
});

test('sums of large images stay exact', () => {
  const side = 600;
  const planes = createPixelPlanes([1, side, side], side);
  const all = Int32Array.from({ length: side }, (_, i) => i);
  planes.gather(new Uint8Array(side * side).fill(255), 0, all, all);
  expect(planes.sums(0)).toEqual({ sum: 255 * side * side, squares: 255 * 255 * side * side });
});
