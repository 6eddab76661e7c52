/** Pictures: chunks and markers changed, cut off, absurd sizes, other files under the name; alone and within a data set. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { Draw } from '../draw.ts';
import type { Family } from '../family.ts';
import { copyFixtures } from '../fixtures.ts';
import { anotherFile, flipped, truncated } from '../mutate-bytes.ts';

const names = [
  'odd.png',
  'odd.jpg',
  'odd.webp',
  'odd.gif',
  'odd.jpeg',
  'ODD.PNG',
  'odd\u001b[31m.png',
  'odd\nline.png',
  'x'.repeat(240) + '.png',
];

export const pictures: Family = async ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures', 'model.onnx');
  const { bytes, what, refused } = await mutate(fixtures.picture, draw);
  const name = draw.pick(names);
  switch (draw.below(4)) {
    case 0: {
      writeFileSync(join(folder, 'pictures/train/a', name), bytes);
      const args = ['train', 'tuto', '--data', 'images:pictures', '--steps', '1', '--batch-size', '4', '--threads', '1'];
      return { what: `a picture of a data set: ${what}`, args };
    }
    case 1: {
      writeFileSync(join(folder, 'pictures/test/b', name), bytes);
      return {
        what: `a picture of a data set: ${what}`,
        args: ['data', 'show', 'images:pictures', '-o', 'sheet.png', '--rows', '1'],
      };
    }
    case 2: {
      const { layout, made } = oddLayout(folder, draw);
      return { what: layout, args: ['data', 'show', 'images:set'], refused: made };
    }
    default: {
      writeFileSync(join(folder, name), bytes);
      return { what: `a picture: ${what}`, args: ['label', 'model.onnx', name, '--runs', '1'], refused };
    }
  }
};

async function mutate(png: Uint8Array, draw: Draw): Promise<{ bytes: Uint8Array; what: string; refused: boolean }> {
  const source = draw.below(3);
  const picture = sharp(png).resize(64, 64);
  const [kind, bytes] =
    source === 0
      ? (['PNG', await picture.png().toBuffer()] as const)
      : source === 1
        ? (['JPEG', await picture.jpeg().toBuffer()] as const)
        : (['WebP', await picture.webp().toBuffer()] as const);
  switch (draw.below(6)) {
    case 0: {
      const { bytes: short, what } = truncated(bytes, draw, [0, 2, 8, 12, 33, 100]);
      return { bytes: short, what: `${kind} ${what}`, refused: short.length < bytes.length / 2 };
    }
    case 1:
      return { ...anotherFile(draw), refused: true };
    case 2: {
      const { bytes: odd, what } = flipped(bytes, draw, 0, Math.min(64, bytes.length));
      return { bytes: odd, what: `${kind} ${what}`, refused: false };
    }
    case 3: {
      const { bytes: odd, what } = flipped(bytes, draw, 20);
      return { bytes: odd, what: `${kind} ${what}`, refused: false };
    }
    case 4: {
      const sides = [0, 1, 2, 23, 16_384, 30_000, 65_535, 2 ** 31 - 1, 2 ** 32 - 1];
      const [width, height] = [draw.pick(sides), draw.pick(sides)];
      return { bytes: blankPng(width, height), what: `PNG that says ${width}x${height}`, refused: true };
    }
    default:
      return { ...(await another(png, draw)), refused: false };
  }
}

/** Kinds that people have under any name. */
async function another(png: Uint8Array, draw: Draw): Promise<{ bytes: Uint8Array; what: string }> {
  const picture = sharp(png).resize(40, 40);
  switch (draw.below(4)) {
    case 0:
      return { bytes: await picture.gif().toBuffer(), what: 'GIF' };
    case 1:
      return { bytes: await picture.tiff().toBuffer(), what: 'TIFF' };
    case 2: {
      const reference = '<!ENTITY a "&b;&b;&b;"><!ENTITY b "xxxxxxxx">';
      const svg = `<?xml version="1.0"?><!DOCTYPE svg [${reference}]><svg xmlns="http://www.w3.org/2000/svg" width="90000" height="90000"><image href="file:///etc/passwd"/><text>&a;</text></svg>`;
      return { bytes: new TextEncoder().encode(svg), what: 'SVG of 90,000 pixels' };
    }
    default:
      return {
        bytes: await picture.toColourspace('b-w').png({ palette: true, colours: 2 }).toBuffer(),
        what: 'PNG of two colours',
      };
  }
}

/** Pixels that are all zero, as many as a small file can say. */
function blankPng(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const data = deflateSync(Buffer.alloc(Math.min(50_000_000, (1 + 3 * width) * height || 1)), { level: 1 });
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const ends = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  ends.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, ends]);
}

function oddLayout(folder: string, draw: Draw): { readonly layout: string; readonly made: boolean } {
  const set = join(folder, 'set');
  const file = (path: string) => {
    mkdirSync(join(set, path, '..'), { recursive: true });
    writeFileSync(join(set, path), '');
  };
  mkdirSync(set);
  switch (draw.below(6)) {
    case 0:
      return { layout: 'a data set without anything', made: true };
    case 1:
      file('train');
      file('test');
      return { layout: 'a data set whose splits are files', made: true };
    case 2:
      for (let i = 0; i < 300; i++) file(`train/class ${i}/0.png`);
      return { layout: 'a data set of 300 classes of empty files', made: true };
    case 3:
      mkdirSync(join(set, 'train/a'), { recursive: true });
      mkdirSync(join(set, 'test/b'), { recursive: true });
      return { layout: 'a data set with other classes in each split', made: true };
    case 4:
      file('train/a/0.png');
      file('test/a/0.png');
      return { layout: 'a data set of one class', made: true };
    default:
      file('train/a/0.png');
      rmSync(join(set, 'train/a/0.png'));
      mkdirSync(join(set, 'train/a/0.png'));
      return { layout: 'a data set in which a folder is called 0.png', made: true };
  }
}
