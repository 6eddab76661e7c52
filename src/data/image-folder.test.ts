import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readImage } from '../deploy/read-image.ts';
import { DataError } from '../util/errors.ts';
import { uint32 } from '../util/random.ts';
import type { DataProgress, ImageSet } from './dataset.ts';
import { loadImageFolder } from './image-folder.ts';
import { loadDataset } from './registry.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-images-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Rgb = readonly [red: number, green: number, blue: number];
const red: Rgb = [200, 10, 20];
const blue: Rgb = [10, 20, 200];

/** Writes an image of one colour, in the format of the file's name. */
async function write(path: string, [r, g, b]: Rgb, width = 40, height = 40): Promise<void> {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: { r, g, b } } }).toFile(join(folder, path));
}

async function writeTwoClasses(): Promise<void> {
  await write('train/zebra/1.png', red);
  await write('train/ant/1.png', blue);
  await write('train/ant/2.JPG', blue, 80, 30);
  await write('train/ant/3.webp', blue);
  await write('test/ant/1.jpeg', blue);
  await write('test/zebra/1.png', red, 7, 9);
}

test('reads every format, scales to the size, sorts the classes, and stores planes', async () => {
  await writeTwoClasses();
  writeFileSync(join(folder, 'train', '.DS_Store'), 'x');
  writeFileSync(join(folder, 'train', 'ant', 'notes.txt'), 'x');
  const dataset = await loadDataset(`images:${folder}`);
  expect(dataset).toMatchObject({ classes: ['ant', 'zebra'], shape: [3, 32, 32], synthetic: false, name: `images:${folder}` });
  expect([dataset.train.count, dataset.test.count]).toEqual([4, 2]);
  expect([...dataset.train.labels].sort()).toEqual([0, 0, 0, 1]);
  for (const set of [dataset.train, dataset.test]) {
    for (let image = 0; image < set.count; image++) {
      const colour = set.labels[image] === 0 ? blue : red;
      const stored = set.images.subarray(image * 3072, (image + 1) * 3072);
      expect(stored.every((value, i) => Math.abs(value - colour[i >> 10]!) < 6)).toBe(true);
    }
  }
  expect((await loadImageFolder(folder)).fingerprint).toBe(dataset.fingerprint);
});

test('grey images, transparent images and pixel order', async () => {
  await writeTwoClasses();
  const pixels = Uint8Array.of(0, 50, 100, 150);
  await sharp(pixels, { raw: { width: 2, height: 2, channels: 1 } })
    .png()
    .toFile(join(folder, 'test/ant/1.png'));
  rmSync(join(folder, 'test/ant/1.jpeg'));
  const transparent = { width: 2, height: 2, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } as const;
  await sharp({ create: transparent }).png().toFile(join(folder, 'test/zebra/1.png'));
  const { test: held } = await loadImageFolder(folder, { size: 2 });
  const image = (label: number): number[] => {
    const position = held.labels.indexOf(label);
    return [...held.images.subarray(position * 12, position * 12 + 12)];
  };
  expect(image(0)).toEqual([0, 50, 100, 150, 0, 50, 100, 150, 0, 50, 100, 150]);
  expect(image(1)).toEqual(Array(12).fill(255));
});

test('an image is scaled for training as it is when a trained network labels it', async () => {
  await writeTwoClasses();
  const noise = Uint8Array.from({ length: 37 * 23 * 4 }, (_, i) => uint32(3, i));
  const path = join(folder, 'test/ant/1.png');
  await sharp(noise, { raw: { width: 37, height: 23, channels: 4 } })
    .png()
    .toFile(path);
  rmSync(join(folder, 'test/ant/1.jpeg'));
  const { test: held } = await loadImageFolder(folder, { size: 8 });
  const trained = held.images.subarray(192 * held.labels.indexOf(0)).subarray(0, 192);
  const labelled = await readImage(path, { imageSize: 8, inputSize: 8 });
  for (let i = 0; i < 192; i++) expect(trained[(i % 3) * 64 + Math.floor(i / 3)]).toBe(labelled[i]);
});

test('a folder that is not laid out so is refused with the layout as the fix', async () => {
  await expect(loadImageFolder(join(folder, 'nowhere'))).rejects.toThrow(`${join(folder, 'nowhere', 'train')} does not exist`);
  await write('train/ant/1.png', blue);
  await expect(loadImageFolder(folder)).rejects.toMatchObject({
    fix: expect.stringContaining('<folder>/{train,test}/<class>') as string,
  });
  await write('test/bee/1.png', blue);
  await expect(loadImageFolder(folder)).rejects.toThrow('only in train: ant; only in test: bee');
  await write('test/ant/1.png', blue);
  rmSync(join(folder, 'test/bee'), { recursive: true });
  await expect(loadImageFolder(folder)).rejects.toThrow('must hold 2 to 256 classes, not 1');
  mkdirSync(join(folder, 'train/bee'));
  await expect(loadImageFolder(folder)).rejects.toThrow(`${join(folder, 'train/bee')} holds no image`);
});

test('a link to a class folder that is gone is named', async () => {
  await writeTwoClasses();
  const link = join(folder, 'train/bee');
  symlinkSync(join(folder, 'gone'), link);
  await expect(loadImageFolder(folder)).rejects.toThrow(`cannot read ${link}: no such file or folder (ENOENT)`);
});

test('all images that cannot be used are named at once, of both splits', async () => {
  await writeTwoClasses();
  writeFileSync(join(folder, 'train/ant/broken.png'), 'not a picture');
  writeFileSync(join(folder, 'train/zebra/empty.jpg'), '');
  await write('test/zebra/2.gif', red);
  renameSync(join(folder, 'test/zebra/2.gif'), join(folder, 'test/zebra/2.png'));
  symlinkSync(join(folder, 'gone'), join(folder, 'test/ant/link.png'));
  execFileSync('mkfifo', [join(folder, 'test/ant/pipe.png')]);
  const error = (await loadImageFolder(folder).catch((reason: unknown) => reason)) as DataError;
  expect(error).toBeInstanceOf(DataError);
  const lines = [
    `${join(folder, 'test/zebra/2.png')} is a GIF image, and must be PNG, JPEG or WebP`,
    `${join(folder, 'train/ant/broken.png')} is not an image, and must be PNG, JPEG or WebP`,
    `${join(folder, 'train/zebra/empty.jpg')} is empty (0 bytes)`,
    `cannot read ${join(folder, 'test/ant/link.png')}: no such file or folder (ENOENT)`,
    `cannot read ${join(folder, 'test/ant/pipe.png')}: it is a pipe, not a file`,
  ];
  expect(error.message).toBe(`5 of 11 images in ${folder} cannot be used:\n  ${lines.join('\n  ')}`);
  expect(error.fix).toBe('replace or remove these files');
});

test('what is passed over is counted in one line; hidden files are not', async () => {
  await writeTwoClasses();
  const notes: string[] = [];
  const load = () => loadDataset(`images:${folder}`, { onNote: (text) => notes.push(text) });
  const { fingerprint } = await load();
  expect(notes).toEqual([]);
  await write('train/ant/nested/1.png', blue);
  await write('train/ant/folder.png/1.png', blue);
  symlinkSync(join(folder, 'train/zebra'), join(folder, 'test/ant/linked'));
  symlinkSync(join(folder, 'gone'), join(folder, 'test/ant/dangling'));
  for (const name of [
    'train/ant/a.bmp',
    'train/ant/b.GIF',
    'test/zebra/c.gif',
    'test/ant/d.jfif',
    'train/zebra/README',
    'train/1.png',
  ]) {
    writeFileSync(join(folder, name), 'x');
  }
  writeFileSync(join(folder, 'train/zebra/.hidden'), 'x');
  expect((await load()).fingerprint).toBe(fingerprint);
  expect(notes).toEqual([
    `Passed over in ${folder}: 2 without an ending, 1 .bmp, 2 .gif, 1 .jfif, 1 file outside of the class folders, 3 folders ` +
      '(the layout is <folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp})',
  ]);
  rmSync(join(folder, 'test/zebra/1.png'));
  await expect(load()).rejects.toThrow(`${join(folder, 'test/zebra')} holds no image (.png, .jpg, .jpeg or .webp), only 1 .gif`);
});

test('class names match in whatever Unicode form the system stores them', async () => {
  const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
  await write(`train/${decomposed}/1.png`, red);
  await write('train/caff/1.png', blue);
  await write(`test/${composed}/1.png`, red);
  await write('test/caff/1.png', blue);
  const dataset = await loadImageFolder(folder);
  // In the order of the composed names, in which \u00e9 comes behind every ASCII letter.
  expect(dataset.classes).toEqual(['caff', composed]);
  const at = dataset.train.labels.indexOf(1);
  expect(dataset.train.images[at * 3072]).toBe(200);
  await write(`test/${decomposed}/2.png`, red);
  await expect(loadImageFolder(folder)).rejects.toThrow(
    `${join(folder, 'test')} holds two folders called ${composed}, which differ in their Unicode form only`,
  );
});

test('a size that is none is refused', async () => {
  await writeTwoClasses();
  for (const size of [0, -1, 1.5, NaN]) {
    await expect(loadImageFolder(folder, { size })).rejects.toThrow(`image size (=${size}) must be an integer of at least 1`);
  }
  expect((await loadImageFolder(folder, { size: 1 })).shape).toEqual([3, 1, 1]);
});

test('progress tells both splits, up to all of their images', async () => {
  for (let i = 0; i < 9; i++) await write(`train/ant/${i}.png`, blue, 4, 4);
  await writeTwoClasses();
  const reports: DataProgress[] = [];
  await loadImageFolder(folder, { onProgress: (progress) => reports.push(progress) });
  expect(reports).toEqual([
    { activity: 'decoding train images', done: 8, total: 12, unit: 'images' },
    { activity: 'decoding train images', done: 12, total: 12, unit: 'images' },
    { activity: 'decoding test images', done: 2, total: 2, unit: 'images' },
  ]);
});

test('images come in a fixed random order of each split, so that the end of the training set holds every class', async () => {
  for (const split of ['train', 'test']) {
    for (let i = 0; i < 20; i++) await write(`${split}/${i < 10 ? 'ant' : 'bee'}/${i}.png`, [10 * i, 0, 0], 1, 1);
  }
  const { train, test: held } = await loadImageFolder(folder, { size: 1 });
  const order = ({ images }: ImageSet): number[] => [...images].filter((_, i) => i % 3 === 0).map((red) => red / 10);
  for (const set of [train, held]) {
    expect([...set.labels]).toEqual(order(set).map((i) => (i < 10 ? 0 : 1)));
    expect([...order(set)].sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
    expect(new Set(set.labels.subarray(14)).size).toBe(2);
    expect(order(set)).not.toEqual([...order(set)].sort((a, b) => a - b));
  }
  expect(order(train)).not.toEqual(order(held));
  expect(order((await loadImageFolder(folder, { size: 1 })).train)).toEqual(order(train));
});
