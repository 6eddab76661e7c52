import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { assembleWat } from '../../scripts/assemble-wat.ts';
import { pixelsBinary } from './pixels-binary.ts';
import { createPixelLoops } from './pixel-loops.ts';
import { createPixelVectors } from './pixel-vectors.ts';
import type { ImageShape, Sides } from './pixel-planes.ts';
import { createPixelPlanes } from './pixels.ts';

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

test('the module is made of pixels.wat (after a change: npm run wasm)', async () => {
  expect(pixelsBinary).toBe(Buffer.from(await assembleWat('data/pixels.wat')).toString('base64'));
});

describe.each([
  ['vectors', createPixelVectors],
  ['loops', createPixelLoops],
])('pixels by %s', (_, create) => {
  test.each<[shape: ImageShape, sides: Sides]>([
    [
      [1, 1, 1],
      [1, 1],
    ],
    [
      [3, 32, 32],
      [24, 24],
    ],
    [
      [3, 32, 32],
      [32, 32],
    ],
    [
      [2, 7, 5],
      [3, 5],
    ],
    [
      [3, 17, 33],
      [17, 19],
    ],
    [
      [1, 300, 240],
      [31, 240],
    ],
    [
      [3, 31, 239],
      [30, 7],
    ],
  ])('images of %j to inputs of %j', (shape, sides) => {
    const [channels, height, width] = shape;
    const images = noise(3 * channels * height * width);
    const planes = create(shape, sides);
    const planeLength = sides[0] * sides[1];
    const scales = Float64Array.from({ length: channels }, (_, channel) => 0.013 * (channel + 1));
    const shifts = Float64Array.from({ length: channels }, (_, channel) => 0.7 - channel);
    // Twice, so that what the first image leaves behind would show.
    for (const position of [2, 1]) {
      const rows = anyOf(height, sides[0]);
      const columns = anyOf(width, sides[1]).map((column) => (position === 1 ? width - 1 - column : column));
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

  test('sums of large inputs stay exact', () => {
    const side = 600;
    const planes = create([1, 1, 1], [side, side]);
    const first = new Int32Array(side);
    planes.gather(Uint8Array.of(255), 0, first, first);
    expect(planes.sums(0)).toEqual({ sum: 255 * side * side, squares: 255 * 255 * side * side });
  });
});

test('wide images have the loops', () => {
  const columns = Int32Array.of(0, 999);
  const wide = createPixelPlanes([1, 2, 1000], [2, 2]);
  wide.gather(noise(2000), 0, Int32Array.of(1, 0), columns);
  expect(wide.sums(0).sum).toBe([1000, 1999, 0, 999].reduce((sum, i) => sum + noise(2000)[i]!, 0));
});

test('so has a process that may not reserve as many addresses as WebAssembly wants', () => {
  const Instance = function (): never {
    throw new RangeError('WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance');
  };
  vi.stubGlobal('WebAssembly', { Module: Object, Instance });
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(() => createPixelVectors([1, 2, 2], [1, 1])).toThrow(RangeError);
  const planes = createPixelPlanes([1, 2, 2], [1, 1]);
  planes.gather(Uint8Array.of(1, 2, 3, 4), 0, Int32Array.of(1), Int32Array.of(0));
  expect(planes.sums(0)).toEqual({ sum: 3, squares: 9 });
});
