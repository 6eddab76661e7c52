import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadImageFolder } from '../../data/image-folder.ts';
import { generateSynthetic } from '../../data/synthetic.ts';
import { exportPictures } from './export-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-export-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const dataset = generateSynthetic({ trainCount: 40, testCount: 20 });

/** The images of one class, in a fixed order. */
function imagesOf({ classes, train, shape }: Pick<typeof dataset, 'classes' | 'train' | 'shape'>, name: string): string[] {
  const length = shape[0] * shape[1] * shape[2];
  const positions = [...train.labels.keys()].filter((i) => classes[train.labels[i]!] === name);
  return positions.map((i) => Buffer.from(train.images.subarray(i * length, (i + 1) * length)).toString('base64')).sort();
}

test('what is written is read back as the same images', async () => {
  const path = join(folder, 'all');
  expect(exportPictures(dataset, path, undefined)).toEqual({ train: 40, test: 20 });
  const read = await loadImageFolder(path);
  expect([...read.classes].sort()).toEqual([...dataset.classes].sort());
  expect([read.train.count, read.test.count]).toEqual([40, 20]);
  for (const name of dataset.classes) expect(imagesOf(read, name), name).toEqual(imagesOf(dataset, name));
  expect(readdirSync(folder)).toEqual(['all']);
});

test('of each class and split so many', () => {
  const path = join(folder, 'few');
  expect(exportPictures(dataset, path, 3)).toEqual({ train: 30, test: 20 });
  expect(readdirSync(join(path, 'train/star'))).toEqual(['00000.png', '00001.png', '00002.png']);
});

test('a folder that has something stays as it is, and a class that cannot be a folder is refused', () => {
  const path = join(folder, 'mine');
  mkdirSync(path);
  writeFileSync(join(path, 'a'), '');
  expect(() => exportPictures(dataset, path, 1)).toThrow(`${path} exists`);
  expect(readdirSync(path)).toEqual(['a']);
  expect(() => exportPictures(dataset, join(folder, 'no/such'), 1)).toThrow('there is no folder');
  const classes = ['../outside', ...dataset.classes.slice(1)];
  expect(() => exportPictures({ ...dataset, classes }, join(folder, 'odd'), 1)).toThrow('the class "../outside" cannot be');
  expect(readdirSync(folder)).not.toContain('odd');
});
