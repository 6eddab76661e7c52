import { describe, expect, test } from 'vitest';
import { normal, streamKey } from '../util/random.ts';
import { magnitudeMasks, sparsityOfRound, type MagnitudePruning, type WeightsToPrune } from './magnitude-pruning.ts';

const pruning = (change: Partial<MagnitudePruning>): MagnitudePruning => ({
  type: 'magnitude',
  sparsity: 0.8,
  scope: 'global',
  rounds: 4,
  growth: 'cubic',
  rewind: 'rate',
  ...change,
});

test('the sparsity of the rounds grows as published, and ends at what was asked for', () => {
  const rounds = [0, 1, 2, 3];
  // 0.8 * (1 - (3/4)^3), 0.8 * (1 - (2/4)^3), 0.8 * (1 - (1/4)^3), 0.8
  const cubic = rounds.map((round) => sparsityOfRound(pruning({}), round));
  [0.4625, 0.7, 0.7875, 0.8].forEach((expected, round) => expect(cubic[round]).toBeCloseTo(expected, 12));
  // Each round leaves 0.2^(1/4) of the weights.
  const geometric = rounds.map((round) => sparsityOfRound(pruning({ growth: 'geometric' }), round));
  geometric.forEach((sparsity, round) => expect(1 - sparsity).toBeCloseTo(0.2 ** ((round + 1) / 4), 12));
  expect(sparsityOfRound(pruning({ rounds: 1 }), 0)).toBe(0.8);
});

function weights(name: string, length: number, scale = 1): WeightsToPrune {
  const key = streamKey(1, name);
  return { name, values: Float32Array.from({ length }, (_, i) => scale * normal(key, i)) };
}

const zerosOf = (mask: Float32Array): number => mask.filter((bit) => bit === 0).length;

describe('masks', () => {
  const small = weights('small', 400, 0.1);
  const large = weights('large', 600);

  test.each([0, 0.001, 0.5, 0.9, 0.998])('of sparsity %f prune exactly that part, all layers together', (sparsity) => {
    const masks = magnitudeMasks([small, large], sparsity, 'global');
    expect(zerosOf(masks.get('small')!) + zerosOf(masks.get('large')!)).toBe(Math.round(sparsity * 1000));
  });

  test('of each layer prune the same part of all', () => {
    const masks = magnitudeMasks([small, large], 0.75, 'layer');
    expect([...masks.values()].map(zerosOf)).toEqual([300, 450]);
  });

  test('prune the least magnitudes, and globally whichever layer has them', () => {
    const masks = magnitudeMasks([small, large], 0.5, 'global');
    const kept = [small, large].flatMap(({ name, values }) =>
      [...values].filter((_, i) => masks.get(name)![i] === 1).map(Math.abs),
    );
    const pruned = [small, large].flatMap(({ name, values }) =>
      [...values].filter((_, i) => masks.get(name)![i] === 0).map(Math.abs),
    );
    const keptBySmall = zerosOf(masks.get('small')!);
    expect(Math.max(...pruned)).toBeLessThanOrEqual(Math.min(...kept));
    expect(keptBySmall).toBeGreaterThan(zerosOf(masks.get('large')!));
  });

  test('of equal weights prune the first', () => {
    const equal = { name: 'a', values: Float32Array.of(1, -1, 1, -1, 2) };
    expect([...magnitudeMasks([equal], 0.4, 'layer').get('a')!]).toEqual([0, 0, 1, 1, 1]);
  });

  test('keep what is pruned already, though it has grown, and count it', () => {
    const values = Float32Array.of(5, 1, 2, 3);
    const mask = Float32Array.of(0, 1, 1, 1);
    expect([...magnitudeMasks([{ name: 'a', values, mask }], 0.5, 'layer').get('a')!]).toEqual([0, 0, 1, 1]);
    expect([...magnitudeMasks([{ name: 'a', values, mask }], 0, 'layer').get('a')!]).toEqual([0, 1, 1, 1]);
  });

  test('leave no layer without weights, or say that they would', () => {
    const tiny = weights('tiny', 10, 1e-6);
    expect(zerosOf(magnitudeMasks([tiny, large], 0.9, 'global').get('tiny')!)).toBe(9);
    expect(() => magnitudeMasks([tiny, large], 0.999, 'global')).toThrow(
      'pruning.sparsity (=0.999) must be at most 0.9967: 610 weights would leave 1, and one of the 2 layers with none',
    );
    expect(() => magnitudeMasks([tiny, large], 0.96, 'layer')).toThrow(
      'pruning.sparsity (=0.96) must be at most 0.9: 10 weights would leave 0, and tiny with none',
    );
  });
});
