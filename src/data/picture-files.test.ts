import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { describePassedOver, picturesIn, visibleEntries, type PassedOver } from './picture-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-pictures-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the order is that of the UTF-16 code units, whatever that of the file system', () => {
  // A system sorts by the bytes of UTF-8, if at all, in which the full-width tilde comes before the emoji.
  for (const name of ['\u{ff5e}.png', '\u{1f600}.png', 'b.png', 'a.png', 'B.png', '10.png', '9.png', '.hidden.png']) {
    writeFileSync(join(folder, name), '');
  }
  const sorted = ['10.png', '9.png', 'B.png', 'a.png', 'b.png', '\u{1f600}.png', '\u{ff5e}.png'];
  expect(visibleEntries(folder).map(({ name }) => name)).toEqual(sorted);
  expect(picturesIn(folder, new Map())).toEqual(sorted.map((name) => join(folder, name)));
});

test('what is no picture is counted by its kind: links are what they lead to, or nothing', () => {
  for (const name of ['a.PNG', 'b.jpg', 'c.jpeg', 'd.webp', 'e.gif', 'f.GIF', 'README']) writeFileSync(join(folder, name), '');
  for (const name of ['inner', 'inner.png']) mkdirSync(join(folder, name));
  symlinkSync(join(folder, 'inner'), join(folder, 'to-inner'));
  symlinkSync(join(folder, 'e.gif'), join(folder, 'to-image'));
  symlinkSync(join(folder, 'nothing'), join(folder, 'to-nothing.txt'));
  symlinkSync(join(folder, 'b.jpg'), join(folder, 'z.jpg'));
  const passedOver: PassedOver = new Map();
  const pictures = ['a.PNG', 'b.jpg', 'c.jpeg', 'd.webp', 'z.jpg'];
  expect(picturesIn(folder, passedOver)).toEqual(pictures.map((name) => join(folder, name)));
  expect(Object.fromEntries(passedOver)).toEqual({ folder: 3, '.gif': 2, '': 2, '.txt': 1 });
  expect(describePassedOver(passedOver)).toBe('2 without an ending, 2 .gif, 1 .txt, 3 folders');
});

test('a folder that cannot be read ends with its path', () => {
  const missing = join(folder, 'nowhere');
  expect(told(() => picturesIn(missing, new Map()))).toMatchObject({
    message: `cannot read ${missing}: no such file or folder (ENOENT)`,
    fix: 'check the path',
  });
});
