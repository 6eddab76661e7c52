/** Files of the user's own networks: damaged, of another kind, and with definitions that no network can be built from. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Family } from '../family.ts';
import { copyFixtures } from '../fixtures.ts';
import { anotherFile, flipped, truncated } from '../mutate-bytes.ts';

const template = readFileSync(fileURLToPath(new URL('../../../templates/model.ts', import.meta.url)), 'utf8').replaceAll(
  'NAME',
  'net',
);

const training = ['--data', 'images:pictures', '--steps', '1', '--batch-size', '4', '--threads', '1'];
const commands: readonly (readonly string[])[] = [
  ['info', 'odd.ts'],
  ['info', 'odd.ts', '--settings'],
  ['train', 'odd.ts', ...training],
  ['bench', 'train', 'odd.ts', '--data', 'images:pictures', '--steps', '1', '--warm-up', '1', '--repetitions', '1'],
];

const begin = "import { count, defineModel } from 'ablate';\nexport default defineModel({ name: 'net',";

/** What a file may export that is no network. */
const wrong: readonly (readonly [what: string, text: string])[] = [
  ['null', 'export default null;'],
  ['a function', 'export default () => 1;'],
  ['a promise that fails', "export default await Promise.reject(new Error('no'));"],
  ['an error without a message', 'throw undefined;'],
  ['an object that throws when it is read', "export default { get name() { throw new Error('read'); } };"],
  [
    'a name with escape sequences',
    "import { defineModel } from 'ablate'; export default defineModel({ name: '\\u001b[31m', layers: (b) => b.input });",
  ],
  [
    'a name that leads elsewhere',
    "import { defineModel } from 'ablate'; export default defineModel({ name: '../../x', layers: (b) => b.input });",
  ],
  ['a build of its own', "export default { name: 'net', settings: {}, build: () => 5 };"],
  ['settings of another kind', `${begin} settings: { a: 5 }, layers: (b) => b.input });`],
  ['a setting of the prototype', `${begin} settings: { ['__proto__']: count(1, '') }, layers: (b) => b.input });`],
  ['the input as logits', `${begin} layers: (b) => b.input });`],
  ['a tensor of another network', `${begin} layers: (b, s, c) => ({ name: 'x', shape: [c] }) });`],
  ['a layer with itself as input', `${begin} layers: (b, s, c) => b.dense('d', { name: 'd', shape: [3] }, { features: c }) });`],
  [
    '10^9 filters',
    `${begin} layers: (b, s, c) => b.dense('d', b.conv('c', b.input, { kernel: 3, filters: 1e9 }), { features: c }) });`,
  ],
  [
    'filters that are no number',
    `${begin} layers: (b, s, c) => b.dense('d', b.conv('c', b.input, { kernel: 3, filters: '8' }), { features: c }) });`,
  ],
  [
    'a kernel of NaN',
    `${begin} layers: (b, s, c) => b.dense('d', b.conv('c', b.input, { kernel: NaN, filters: 8 }), { features: c }) });`,
  ],
  [
    '20,000 layers',
    `${begin} layers(b, s, c) { let x = b.input; for (let i = 0; i < 20000; i++) x = b.activation('r' + i, x, 'relu'); return b.dense('d', x, { features: c }); } });`,
  ],
];

export const codeFiles: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures');
  const args = draw.pick(commands);
  const write = (content: string | Uint8Array) => writeFileSync(join(folder, 'odd.ts'), content);
  const text = new TextEncoder().encode(template);
  switch (draw.below(6)) {
    case 0: {
      const { bytes, what } = truncated(text, draw, [0, 1, 10]);
      write(bytes);
      return { what: `a network's file: ${what}`, args };
    }
    case 1: {
      const { bytes, what } = anotherFile(draw);
      write(bytes);
      return { what: `a network's file: ${what}`, args, refused: true };
    }
    case 2: {
      const { bytes, what } = flipped(text, draw);
      write(bytes);
      return { what: `a network's file: ${what}`, args };
    }
    default: {
      const [what, content] = draw.pick(wrong);
      write(content);
      return { what: `a network's file: ${what}`, args };
    }
  }
};
