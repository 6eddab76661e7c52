import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { crc32 } from '../util/checksum.ts';
import { toldLater } from '../../test/told.ts';
import { AblateError, DataError, messageOf } from '../util/errors.ts';
import { readPicture } from './read-picture.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-picture-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [width, height] = [40, 24];
const pixels = Buffer.from(Array.from({ length: width * height * 3 }, (_, i) => 128 + 100 * Math.sin(i / 97)));
const picture = sharp(pixels, { raw: { width, height, channels: 3 } });

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function refusal(path: string): Promise<AblateError> {
  const error = await readPicture(path).catch((reason: unknown) => reason);
  expect(error, path).toBeInstanceOf(AblateError);
  return error as AblateError;
}

test('a PNG has the pixels that were written; width and height are not exchanged', async () => {
  const read = await readPicture(file('a.png', await picture.clone().png().toBuffer()));
  expect(read).toMatchObject({ width, height, channels: 3 });
  expect(Buffer.from(read.samples)).toEqual(pixels);
});

test('the name says nothing, the contents do', async () => {
  const read = await readPicture(file('png.jpg', await picture.clone().png().toBuffer()));
  expect(Buffer.from(read.samples)).toEqual(pixels);
});

test.each([
  ['gif', 'a GIF image'],
  ['tiff', 'a TIFF image'],
  ['avif', 'an AVIF image'],
] as const)('%s is refused by its contents', async (format, kind) => {
  const path = file(`${format}.png`, await picture.clone().toFormat(format).toBuffer());
  const { message, fix } = await refusal(path);
  expect(message).toBe(`${path} is ${kind}, and must be PNG, JPEG or WebP`);
  expect(fix).toBe('convert it first');
});

test('so are drawings, pages, pointers and text', async () => {
  for (const [contents, kind, fix] of [
    ['<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>', 'is an SVG drawing', 'convert it first'],
    ['<!DOCTYPE html><title>Not found</title>', 'is an HTML page', 'download it again'],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n', 'is a Git LFS pointer', 'git lfs pull'],
    ['this is no image', 'is not an image', 'give a PNG, JPEG or WebP image'],
  ] as const) {
    const path = file('x.jpg', contents);
    const error = await refusal(path);
    expect(error.message).toBe(`${path} ${kind}, and must be PNG, JPEG or WebP`);
    expect(error.fix).toContain(fix);
  }
});

test('harmless faults of a JPEG change no pixel', async () => {
  const jpeg = await picture.clone().jpeg({ quality: 90 }).toBuffer();
  const right = await readPicture(file('sound.jpg', jpeg));
  const jfif = Buffer.from([0xff, 0xe0, 0, 16, ...Buffer.from('JFIF\0'), 0, 0, 0, 0, 1, 0, 1, 0, 0]);
  const faulty = Buffer.concat([jpeg.subarray(0, 2), jfif, Buffer.from([1, 2, 3]), jpeg.subarray(2)]);
  await expect(sharp(faulty).raw().toBuffer()).rejects.toThrow('JFIF revision number 0.00');
  expect(await readPicture(file('faulty.jpg', faulty))).toEqual(right);
  const beforeEnd = Buffer.concat([jpeg.subarray(0, -2), Buffer.from([1, 2, 3]), jpeg.subarray(-2)]);
  expect(await readPicture(file('before-end.jpg', beforeEnd))).toEqual(right);
});

test('truncated and damaged files are refused, in one line', async () => {
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    const bytes = await picture.clone().toFormat(format).toBuffer();
    const cut = await refusal(file(`cut.${format}`, bytes.subarray(0, bytes.length >> 1)));
    expect(cut).toBeInstanceOf(DataError);
    expect(cut.message).toMatch(/cut\.\w+ cannot be decoded: [^\n]+$/);
    expect(cut.fix).toBe('give an undamaged image');
  }
  const interlaced = await picture.clone().png({ progressive: true }).toBuffer();
  const cut = await refusal(file('interlaced.png', interlaced.subarray(0, interlaced.length >> 1)));
  expect(cut.message).toMatch(/interlaced\.png cannot be decoded: not enough data$/);
  const jpeg = await picture.clone().jpeg({ quality: 90 }).toBuffer();
  const withoutEnd = await refusal(file('without-end.jpg', jpeg.subarray(0, -2)));
  expect(withoutEnd.message).toContain('premature end of JPEG image');
  // Ones without end are no code, in the middle of the image data.
  const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
  const damaged = Buffer.from(jpeg);
  for (let at = scan + 60; at < scan + 80; at += 2) damaged.set([0xff, 0], at);
  expect((await refusal(file('damaged.jpg', damaged))).message).toMatch(/cannot be decoded: VipsJpeg: Corrupt JPEG data[^\n]*$/);
  // Two faults at once: the harmless one hides nothing.
  const both = Buffer.concat([damaged.subarray(0, scan), Buffer.from([1, 2, 3]), damaged.subarray(scan)]);
  expect((await refusal(file('both.jpg', both))).message).toContain('Corrupt JPEG data');
});

/** A chunk of a PNG. */
function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

test.each([8, 16])('the colour profile of a picture with %i bits is applied', async (bits) => {
  // Display P3, of which sharp knows the profile; that of sRGB is then known by the matrix between them (CSS Color 4, section 18).
  const p3 = [52_000, 20_000, 26_000];
  const linear = (x: number): number => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const encoded = (x: number): number => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);
  const matrix = [
    [1.2249401762, -0.2249401762, 0],
    [-0.0420569547, 1.0420569547, 0],
    [-0.0196375545, -0.0786360455, 1.0982736001],
  ];
  const expected = matrix.map((row) => 255 * encoded(row.reduce((sum, weight, i) => sum + weight * linear(p3[i]! / 65_535), 0)));

  const raw = { width: 2, height: 2, channels: 3 } as const;
  const stored = (scale: number): number[] => Array.from({ length: 12 }, (_, i) => Math.round(p3[i % 3]! / scale));
  const plain =
    bits === 16
      ? sharp(Uint16Array.from(stored(1)), { raw })
          .toColourspace('rgb16')
          .png()
      : sharp(Uint8Array.from(stored(257)), { raw }).png();
  const png = await plain.toBuffer();
  const profile = (await sharp(await picture.clone().png().withIccProfile('p3').toBuffer()).metadata()).icc!;
  const iccp = chunk('iCCP', Buffer.concat([Buffer.from('p\0\0'), deflateSync(profile)]));
  const header = 33;
  const tagged = Buffer.concat([png.subarray(0, header), iccp, png.subarray(header)]);
  const { samples } = await readPicture(file(`p3-${bits}.png`, tagged));
  for (let i = 0; i < 12; i++) expect(Math.abs(samples[i]! - expected[i % 3]!)).toBeLessThan(1.2);
  // Without a profile, 16 bits are 8 more exact ones.
  const untagged = await readPicture(file(`plain-${bits}.png`, png));
  expect(Math.abs(untagged.samples[0]! - 52_000 / 257)).toBeLessThan(1);
});

test('turned upright as the camera noted', async () => {
  const row = sharp(Uint8Array.of(255, 0, 0, 0, 0, 255), { raw: { width: 2, height: 1, channels: 3 } });
  const path = file('turned.png', await row.png().withMetadata({ orientation: 6 }).toBuffer());
  const read = await readPicture(path);
  expect([read.width, read.height]).toEqual([1, 2]);
  expect([...read.samples]).toEqual([255, 0, 0, 0, 0, 255]);
});

test('too small, too many pixels, empty', async () => {
  const small = file('small.png', await picture.clone().png().toBuffer());
  expect(await readPicture(small, 24)).toMatchObject({ width, height });
  for (const [least, sides] of [
    [25, '25x25'],
    [[24, 41], '24x41'],
  ] as const) {
    expect(await toldLater(readPicture(small, least))).toEqual({
      kind: 'DataError',
      message: `${small} is 24x40 pixels (height x width), and the network sees ${sides}`,
      fix: `give an image of at least ${sides} pixels`,
    });
  }
  const size = Buffer.from([0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10, 8, 2, 0, 0, 0]);
  const png = await picture.clone().png().toBuffer();
  const huge = file('huge.png', Buffer.concat([png.subarray(0, 8), chunk('IHDR', size), png.subarray(33)]));
  expect(await toldLater(readPicture(huge))).toEqual({
    kind: 'DataError',
    message: `${huge} has 100 megapixels, and at most 64 megapixels are read`,
    fix: 'scale it down first: the network sees a few dozen pixels',
  });
  const empty = file('empty.png', '');
  expect(await toldLater(readPicture(empty))).toEqual({
    kind: 'DataError',
    message: `${empty} is empty (0 bytes)`,
    fix: 'give a PNG, JPEG or WebP image',
  });
});

test('special and enormous files are refused without being read', async () => {
  const pipe = join(folder, 'pipe.png');
  execFileSync('mkfifo', [pipe]);
  expect((await refusal(pipe)).message).toBe(`cannot read ${pipe}: it is a pipe, not a file`);
  expect((await refusal('/dev/zero')).message).toBe('cannot read /dev/zero: it is a device, not a file');
  const sparse = file('sparse.png', '');
  truncateSync(sparse, 8_000_000_000);
  expect(await readPicture(sparse).catch(messageOf)).toBe(`cannot read ${sparse}: it has 8.0 GB, and at most 400.0 MB are read`);
});
