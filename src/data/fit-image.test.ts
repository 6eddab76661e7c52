import { expect, test } from 'vitest';
import { uint32 } from '../util/random.ts';
import { fitPicture, type Picture } from './fit-image.ts';

function noise(width: number, height: number): Picture {
  return { width, height, channels: 3, samples: Uint8Array.from({ length: width * height * 3 }, (_, i) => uint32(5, i)) };
}

const fitToSquare = (picture: Picture, side: number): Uint8Array => fitPicture(picture, [3, side, side]);

test('an image of the right size is copied', () => {
  const picture = noise(32, 32);
  expect(fitToSquare(picture, 32)).toEqual(picture.samples);
});

test('of another shape, the central square is taken', () => {
  const picture = noise(39, 32);
  const square = fitToSquare(picture, 32);
  for (let y = 0; y < 32; y++) {
    const row = picture.samples.subarray((y * 39 + 3) * 3, (y * 39 + 3 + 32) * 3);
    expect(square.subarray(y * 96, (y + 1) * 96)).toEqual(row);
  }
});

test('scaling keeps a uniform colour, and ignores transparency', () => {
  for (const [width, height] of [
    [7, 5],
    [100, 61],
    [33, 32],
  ] as const) {
    const samples = Uint8Array.from({ length: width * height * 4 }, (_, i) => [200, 100, 50, 7][i % 4]!);
    const square = fitToSquare({ width, height, channels: 4, samples }, 32);
    expect(new Set(square)).toEqual(new Set([200, 100, 50]));
    expect([...square.subarray(0, 3)]).toEqual([200, 100, 50]);
  }
});

test('shrinking by two averages with a triangle over four pixels', () => {
  // One row of the picture, repeated: weights 1, 3, 3, 1 of 8 inside, cut off at the border.
  const row = [0, 80, 160, 240, 40, 200];
  const samples = Uint8Array.from({ length: 6 * 6 * 3 }, (_, i) => row[Math.floor(i / 3) % 6]!);
  const square = fitToSquare({ width: 6, height: 6, channels: 3, samples }, 3);
  const expected = [(3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240 + 40) / 8, (240 + 3 * 40 + 3 * 200) / 7].map(Math.round);
  expect([square[0], square[3], square[6]]).toEqual(expected);
});

/** A picture of grey columns, or with `rows` of grey rows. */
function striped(values: readonly number[], direction: 'columns' | 'rows', others: number): Picture {
  const [width, height] = direction === 'columns' ? [values.length, others] : [others, values.length];
  const at = (i: number): number => values[direction === 'columns' ? i % width : Math.floor(i / width)]!;
  return {
    width,
    height,
    channels: 3,
    samples: Uint8Array.from({ length: width * height * 3 }, (_, i) => at(Math.floor(i / 3))),
  };
}

test('enlarging by two takes three quarters of the nearest and one of the next, in both directions alike', () => {
  // Output centres at 0.25, 0.75, 1.25 and 1.75 between inputs at 0.5 and 1.5; beyond the border there is nothing to mix in.
  const expected = [0, 20, 60, 80];
  const across = fitToSquare(striped([0, 80], 'columns', 2), 4);
  const down = fitToSquare(striped([0, 80], 'rows', 2), 4);
  for (let y = 0; y < 4; y++) {
    for (let x = 0; x < 4; x++) {
      expect(across[(y * 4 + x) * 3]).toBe(expected[x]);
      expect(down[(y * 4 + x) * 3]).toBe(expected[y]);
    }
  }
});

test('of a tall picture the middle is taken, the odd row at the bottom is left', () => {
  const picture = striped([10, 20, 30, 40, 50], 'rows', 2);
  expect([0, 6].map((at) => fitToSquare(picture, 2)[at])).toEqual([20, 30]);
  expect(fitToSquare(picture, 1)[0]).toBe(25);
});

test('halves are rounded up', () => {
  expect(fitToSquare(striped([0, 1], 'columns', 2), 1)[0]).toBe(1);
});

test('for a rectangle, the largest centred part of its shape is taken', () => {
  const picture = noise(9, 5);
  // Twice as wide as high: 9 x 4 or 5 (of 4.5, rounded) rows, all columns; here without scaling of the columns.
  const part = fitPicture(picture, [3, 5, 9]);
  expect(part).toEqual(picture.samples);
  const wide = fitPicture(noise(8, 6), [3, 4, 8]);
  expect(wide).toEqual(noise(8, 6).samples.subarray(8 * 3, 5 * 8 * 3));
  const high = fitPicture(noise(6, 4), [3, 4, 2]);
  for (let y = 0; y < 4; y++) {
    expect(high.subarray(y * 6, y * 6 + 6)).toEqual(noise(6, 4).samples.subarray((y * 6 + 2) * 3, (y * 6 + 4) * 3));
  }
});

test('grey is 0.299 red, 0.587 green and 0.114 blue; what is grey stays as it is', () => {
  const colours = { width: 3, height: 1, channels: 3, samples: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255) } as const;
  expect([...fitPicture(colours, [1, 1, 3])]).toEqual([76, 150, 29]);
  const greys = { width: 256, height: 1, channels: 4, samples: Uint8Array.from({ length: 1024 }, (_, i) => i >> 2) } as const;
  expect([...fitPicture(greys, [1, 1, 256])]).toEqual([...Array(256).keys()]);
});
