import { expect, test } from 'vitest';
import { showValue } from './show-value.ts';

test('text is shown as it is, unless it would be taken for something else', () => {
  const shown: readonly (readonly [unknown, string])[] = [
    ['cosine', 'cosine'],
    ['two words', 'two words'],
    ['64', '"64"'],
    ['1e3', '"1e3"'],
    ['Infinity', '"Infinity"'],
    ['true', '"true"'],
    ['False', '"False"'],
    ['null', '"null"'],
    ['~', '"~"'],
    ['missing', '"missing"'],
    ['.nan', '".nan"'],
    ['[1]', '"[1]"'],
    ['{a', '"{a"'],
    ['"', String.raw`"\""`],
    ['', '""'],
    [' x', '" x"'],
    ['x\n', String.raw`"x\n"`],
    ['a\u001b[31m', String.raw`"a\u001b[31m"`],
  ];
  for (const [value, expected] of shown) expect(showValue(value)).toBe(expected);
});

test('numbers that JSON lacks are not null, wherever they are', () => {
  const shown = [64, -0.5, NaN, Infinity, -Infinity, null, undefined, true].map(showValue);
  expect(shown).toEqual(['64', '-0.5', 'NaN', 'Infinity', '-Infinity', 'null', 'missing', 'true']);
  expect(showValue({ a: [NaN, 'NaN', -Infinity, null], b: { c: Infinity } })).toBe(
    '{"a":[NaN,"NaN",-Infinity,null],"b":{"c":Infinity}}',
  );
});

test('long values are cut', () => {
  expect(showValue('x'.repeat(200))).toBe('x'.repeat(200));
  expect(showValue('x'.repeat(201))).toBe(`${'x'.repeat(200)}...`);
  expect(showValue(Array.from({ length: 1000 }, () => 1))).toHaveLength(203);
});
