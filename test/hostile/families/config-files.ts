/** Files for `--config`: as somebody wrote them and as runs record them, with each value changed, the text cut off, and what is peculiar to YAML. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Draw } from '../draw.ts';
import type { Family } from '../family.ts';
import { copyFixtures } from '../fixtures.ts';
import { damagedText } from '../mutate-bytes.ts';
import { mutateJson } from '../mutate-json.ts';
import { noWords } from '../values.ts';

const written = `model: tuto
recipe: modern
optimizer: { type: adamw, beta2: 0.99 }
schedule: { type: cosine, warmup: 0.1 }
learningRate: 0.001
steps: 1
batchSize: 4
dataset: images:pictures
augmentation.mixup: 0.2
movingAverage: false
conv1.filters: 4
conv2.filters: 4
dense1: false
dense2: false
`;

/** Flags are stronger: whatever the file says, the training is short. */
const short = ['--steps', '1', '--batch-size', '4', '--threads', '1', '--data', 'images:pictures'];

export const configFiles: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures');
  const recorded = readFileSync(join(fixtures.folder, 'runs/tuto/1/config.json'), 'utf8');
  const { bytes, what, refused, flags = short } = mutate(draw.pick([written, recorded]), draw);
  writeFileSync(join(folder, 'odd.yaml'), bytes);
  return { what: `a file of keys: ${what}`, args: ['train', '--config', 'odd.yaml', ...flags], refused };
};

interface Mutated {
  readonly bytes: Uint8Array | string;
  readonly what: string;
  readonly refused: boolean;
  readonly flags?: readonly string[];
}

function mutate(original: string, draw: Draw): Mutated {
  const which = draw.below(9);
  const damaged = damagedText(which, original, draw);
  if (damaged !== undefined) return damaged;
  switch (which) {
    case 3:
    case 4: {
      const [what, bytes] = draw.pick(peculiar);
      return { bytes, what, refused: true };
    }
    case 5:
    case 6: {
      const [key, value] = draw.pick(wrong);
      // The last of two flags of one name would count: none is given.
      return { bytes: replaced(key, value), what: `${key}: ${value.slice(0, 60)}`, refused: true, flags: [] };
    }
    default: {
      const { value, what } = mutateJson(parse(original), draw);
      return { bytes: stringify(value), what, refused: false };
    }
  }
}

/** The file with another value of a key. */
function replaced(key: string, value: string): string {
  const others = written.split('\n').filter((line) => !line.startsWith(`${key}:`) && !line.startsWith(`${key}.`));
  return `${key}: ${value}\n${others.join('\n')}`;
}

const wrong: readonly (readonly [key: string, value: string])[] = [
  ...['.nan', '.inf', '-1', '0', '1e400', '"0.1"', '[0.1]', '{}', 'yes please'].map((value) => ['learningRate', value] as const),
  ...['-1', '0', '1.5', '1e300', '2147483648', '9007199254740993', '"3"', '[3]'].map((value) => ['steps', value] as const),
  ...['-1', '0', '1.5', '1e12', '.nan'].map((value) => ['batchSize', value] as const),
  ...['0', '-3', '1000000000', '[4]', 'null'].map((value) => ['conv1.filters', value] as const),
  ...['{ type: cosine, warmup: 1 }', '{ type: [cosine] }', '3', '[cosine]'].map((value) => ['schedule', value] as const),
  ...['{ type: adamw, momentum: 0.9 }', '{ type: adam }', '{}', 'null', '[]'].map((value) => ['optimizer', value] as const),
  ...['/dev/zero', 'images:', 'images:.', 'images:pictures?size=0', 'images:pictures?sise=9', './none.ts', '3', '[cifar10]'].map(
    (value) => ['dataset', value] as const,
  ),
  ...['./none.ts', '/dev/zero', '/dev/full.ts', '.', '[]'].map((value) => ['augmentWith', value] as const),
  ...['./none.ts', '../odd.yaml', '[tuto]', '3', '{ name: tuto }'].map((value) => ['model', value] as const),
  ...['none/1', '/dev/zero', 'pictures'].flatMap((value) => [['init', value] as const, ['teacher', value] as const]),
  ...noWords.flatMap((word) => [['model', JSON.stringify(word)] as const, ['recipe', JSON.stringify(word)] as const]),
];

/** What YAML allows and nobody means. */
const peculiar: readonly (readonly [what: string, bytes: Uint8Array | string])[] = [
  ['an alias bomb', `${aliasBomb()}${written}`],
  ['an alias bomb as a rate', `${aliasBomb()}${written.replace('0.001', '*k')}`],
  ['a loop of aliases', written.replace('{ type: cosine', '&s { more: *s, type: cosine')],
  ['Latin-1', Buffer.from(`# caf\u00e9\n${written}`, 'latin1')],
  ['UTF-16', Buffer.from(`\ufeff${written}`, 'utf16le')],
  ['a tag for code', written.replace('0.001', '!!js/function "function () { return 1 }"')],
  ['a tag for bytes', written.replace('model: tuto', 'model: !!binary gIGC')],
  ['two documents', `${written}---\n${written}`],
  ['a key twice', `${written}learningRate: 0.1\n`],
  ['a key twice, once with dots', `${written}schedule.warmup: 2\n`],
  ['a merge of itself', written.replace('{ type: cosine', '&b { <<: *b, type: cosine')],
  ['an unknown alias', written.replace('0.001', '*nowhere')],
  ['a null character', written.replace('tuto', 'tu\u0000to')],
  ['escape sequences in a key', `${written}"\\e[31mred": 1\n`],
  ['a prototype', `${written}__proto__: { learningRate: 0.5 }\n`],
  ['a prototype with dots', `${written}__proto__.learningRate: 0.5\n`],
  ['a constructor', `${written}constructor: 1\n`],
  ['deep lists', `${written}augmentation: ${'['.repeat(50_000)}${']'.repeat(50_000)}\n`],
  ['a list as a key', `${written}? [a, b]\n: 1\n`],
  ['10,000 keys', `${written}${Array.from({ length: 10_000 }, (_, i) => `key${i}: ${i}\n`).join('')}`],
  ['a list', '- model: tuto\n'],
  ['no value', written.replace('0.001', '')],
];

function aliasBomb(): string {
  const names = 'abcdefghijk';
  const lines = Array.from(names.slice(1)).map((name, i) => `${name}: &${name} [${Array(10).fill(`*${names[i]!}`).join(',')}]\n`);
  return `a: &a [x,x,x,x,x,x,x,x,x,x]\n${lines.join('')}`;
}
