import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { parseSeeds } from './several-runs.ts';

describe('--seeds', () => {
  test.each<[string, number[]]>([
    ['1..4', [1, 2, 3, 4]],
    ['5', [5]],
    ['7..7', [7]],
    ['0,2,1', [0, 2, 1]],
    ['1..3,9', [1, 2, 3, 9]],
    [' 1 .. 2 , 4 ', [1, 2, 4]],
  ])('%j', (text, seeds) => {
    expect(parseSeeds(text)).toEqual(seeds);
  });

  test('as many as a thousand', () => {
    expect(parseSeeds('1..1000')).toHaveLength(1000);
    expect(() => parseSeeds('1..1001')).toThrow('may have 1,000 seeds at most');
    expect(() => parseSeeds('1..600,1001..1600')).toThrow('may have 1,000 seeds at most');
    expect(() => parseSeeds('0..9999999999')).toThrow('may have 1,000 seeds at most');
  });

  test.each<[string, string]>([
    ['', 'must be integers of at least 0'],
    ['1,,2', 'must be integers of at least 0'],
    ['1-3', 'must be integers of at least 0'],
    ['-1', 'must be integers of at least 0'],
    ['1.5', 'must be integers of at least 0'],
    ['1...3', 'must be integers of at least 0'],
    ['3..1', 'has the range 3..1, which ends before it begins'],
    ['1..3,2', 'has 2 twice, which would train the same network again'],
  ])('%j is refused', (text, why) => {
    expect(() => parseSeeds(text)).toThrow(ConfigurationError);
    expect(() => parseSeeds(text)).toThrow(`--seeds (=${text}) ${why}`);
  });
});
