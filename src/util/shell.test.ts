import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { quoted } from './shell.ts';

test.each([
  ['runs/tuto/1', 'runs/tuto/1'],
  ['lrn=false', 'lrn=false'],
  ['', "''"],
  ['my runs/tuto/1', "'my runs/tuto/1'"],
  ["it's", `'it'\\''s'`],
  ['$(touch x)', "'$(touch x)'"],
  ['<run>', "'<run>'"],
])('%j is %s', (text, word) => {
  expect(quoted(text)).toBe(word);
});

test('a shell reads back what was quoted', () => {
  const words = ['a b', "'", '"', '\\', '$HOME', '*', 'a\nb', '`id`', '', '~', 'ü', '-x', '!', ';'];
  const printed = execFileSync('sh', ['-c', `printf '%s\\0' ${words.map(quoted).join(' ')}`], { encoding: 'utf8' });
  expect(printed.split('\0').slice(0, -1)).toEqual(words);
});
