import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { mendJpeg } from './mend-jpeg.ts';

const [width, height] = [40, 24];
const pixels = Buffer.from(Array.from({ length: width * height * 3 }, (_, i) => 128 + 100 * Math.sin(i / 97)));
const picture = sharp(pixels, { raw: { width, height, channels: 3 } });

/** A segment of the application's data that says JFIF, behind the start marker. */
function withJfif(jpeg: Buffer, major: number, minor: number): Buffer {
  const segment = Buffer.from([0xff, 0xe0, 0, 16, ...Buffer.from('JFIF\0'), major, minor, 0, 0, 1, 0, 1, 0, 0]);
  return Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
}

function inserted(jpeg: Buffer, at: number, bytes: readonly number[]): Buffer {
  return Buffer.concat([jpeg.subarray(0, at), Buffer.from(bytes), jpeg.subarray(at)]);
}

/** Of the last marker of a kind. */
const place = (jpeg: Buffer, kind: number): number => jpeg.lastIndexOf(Buffer.from([0xff, kind]));

/** As strict as the reader: any warning of the decoder is an error. */
async function decode(jpeg: Uint8Array): Promise<Buffer> {
  return await sharp(jpeg).raw().toBuffer();
}

let baseline: Buffer;
let progressive: Buffer;
let right: Buffer;
beforeAll(async () => {
  baseline = await picture.clone().jpeg({ quality: 90 }).toBuffer();
  progressive = await picture.clone().jpeg({ quality: 90, progressive: true }).toBuffer();
  right = await decode(baseline);
  expect(await decode(progressive)).toEqual(right);
});

test('a sound file stays as it is, byte for byte', async () => {
  const large = await sharp({
    create: { width: 300, height: 300, channels: 3, background: 'red', noise: { type: 'gaussian', mean: 128, sigma: 30 } },
  })
    .jpeg({ quality: 95 })
    .withExif({ IFD0: { Copyright: 'nobody' } })
    .withIccProfile('p3')
    .toBuffer();
  for (const jpeg of [baseline, progressive, withJfif(baseline, 1, 1), withJfif(baseline, 2, 0), large]) {
    expect(Buffer.from(mendJpeg(jpeg))).toEqual(jpeg);
  }
});

test.each([0, 3, 255])('JFIF of the version %i is read as 1.02', (major) => {
  expect(Buffer.from(mendJpeg(withJfif(baseline, major, 0)))).toEqual(withJfif(baseline, 1, 2));
});

test('the decoder refuses each of these, and gives the right pixels once they are mended', async () => {
  const scan = place(baseline, 0xda);
  const parameters = Buffer.from(baseline);
  parameters.set([1, 0, 0x11], scan + 2 + parameters.readUInt16BE(scan + 2) - 3);
  const faulty = {
    parameters,
    'bytes before a table': inserted(baseline, place(baseline, 0xdb), [1, 2, 3]),
    'bytes with a stuffed one before the scan': inserted(baseline, scan, [0, 0xff, 0, 7]),
    'bytes before the first segment': inserted(baseline, 2, [9]),
    'bytes before a progressive table': inserted(progressive, progressive.indexOf(Buffer.from([0xff, 0xc4])), [1, 2, 3, 4, 5]),
  };
  for (const [name, jpeg] of Object.entries(faulty)) {
    await expect(decode(jpeg), name).rejects.toThrow(/extraneous|Invalid SOS/);
    expect(await decode(mendJpeg(jpeg)), name).toEqual(right);
  }
});

test('bytes that fill before a marker, and restarts, belong to the file', async () => {
  const filled = inserted(baseline, place(baseline, 0xdb), [0xff, 0xff]);
  expect(await decode(mendJpeg(filled))).toEqual(right);
  const scan = place(baseline, 0xda);
  const end = scan + 2 + baseline.readUInt16BE(scan + 2);
  const restarts = inserted(baseline, end + 10, [0xff, 0xd0, 0xff, 0xd7, 0xff, 0]);
  expect(Buffer.from(mendJpeg(restarts))).toEqual(restarts);
});

test('what follows the end of the picture stays, whatever it looks like; so do the scan parameters of a progressive file', () => {
  const followed = Buffer.concat([progressive, withJfif(baseline, 0, 0).subarray(2)]);
  expect(Buffer.from(mendJpeg(followed))).toEqual(followed);
});

test('a file whose segments cannot be followed is left to the decoder', () => {
  const table = place(baseline, 0xdb);
  const lengthTooShort = Buffer.from(baseline);
  lengthTooShort.writeUInt16BE(1, table + 2);
  const lengthTooLong = Buffer.from(baseline);
  lengthTooLong.writeUInt16BE(0xffff, table + 2);
  const cuts = [2, 3, 4, 5, table + 1, table + 2, table + 3].map((length) => withJfif(baseline, 0, 0).subarray(0, length));
  for (const broken of [lengthTooShort, lengthTooLong, inserted(baseline, 2, [0xff, 0xd8]), ...cuts]) {
    expect(mendJpeg(broken).length).toBeLessThanOrEqual(broken.length);
    if (broken.length > 2) expect(mendJpeg(broken)).toBe(broken);
  }
});

/** A segment with its marker and length. */
const segment = (kind: number, ...contents: readonly number[]) => [0xff, kind, 0, contents.length + 2, ...contents];
const jfif = (...version: readonly number[]) => [...Buffer.from('JFIF\0'), ...version];
const begin = [0xff, 0xd8];
const end = [0xff, 0xd9];
const mended = (...parts: readonly (readonly number[])[]) => [...mendJpeg(Uint8Array.from(parts.flat()))];

test.each([0xc0, 0xc1])(
  'every scan of a file with the frame 0x%i is mended: its data end at a marker that is none of theirs',
  (frame) => {
    const data = [1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd7, 4];
    const file = (parameters: readonly number[], garbage: readonly number[]) => {
      const scan = [...segment(0xda, 1, ...parameters), ...data];
      return [begin, segment(frame, 5), scan, scan, segment(0xc4, 6), garbage, scan, end];
    };
    expect(mended(...file([9, 9, 9], [7, 0xff, 0]))).toEqual(file([0, 63, 0], []).flat());
    // The data may also end with the file.
    expect(mended(...file([9, 9, 9], []).slice(0, -1))).toEqual(file([0, 63, 0], []).slice(0, -1).flat());
  },
);

test('a version is that of a JFIF segment alone, which may end behind it', () => {
  const others = [
    segment(0xfe, ...jfif(0, 0)),
    segment(0xe0, ...jfif(0)),
    segment(0xe0, ...Buffer.from('JFXX\0'), 0, 0),
    segment(0xe0, ...jfif(2, 7)),
  ];
  expect(mended(begin, ...others, segment(0xe0, ...jfif(0, 0)), end)).toEqual(
    [begin, ...others, segment(0xe0, ...jfif(1, 2)), end].flat(),
  );
});

test('an empty segment may end the file; bytes that fill are no segment', () => {
  expect(mended(begin, [7], segment(0xfe))).toEqual([begin, segment(0xfe)].flat());
  expect(mended(begin, [0xff, 0xff], segment(0xfe, 1), [7], end)).toEqual([begin, segment(0xfe, 1), end].flat());
});

test('a second picture within is left to the decoder', () => {
  const nested = [begin, segment(0xd8, 1), segment(0xe0, ...jfif(0, 0)), end];
  expect(mended(...nested)).toEqual(nested.flat());
});
