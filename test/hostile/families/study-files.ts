/** Study files: each field changed, the text cut off, and what is peculiar to YAML. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Draw } from '../draw.ts';
import type { Family } from '../family.ts';
import { copyFixtures } from '../fixtures.ts';
import { damagedText } from '../mutate-bytes.ts';
import { mutateJson } from '../mutate-json.ts';

const commands: readonly (readonly string[])[] = [
  ['study', 'odd.yaml', '--dry-run'],
  ['study', 'odd.yaml', '--dry-run', '--json'],
  ['report', 'odd.yaml'],
];

export const studyFiles: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures');
  const { bytes, what, refused } = mutate(fixtures.study, draw);
  writeFileSync(join(folder, 'odd.yaml'), bytes);
  return { what: `a study file: ${what}`, args: draw.pick(commands), refused };
};

interface Mutated {
  readonly bytes: Uint8Array | string;
  readonly what: string;
  readonly refused: boolean;
}

const aliasBomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\n${'bcdefghijk'
  .split('')
  .map((name, i) => `${name}: &${name} [${Array(10).fill(`*${'abcdefghijk'[i]}`).join(',')}]\n`)
  .join('')}`;

function mutate(study: string, draw: Draw): Mutated {
  const which = draw.below(8);
  const damaged = damagedText(which, study, draw);
  if (damaged !== undefined) return damaged;
  switch (which) {
    case 3: {
      const [what, bytes] = draw.pick(peculiar(study));
      return { bytes, what, refused: true };
    }
    case 4: {
      const [what, bytes] = draw.pick(absurd(study));
      return { bytes, what, refused: true };
    }
    default: {
      const { value, what } = mutateJson(parse(study), draw);
      return { bytes: stringify(value), what, refused: false };
    }
  }
}

/** What YAML allows and nobody means. */
function peculiar(study: string): readonly (readonly [what: string, bytes: Uint8Array | string])[] {
  return [
    ['an alias bomb', `${aliasBomb}${study}`],
    ['an alias bomb as the seeds', `${aliasBomb}${study.replace('[1]', '*k')}`],
    ['a loop of aliases', study.replace('seeds: [1]', 'seeds: &s [*s]')],
    ['Latin-1', Buffer.from(study.replace('odd', 'caf\u00e9'), 'latin1')],
    [
      'half a surrogate in UTF-8',
      Buffer.concat([Buffer.from('title: "'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(`"\n${study}`)]),
    ],
    ['UTF-16', Buffer.from(`\ufeff${study}`, 'utf16le')],
    ['a tag for code', study.replace('[1]', '!!js/function "function () { return 1 }"')],
    ['a tag for bytes', study.replace('name: odd', 'name: !!binary gIGC')],
    ['two documents', `${study}---\n${study}`],
    ['a key twice', `${study}seeds: [2]\n`],
    ['a merge of itself', study.replace('baseline: {', 'baseline: &b { <<: *b,')],
    ['an unknown alias', study.replace('[1]', '*nowhere')],
    ['tabs', study.replaceAll('  ', '\t')],
    ['a null character', study.replace('no LRN', 'no\u0000LRN')],
    ['escape sequences in a name', study.replace('name: odd', 'name: "\\e[31m\\e]0;owned\\a"')],
    ['a prototype', study.replace("recipe: '2017'", '__proto__.learningRate: 0.5')],
    ['a prototype as a key', study.replace("recipe: '2017'", '__proto__: { learningRate: 0.5 }')],
    ['deep lists', study.replace('[1]', `${'['.repeat(50_000)}${']'.repeat(50_000)}`)],
    ['a name that leads elsewhere', study.replace('name: odd', 'name: ../../odd')],
    ['.nan as a rate', study.replace('0.01', '.nan')],
    ['.inf as a rate', study.replace('0.01', '.inf')],
  ];
}

/** More than any machine could train. */
function absurd(study: string): readonly (readonly [what: string, bytes: string])[] {
  const twoLevels = (count: number) =>
    Array.from({ length: count }, (_, i) => `  - { name: f${i}, set: { learningRate: 0.0${i + 1} } }\n`).join('');
  const upTo = study.slice(0, study.indexOf('design:'));
  const huge = Array.from({ length: 20 }, (_, i) => `{ learningRate: 0.${i + 1} }`).join(', ');
  const grid = Array.from({ length: 8 }, (_, i) => `  - { name: g${i}, levels: [${huge}] }\n`).join('');
  const range = (trials: string) =>
    `${upTo}design: random-search\ntrials: ${trials}\nfactors:\n  - { name: r, range: { key: learningRate, low: 0.001, high: 1 } }\nseeds: [1]\n`;
  return [
    ['30 factors, fully crossed', `${upTo}design: factorial\nfactors:\n${twoLevels(30)}seeds: [1]\n`],
    ['10,000 factors', `${upTo}design: one-at-a-time\nfactors:\n${twoLevels(10_000)}seeds: [1]\n`],
    ['a grid of 20^8', `${upTo}design: grid\nfactors:\n${grid}seeds: [1]\n`],
    ['10^9 trials', range('1000000000')],
    ['10^300 trials', range('1e300')],
    ['-1 trials', range('-1')],
    ['a range from high to low', range('2').replace('low: 0.001, high: 1', 'low: 1, high: 0.001')],
    ['200,000 seeds', study.replace('[1]', `[${Array.from({ length: 200_000 }, (_, i) => i).join(', ')}]`)],
    ['a seed of 1e308', study.replace('[1]', '[1e308]')],
    ['a batch of 10^12', study.replace('batchSize: 4', 'batchSize: 1000000000000')],
    ['10^9 filters', study.replace('conv1.filters: 4', 'conv1.filters: 1000000000')],
  ];
}
