import { describe, expect, test } from 'vitest';
import { Command, InvalidArgumentError } from 'commander';
import {
  integer,
  oneOf,
  parseAssignment,
  parseBytes,
  parseDuration,
  parseLatency,
  parseNames,
  parseNumber,
  requireValues,
} from './options.ts';

test('assignments are gathered by key, and the value may hold "="', () => {
  expect(parseAssignment('note=a=b', parseAssignment('lrn=false', {}))).toEqual({ lrn: false, note: 'a=b' });
});

test.each([
  ['false', false],
  ['0.1', 0.1],
  ['.1', 0.1],
  ['2017', 2017],
  ['[0.5, 0.75]', [0.5, 0.75]],
  ['"64"', '64'],
  ['cosine', 'cosine'],
  ['', ''],
  [' ', ' '],
])('the value %j is %j', (text, value) => {
  expect(parseAssignment(`key=${text}`, {})).toEqual({ key: value });
});

test.each([
  ['mirror', 'mirror'],
  ['none', 'none'],
])('%s is one of a few words', (text, word) => {
  expect(oneOf(['none', 'mirror'])(text)).toBe(word);
});

test.each([
  ['mirorr', 'It must be one of none, mirror. Did you mean "mirror"?'],
  ['', 'It must be one of none, mirror.'],
])('%j is none of them', (text, message) => {
  expect(() => oneOf(['none', 'mirror'])(text)).toThrow(new InvalidArgumentError(message));
});

test.each([
  [0, 5, '0', 0],
  [0, 5, '5', 5],
  [1, Infinity, '1e3', 1000],
])('an integer from %d to %d: %j', (low, high, text, value) => {
  expect(integer(low, high)(text)).toBe(value);
});

test.each([
  [0, 5, '6', 'It must be an integer from 0 to 5.'],
  [1, Infinity, '0', 'It must be a positive integer.'],
  [0, Infinity, '-1', 'It must be an integer of at least 0.'],
])('an integer from %d to %d is not %j', (low, high, text, message) => {
  expect(() => integer(low, high)(text)).toThrow(new InvalidArgumentError(message));
});

test('names have commas between them', () => {
  expect(parseNames('cat, dog,a b')).toEqual(['cat', 'dog', 'a b']);
});

test.each(['lrn', '=false', ' =1', ''])('%j is no assignment', (text) => {
  expect(() => parseAssignment(text, {})).toThrow('It must be key=value');
});

test('a key given twice is refused', () => {
  expect(() => parseAssignment('lrn=true', { lrn: false })).toThrow('"lrn" is given twice');
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

test.each([
  ['0.5', { ms: 0.5 }],
  [' 12 ms ', { ms: 12 }],
  ['1e-3', { ms: 0.001 }],
  ['100ms@m4', { ms: 100, device: 'm4' }],
  ['80@m7@216', { ms: 80, device: 'm7@216' }],
])('%j is a latency', (text, latency) => {
  expect(parseLatency(text)).toEqual(latency);
});

test.each(['', 'ms', 'fast', '-1', '5s', '5@'])('%j is no latency', (text) => {
  expect(() => parseLatency(text)).toThrow('It must be a number of milliseconds');
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

test.each([
  ['90s', 90],
  ['30m', 1800],
  ['2h', 7200],
  ['1h30m', 5400],
  ['1.5h 10s', 5410],
])('%s is a time of %d seconds', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(['', '5', '0s', '-1h', '2 days', '1m1h', 'h', '1e3s', 'Infinityh'])('%j is no time', (text) => {
  expect(() => parseDuration(text)).toThrow('It must be a time above 0, for example 90s, 30m, 2h or 1h30m.');
});
