/** Files of the user's own augmentation: damaged, of another kind, and with functions that do what they must not; and odd strengths of the built-in ones. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Family } from '../family.ts';
import { copyFixtures, tinyNetwork } from '../fixtures.ts';
import { anotherFile, flipped, truncated } from '../mutate-bytes.ts';

const template = readFileSync(fileURLToPath(new URL('../../../templates/augmentation.ts', import.meta.url)), 'utf8').replaceAll(
  'NAME',
  'mine',
);

const training = ['train', 'tuto', '--data', 'images:pictures', '--steps', '1', '--batch-size', '4', '--threads', '1'];
const network = tinyNetwork.flatMap((setting) => ['--set', setting]);
const withFile = [...training, ...network, '--augment-with', 'odd.ts'];

const applying = (body: string): string =>
  `import { defineAugmentation, number } from 'ablate';\nexport default defineAugmentation({ name: 'mine', apply(image, random) { ${body} } });`;
const defining = (more: string): string =>
  `import { defineAugmentation, number } from 'ablate';\nexport default defineAugmentation({ ${more} });`;

/** What a file may do that must be refused. */
const wrong: readonly (readonly [what: string, text: string])[] = [
  ['null', 'export default null;'],
  ['nothing', ''],
  ['a function', 'export default () => 1;'],
  ['a promise that fails', "export default await Promise.reject(new Error('no'));"],
  ['an error without a message', 'throw undefined;'],
  ['an object that throws when it is read', "export default { get name() { throw new Error('read'); } };"],
  ['a symbol', 'export default Symbol();'],
  ['no function', defining("name: 'mine'")],
  ['a name with escape sequences', defining("name: '\\u001b[31m', apply() {}")],
  ['settings of another kind', defining("name: 'mine', settings: { a: 5 }, apply() {}")],
  ['a default that is no number', defining("name: 'mine', settings: { a: number(NaN, '') }, apply() {}")],
  ['what is no part of such files', "import { train } from 'ablate';\nexport default train;"],
  ['NaN', applying('image.pixels.fill(NaN);')],
  ['an infinite pixel', applying('image.pixels[image.pixels.length - 1] = -Infinity;')],
  ['fewer pixels', applying('return image.pixels.subarray(1);')],
  ['bytes', applying('return new Uint8Array(image.pixels.length);')],
  ['a promise', applying('return Promise.resolve();')],
  ['a bigint', applying('return 5n;')],
  ['a proxy that throws', applying("return new Proxy({}, { get() { throw new Error('got'); } });")],
  ['text with escape sequences', applying("throw new Error('\\u001b[31mred');")],
  ['undefined thrown', applying('throw undefined;')],
  ['recursion without end', applying('const again = () => again() + 1; again();')],
  ['other draws', applying('image.pixels[0] = Math.random();')],
  ['a wrong draw', applying('image.pixels[0] = random.integer(-1);')],
  ['pixels in place of others', applying('image.pixels = new Float32Array(3);')],
  ['pixels that are taken away', applying('structuredClone(image.pixels.buffer, { transfer: [image.pixels.buffer] });')],
];

const strengths = ['-1', 'NaN', '1e9', '0.001', 'null', '[1]', 'true', '""', '"1"'];

export const augmentationFiles: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures');
  const write = (content: string | Uint8Array) => writeFileSync(join(folder, 'odd.ts'), content);
  const text = new TextEncoder().encode(template);
  const what = "an augmentation's file";
  switch (draw.below(6)) {
    case 0: {
      const made = truncated(text, draw, [0, 1, 10]);
      write(made.bytes);
      return { what: `${what}: ${made.what}`, args: withFile };
    }
    case 1: {
      const made = anotherFile(draw);
      write(made.bytes);
      return { what: `${what}: ${made.what}`, args: withFile, refused: true };
    }
    case 2: {
      const made = flipped(text, draw);
      write(made.bytes);
      return { what: `${what}: ${made.what}`, args: withFile };
    }
    case 3: {
      const given = `augmentation.${draw.pick(['mixup', 'cutmix'])}=${draw.pick(strengths)}`;
      return { what: given, args: [...training, ...network, '--set', given], refused: true };
    }
    default: {
      const [problem, content] = draw.pick(wrong);
      write(content);
      return { what: `${what}: ${problem}`, args: withFile, refused: true };
    }
  }
};
