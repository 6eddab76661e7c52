import { expect, test } from 'vitest';
import { printable, printableLine } from './printable.ts';

test.each([
  ['\u001b[31mred\u001b[0m', '\\u001b[31mred\\u001b[0m'],
  ['\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
  ['\u009b2J', '\\u009b2J'],
  ['a\rb', 'a\\u000db'],
  ['a\bb\u007f\0', 'a\\u0008b\\u007f\\u0000'],
  ['\u202egnp.exe', '\\u202egnp.exe'],
  ['Zürich 東京 🐶', 'Zürich 東京 🐶'],
  ['a\tb\nc\r\n', 'a\tb\nc\r\n'],
])('%j is shown as %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('in one line nothing ends it', () => {
  expect(printableLine('a\tb\nc\r\nd')).toBe('a\\u0009b\\u000ac\\u000d\\u000ad');
});
