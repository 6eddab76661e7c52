import { expect, test } from 'vitest';
import { formatSize, imageSize, inputSizeFor, parseSize, sidesOf, sizeAsGiven } from './image-size.ts';

test('a size is one number or two, and has one form', () => {
  expect([sidesOf(96), sidesOf([96, 128])]).toEqual([
    [96, 96],
    [96, 128],
  ]);
  expect([imageSize(96, 96), imageSize(96, 128)]).toEqual([96, [96, 128]]);
  expect([formatSize(96), formatSize([96, 128]), sizeAsGiven(96), sizeAsGiven([96, 128])]).toEqual([
    '96x96',
    '96x128',
    '96',
    '96x128',
  ]);
});

test('text is read as a configuration writes it, height first', () => {
  expect(['96', '96x96', '96x128', '0'].map(parseSize)).toEqual([96, 96, [96, 128], 0]);
  for (const text of ['', 'x', '96x', 'x96', '96 x 96', '9.6', '-1', '96x96x3', '96X96', 'crop'])
    expect(parseSize(text), text).toBeUndefined();
});

test('a crop is three quarters of each side, rounded: 24 of 32 as in 2017', () => {
  const cropOf = (height: number, width = height) => inputSizeFor('crop', [height, width]);
  expect([1, 2, 28, 32, 96, 224].map((side) => cropOf(side))).toEqual([1, 2, 21, 24, 72, 168]);
  expect(cropOf(96, 128)).toEqual([72, 96]);
  expect([inputSizeFor('full', [96, 128]), inputSizeFor('full', [9, 9]), inputSizeFor([5, 5], [9, 9])]).toEqual([
    [96, 128],
    9,
    5,
  ]);
});
