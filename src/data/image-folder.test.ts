import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readImage } from '../deploy/read-image.ts';
import { ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import { uint32 } from '../util/random.ts';
import type { DataProgress, ImageSet } from './dataset.ts';
import { loadImageFolder } from './image-folder.ts';
import { loadNamedDataset as loadDataset } from './registry.ts';

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
  const labelled = await readImage(path, { imageSize: 8, inputSize: 8, network: { inputShape: [3, 8, 8] } });
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
  await expect(loadImageFolder(folder)).rejects.toThrow('must hold 2 to 4096 classes, not 1');
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
  const scaling =
    'Pictures of 9x7 to 30x80 pixels are scaled to 32x32, what is too wide or too high cut off at both ends ' +
    '(images:<folder>?size=<height>x<width> sets the size)';
  expect(notes.splice(0)).toEqual([scaling]);
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
    scaling,
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
  for (const size of [0, -1, 1.5, NaN, 513]) {
    await expect(loadImageFolder(folder, { size })).rejects.toThrow(
      `image size (=${size}) must be an integer from 1 to 512, or two of them: 96x128 (height x width)`,
    );
  }
  expect((await loadImageFolder(folder, { size: 1 })).shape).toEqual([3, 1, 1]);
});

test('options are read from the name: size, channels; another shape is another data set', async () => {
  await writeTwoClasses();
  const notes: string[] = [];
  const onNote = (text: string): void => void notes.push(text);
  const name = `images:${folder}?size=5x9&channels=1`;
  const grey = await loadDataset(name, { onNote });
  expect(grey).toMatchObject({ name, shape: [1, 5, 9], train: { count: 4 } });
  expect(grey.train.images).toHaveLength(4 * 45);
  // 0.299 R + 0.587 G + 0.114 B of each colour.
  const at = grey.train.labels.indexOf(1);
  expect(grey.train.images[at * 45]).toBe(68);
  expect(notes[0]).toMatch(/^Pictures of 9x7 to 30x80 pixels are scaled to 5x9, what/);
  const turned = await loadDataset(`images:${folder}?size=9x5&channels=1`);
  expect(turned.shape).toEqual([1, 9, 5]);
  expect(turned.fingerprint).not.toBe(grey.fingerprint);
});

test('pictures of the size are not said to be scaled', async () => {
  for (const split of ['train', 'test']) for (const name of ['ant', 'bee']) await write(`${split}/${name}/1.png`, red, 7, 5);
  const notes: string[] = [];
  await loadDataset(`images:${folder}?size=5x7`, { onNote: (text) => notes.push(text) });
  expect(notes).toEqual([]);
  await loadDataset(`images:${folder}?size=10x14`, { onNote: (text) => notes.push(text) });
  expect(notes).toEqual(['Pictures of 5x7 pixels are scaled to 10x14 (images:<folder>?size=<height>x<width> sets the size)']);
});

test.each([
  ['sise=96', 'there is no key "sise". Did you mean "size"?'],
  ['size=0', 'size (=0) must be a size in pixels, 96 or 96x128 (height x width), each side from 1 to 512'],
  ['size=96x', 'size (=96x) must be a size in pixels'],
  ['size=513', 'size (=513) must be a size in pixels'],
  ['channels=2', 'channels (=2) must be 1 (grey) or 3 (colour)'],
  ['test=1', 'test (=1) must be a number between 0 and 1'],
  ['test=0', 'test (=0) must be a number between 0 and 1'],
  ['seed=x', 'seed (=x) must be an integer of at least 0'],
  ['size=8&size=9', 'size is given twice'],
  ['size', 'what is behind the question mark (=size) must be options: size=96&channels=1'],
])('%s is refused before anything is read', async (options, message) => {
  const error = await loadDataset(`images:/nowhere?${options}`).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as Error).message).toContain(`data set (=images:/nowhere?${options}): `);
  expect((error as Error).message).toContain(message);
});

describe('one folder of classes', () => {
  async function writeFlat(): Promise<void> {
    // The red value of an image is its name.
    for (let i = 0; i < 10; i++) await write(`bee/${i}.png`, [10 * i, 0, 0], 1, 1);
    for (let i = 0; i < 5; i++) await write(`ant/${i}.png`, [100 + 10 * i, 0, 0], 1, 1);
  }
  const reds = ({ images }: ImageSet): number[] => [...images].filter((_, i) => i % 3 === 0).sort((a, b) => a - b);

  test('is split in each class alike, by the seed', async () => {
    await writeFlat();
    const load = (query: string) => loadDataset(`images:${folder}?size=1&${query}`);
    const { train, test: held, classes, fingerprint } = await load('test=0.2');
    expect(classes).toEqual(['ant', 'bee']);
    expect([...held.labels].sort()).toEqual([0, 1, 1]);
    expect(train.count).toBe(12);
    expect([...reds(train), ...reds(held)].sort((a, b) => a - b)).toEqual(
      [...Array(10).keys()].map((i) => 10 * i).concat([100, 110, 120, 130, 140]),
    );
    const again = await load('test=0.2');
    expect(again.fingerprint).toBe(fingerprint);
    const other = await load('test=0.2&seed=2');
    expect([...other.test.labels].sort()).toEqual([0, 1, 1]);
    expect(reds(other.test)).not.toEqual(reds(held));
    expect(other.fingerprint).not.toBe(fingerprint);
    // However small the part, there is an image of each class on both sides.
    expect((await load('test=0.01')).test.count).toBe(2);
    expect((await load('test=0.99')).train.count).toBe(2);
  });

  test('needs the option, two images of each class, and no train and test folder', async () => {
    await writeFlat();
    await expect(loadDataset(`images:${folder}`)).rejects.toMatchObject({
      message: `${join(folder, 'train')} does not exist`,
      fix: expect.stringContaining('images:<folder>?test=0.2') as string,
    });
    await write('cat/1.png', red);
    await expect(loadDataset(`images:${folder}?test=0.2`)).rejects.toThrow(
      'a class must have at least 2 images to be split into training and testing: cat has 1',
    );
    rmSync(join(folder, 'cat'), { recursive: true });
    await write('train/a/1.png', red);
    await write('test/a/1.png', red);
    await expect(loadDataset(`images:${folder}?test=0.2`)).rejects.toThrow('is not to be split again');
    await expect(loadDataset('images:/nowhere?test=0.2')).rejects.toThrow('/nowhere does not exist');
  });
});

test('more than 256 classes have labels of two bytes', async () => {
  const png = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#123456' } })
    .png()
    .toBuffer();
  for (let i = 0; i < 300; i++) {
    const path = join(folder, String(i).padStart(3, '0'));
    mkdirSync(path);
    for (const name of ['1.png', '2.png']) writeFileSync(join(path, name), png);
  }
  const { train, test: held, classes } = await loadDataset(`images:${folder}?size=1&test=0.5`);
  expect(classes).toHaveLength(300);
  for (const { labels } of [train, held]) expect([...labels].sort((a, b) => a - b)).toEqual([...Array(300).keys()]);
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

describe('what is refused, with what to do', () => {
  const layout = 'the layout is <folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}';
  const flatLayout = 'the layout is <folder>/<class>/*.{png,jpg,jpeg,webp}';
  const refusal = (options: Parameters<typeof loadImageFolder>[1]) =>
    loadImageFolder(folder, options).then(
      () => undefined,
      (reason: unknown) => ({ message: messageOf(reason).replaceAll(folder, 'F'), fix: (reason as DataError).fix }),
    );
  /** Empty files: nothing is decoded before the folder is found to be wrong. */
  function files(...paths: string[]): void {
    for (const path of paths) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), '');
    }
  }

  test('a folder that is not there', async () => {
    rmSync(folder, { recursive: true });
    expect(await refusal({})).toEqual({ message: 'F/train does not exist', fix: layout });
    expect(await refusal({ test: 0.5 })).toEqual({ message: 'F does not exist', fix: flatLayout });
    mkdirSync(folder);
  });

  test('a train folder without a test folder is none of classes', async () => {
    files('train/a/1.png');
    expect(await refusal({})).toEqual({ message: 'F/test does not exist', fix: layout });
  });

  test('a folder of classes without a part for testing', async () => {
    files('a/1.png', 'b/1.png');
    const fix = 'for classes directly in the folder, say which part of them is for testing: images:<folder>?test=0.2';
    expect(await refusal({})).toEqual({ message: 'F/train does not exist', fix });
  });

  test('a folder with train and test is not split again; classes of such a name are classes', async () => {
    files('train/1.png', 'test/1.png');
    const message = 'F has a train and a test folder, and is not to be split again';
    expect(await refusal({ test: 0.5 })).toEqual({ message, fix: 'leave ?test= out' });
    rmSync(join(folder, 'train'), { recursive: true });
    expect((await refusal({ test: 0.5 }))!.message).toMatch(/^a class must have at least 2 images/);
  });

  test.each([0, 1, -0.5, NaN])('%d of each class for testing', async (share) => {
    files('a/1.png', 'b/1.png');
    const message = `test (=${share}) must be a number between 0 and 1: the part of each class that is for testing`;
    await expect(loadImageFolder(folder, { test: share })).rejects.toMatchObject({ message, key: 'test' });
  });

  test('classes of one image that are to be split', async () => {
    files('a/1.png', 'b/1.png', 'c/1.png', 'c/2.png');
    expect(await refusal({ test: 0.5 })).toEqual({
      message: 'a class must have at least 2 images to be split into training and testing: a, b has 1',
      fix: 'add images, or remove the class',
    });
  });

  test('one class', async () => {
    files('a/1.png', 'a/2.png');
    expect(await refusal({ test: 0.5 })).toEqual({ message: 'F must hold 2 to 4096 classes, not 1', fix: flatLayout });
    rmSync(join(folder, 'a'), { recursive: true });
    files('train/a/1.png', 'test/a/1.png');
    expect(await refusal({})).toEqual({ message: 'F/train must hold 2 to 4096 classes, not 1', fix: layout });
  });

  test('no class', async () => {
    expect(await refusal({ test: 0.5 })).toEqual({ message: 'F holds no class folder', fix: flatLayout });
  });

  test('a class of other files, and one of none', async () => {
    files('train/a/notes.txt', 'train/b/1.png', 'test/a/1.png');
    expect(await refusal({})).toEqual({
      message: expect.stringMatching(/^F\/train\/a holds no image \(.+\), only .*\.txt/) as string,
      fix: layout,
    });
    rmSync(join(folder, 'train/a/notes.txt'));
    expect((await refusal({}))!.message).toMatch(/^F\/train\/a holds no image \([^)]+\)$/);
  });

  test('other classes for testing than for training', async () => {
    files('train/a/1.png', 'train/b/1.png', 'test/a/1.png');
    const message = 'F must hold the same classes in train and test; only in train: b';
    expect(await refusal({})).toEqual({ message, fix: layout });
    files('test/b/1.png', 'test/c/1.png', 'test/d/1.png');
    expect((await refusal({}))!.message).toBe('F must hold the same classes in train and test; only in test: c, d');
  });

  test('two names that are one', async () => {
    files('e\u0301t\u00e9/1.png', '\u00e9t\u00e9/1.png');
    expect(await refusal({ test: 0.5 })).toEqual({
      message: 'F holds two folders called \u00e9t\u00e9, which differ in their Unicode form only',
      fix: 'put the images of both into one',
    });
  });

  test.each([0, 513, 1.5, [32, 0], [513, 32]] as const)('images of size %j', async (size) => {
    await expect(loadImageFolder(folder, { size: size as number })).rejects.toMatchObject({
      message: expect.stringMatching(/^image size \(=.+\) must be an integer from 1 to 512, or two of them: 96x128/) as string,
      key: 'size',
    });
  });
});

test('the largest size is taken; the split and its seed are part of what identifies the images', async () => {
  for (const name of ['a', 'b'])
    for (const i of [1, 2, 3, 4, 5]) await write(`${name}/${i}.png`, name === 'a' ? red : blue, 8, 8);
  const load = (options: object) => loadImageFolder(folder, { size: 8, ...options });
  const half = await load({ test: 0.4 });
  expect([half.name, half.synthetic, half.train.count, half.test.count]).toEqual([`images:${folder}`, false, 6, 4]);
  // Images of a class are all alike here: only the options differ.
  const prints = [half, await load({ test: 0.41 }), await load({ test: 0.4, seed: 2 }), await load({ test: 0.4, seed: 1 })];
  expect(new Set(prints.map(({ fingerprint }) => fingerprint)).size).toBe(3);
  const notes: string[] = [];
  await load({ test: 0.4, onNote: (text: string) => notes.push(text) });
  expect(notes).toEqual([]);
  await load({ test: 0.4, size: [8, 512], onNote: (text: string) => notes.push(text) });
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(/^Pictures of 8x8 pixels are scaled to 8x512, what is too wide or too high cut off at both ends/);
});
