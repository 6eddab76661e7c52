import { describe, expect, test } from 'vitest';
import { Command, InvalidArgumentError } from 'commander';
import { parseAssignment, parseBytes, parseNumber, integer, requireValues } from './options.ts';

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
  expect(() => integer(1)(text)).toThrow(InvalidArgumentError);
});

test.each([
  ['96000', 96_000],
  ['96kB', 96_000],
  ['96 KB', 96_000],
  ['1.5MB', 1_500_000],
  ['2m', 2_000_000],
  ['1e5', 100_000],
  ['64KiB', 65_536],
  ['1.5 MiB', 1_572_864],
  ['7B', 7],
])('%s are %i bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each(['', 'kB', '-1', '1TB', '5 apples', '1e999', '1,000'])('%j is no number of bytes', (text) => {
  expect(() => parseBytes(text)).toThrow('It must be a number of bytes');
});

describe('an empty value is refused', () => {
  const command = () =>
    new Command('act')
      .argument('<first>')
      .argument('[rest...]')
      .option('-o, --output <file>')
      .option('--runs-dir <folder>', '', 'runs')
      .option('--flag')
      .action(() => undefined)
      .exitOverride();
  const check =
    (...args: string[]) =>
    () => {
      requireValues(command().parse(args, { from: 'user' }));
    };

  test.each([
    [['a', '--runs-dir', ''], 'the value of --runs-dir is empty'],
    [['a', '-o', ''], 'the value of --output is empty'],
    [['a', '--output='], 'the value of --output is empty'],
    [[''], '<first> is empty'],
    [['a', 'b', ''], '<rest> is empty'],
  ])('%j', (args, message) => {
    expect(check(...args)).toThrow(message);
  });

  test('and all others are not', () => {
    expect(check('a', 'b', ' ', '--flag', '-o', '0')).not.toThrow();
  });
});
