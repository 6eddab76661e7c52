import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { parseAssignment, parseNumber, parsePositiveInteger } from './options.ts';

test('assignments are gathered by key, and the value may hold "="', () => {
  expect(parseAssignment('note=a=b', parseAssignment('lrn=false', {}))).toEqual({ lrn: 'false', note: 'a=b' });
});

test.each(['lrn', '=false', ' =1', ''])('%j is no assignment', (text) => {
  expect(() => parseAssignment(text, {})).toThrow('It must be key=value');
});

test('a key given twice is refused', () => {
  expect(() => parseAssignment('lrn=true', { lrn: 'false' })).toThrow('"lrn" is given twice');
});

test.each(['', ' ', 'ten', '1e999', '0x'])('%j is no number', (text) => {
  expect(() => parseNumber(text)).toThrow(InvalidArgumentError);
});

test.each(['0', '-1', '1.5', 'ten', ''])('%j is no positive integer', (text) => {
  expect(() => parsePositiveInteger(text)).toThrow(InvalidArgumentError);
});
