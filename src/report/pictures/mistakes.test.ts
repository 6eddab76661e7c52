import sharp from 'sharp';
import { expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { mistakesCsv, mistakesPage, mistakesSheet } from './mistakes.ts';
import { enlarged, greyRaster, imageRaster, stacked } from './rasters.ts';
import { sheetAsPng } from './sheet.ts';

const { test: images, shape } = noiseDataset(8, { train: 4, test: 4 });
const classes = ['cat', '<b>dog</b>', '=2+2'];
const rows = [
  { label: 0, prediction: 1, probability: 0.75, labelProbability: 0.25 },
  { label: 1, prediction: 1, probability: 0.9, labelProbability: 0.9 },
  { label: 2, prediction: 0, probability: 0.987654321, labelProbability: 0.001 },
  { label: 0, prediction: 1, probability: 0.8, labelProbability: 0.1 },
];
const predictions = { count: rows.length, at: (image: number) => ({ image, ...rows[image]! }) };
const options = { title: 'tuto/1', classes, predictions, images, shape };

test('the table has every mistake, the surest first, and no name that a spreadsheet would take for a formula', () => {
  expect(mistakesCsv(options).split('\r\n')).toEqual([
    'index,label,prediction,probability,labelProbability',
    "2,'=2+2,cat,0.987654,0.001",
    '3,cat,<b>dog</b>,0.8,0.1',
    '0,cat,<b>dog</b>,0.75,0.25',
    '',
  ]);
});

test('the page has their pictures, all together and by what is taken for what, and names as they are written', () => {
  const page = mistakesPage(options);
  expect(page).toContain('3 of 4 images are taken for something else: 25.00% are right.');
  const headings = [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, heading]) => heading);
  expect(headings).toEqual(['The surest mistakes', 'cat taken for &lt;b&gt;dog&lt;/b&gt;: 2', '=2+2 taken for cat: 1']);
  const shown = [...page.matchAll(/alt="image (\d+), /g)].map(([, image]) => Number(image));
  expect(shown).toEqual([2, 3, 0, 3, 0, 2]);
  expect(page).not.toContain('<b>dog');
  expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
});

test('the pictures are those of the data set', async () => {
  const page = mistakesPage(options);
  const [, data] = /alt="image 3, .*?base64,([^"]+)"/.exec(page)!;
  const { data: pixels, info } = await sharp(Buffer.from(data!, 'base64')).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([8, 8, 3]);
  const plane = 64;
  const first = 3 * 3 * plane;
  for (const [x, y, channel] of [
    [0, 0, 0],
    [5, 2, 1],
    [7, 7, 2],
  ] as const) {
    expect(pixels[(y * 8 + x) * 3 + channel]).toBe(images.images[first + channel * plane + y * 8 + x]);
  }
});

test('a sheet becomes a picture with each of them, enlarged without a smear', async () => {
  const svg = mistakesSheet(options);
  expect([...svg.matchAll(/<image /g)]).toHaveLength(3);
  expect(svg).toContain('&lt;b&gt;dog&lt;/b&gt; 80.0%');
  const png = await sharp(await sheetAsPng(svg)).metadata();
  expect(png.format).toBe('png');
  expect(png.width).toBe(2000);
  const sample = imageRaster(images, 0, shape);
  const large = enlarged(sample, 3);
  expect([large.width, large.height]).toEqual([24, 24]);
  expect(large.samples[(4 * 24 + 8) * 3 + 1]).toBe(sample.samples[(1 * 8 + 2) * 3 + 1]);
});

test('numbers in grey, cut where they are beyond the ends', () => {
  const { samples } = greyRaster(Float64Array.of(-1, 0, 0.5, 1, 2, 3), [2, 3], 0, 2);
  expect([...samples]).toEqual([0, 0, 64, 128, 255, 255]);
  expect([...greyRaster(Float64Array.of(4, 4), [1, 2], 4, 4).samples]).toEqual([0, 0]);
});

test('rasters one below the other', () => {
  const raster = (value: number) => ({ width: 2, height: 1, channels: 1, samples: Uint8Array.of(value, value + 1) }) as const;
  expect(stacked([raster(1), raster(5)])).toEqual({ width: 2, height: 2, channels: 1, samples: Uint8Array.of(1, 2, 5, 6) });
});
