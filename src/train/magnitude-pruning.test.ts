import { describe, expect, test } from 'vitest';
import { normal, streamKey } from '../util/random.ts';
import { createPlainArena } from '../engine/reference/arena.ts';
import { NetworkBuilder } from '../nn/network.ts';
import {
  magnitudeMasks,
  requirePrunable,
  requireSparsity,
  sparsityOfRound,
  zerosIn,
  type MagnitudePruning,
  type WeightsToPrune,
} from './magnitude-pruning.ts';

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

describe('masks', () => {
  const small = weights('small', 400, 0.1);
  const large = weights('large', 600);

  test.each([0, 0.001, 0.5, 0.9, 0.998])('of sparsity %f prune exactly that part, all layers together', (sparsity) => {
    const masks = magnitudeMasks([small, large], sparsity, 'global');
    expect(zerosIn(masks.get('small')!) + zerosIn(masks.get('large')!)).toBe(Math.round(sparsity * 1000));
  });

  test('of each layer prune the same part of all', () => {
    const masks = magnitudeMasks([small, large], 0.75, 'layer');
    expect([...masks.values()].map(zerosIn)).toEqual([300, 450]);
  });

  test('prune the least magnitudes, and globally whichever layer has them', () => {
    const masks = magnitudeMasks([small, large], 0.5, 'global');
    const kept = [small, large].flatMap(({ name, values }) =>
      [...values].filter((_, i) => masks.get(name)![i] === 1).map(Math.abs),
    );
    const pruned = [small, large].flatMap(({ name, values }) =>
      [...values].filter((_, i) => masks.get(name)![i] === 0).map(Math.abs),
    );
    const keptBySmall = zerosIn(masks.get('small')!);
    expect(Math.max(...pruned)).toBeLessThanOrEqual(Math.min(...kept));
    expect(keptBySmall).toBeGreaterThan(zerosIn(masks.get('large')!));
  });

  test('of equal weights prune the first', () => {
    const equal = { name: 'a', values: Float32Array.of(1, -1, 1, -1, 2) };
    expect([...magnitudeMasks([equal], 0.4, 'layer').get('a')!]).toEqual([0, 0, 1, 1, 1]);
    // One is smaller than these: of seven, four are pruned, three of them equals.
    const more = { name: 'a', values: Float32Array.of(1, 0.5, -1, 1, 2, 1, 3) };
    expect([...magnitudeMasks([more], 4 / 7, 'layer').get('a')!]).toEqual([0, 0, 0, 0, 1, 1, 1]);
    // The largest, which is kept, is the first of the largest.
    const largest = { name: 'a', values: Float32Array.of(2, -2) };
    expect([...magnitudeMasks([largest], 0.5, 'layer').get('a')!]).toEqual([1, 0]);
  });

  test('keep what is pruned already, though it has grown, and count it', () => {
    const values = Float32Array.of(5, 1, 2, 3);
    const mask = Float32Array.of(0, 1, 1, 1);
    expect([...magnitudeMasks([{ name: 'a', values, mask }], 0.5, 'layer').get('a')!]).toEqual([0, 0, 1, 1]);
    expect([...magnitudeMasks([{ name: 'a', values, mask }], 0, 'layer').get('a')!]).toEqual([0, 1, 1, 1]);
  });

  test('leave no layer without weights, or say that they would', () => {
    const tiny = weights('tiny', 10, 1e-6);
    expect(zerosIn(magnitudeMasks([tiny, large], 0.9, 'global').get('tiny')!)).toBe(9);
    expect(() => magnitudeMasks([tiny, large], 0.999, 'global')).toThrow(
      'pruning.sparsity (=0.999) must be at most 0.9967: 610 weights would leave 1, and one of the 2 layers with none',
    );
    expect(() => magnitudeMasks([tiny, large], 0.96, 'layer')).toThrow(
      'pruning.sparsity (=0.96) must be at most 0.9: 10 weights would leave 0, and tiny with none',
    );
  });
});

describe('before the first step', () => {
  const counted = (name: string, length: number, zeros: number) => ({ name, length, zeros });

  test('a network without weights, layers that would be cut, and weights that would come back are refused', () => {
    expect(() => requireSparsity([], pruning({}))).toThrow('the network has no weights that can be pruned');
    const two = [counted('small', 10, 2), counted('large', 30, 18)];
    // All together may keep two of forty, which each layer by itself may not.
    expect(() => requireSparsity(two, pruning({ sparsity: 0.95 }))).not.toThrow();
    expect(() => requireSparsity(two, pruning({ sparsity: 0.95, scope: 'layer' }))).toThrow(
      'pruning.sparsity (=0.95) must be at most 0.9: 10 weights would leave 0, and small with none',
    );
    expect(() => requireSparsity(two, pruning({ sparsity: 0.98 }))).toThrow(
      'pruning.sparsity (=0.98) must be at most 0.95: 40 weights would leave 1, and one of the 2 layers with none',
    );
    // Half of the forty are pruned already.
    expect(() => requireSparsity(two, pruning({ sparsity: 0.5 }))).not.toThrow();
    expect(() => requireSparsity(two, pruning({ sparsity: 0.49 }))).toThrow(
      'pruning.sparsity (=0.49) must be above 0.5000, the sparsity of the weights it starts from',
    );
  });

  test('what counts are the weights of the network and the zeros of their masks', async () => {
    const net = new NetworkBuilder('net', [1, 2, 2]);
    const network = net.build(net.dense('logits', net.input, { features: 2 }));
    const arena = createPlainArena(network.parameters, { gradients: true });
    const refused = (sparsity: number, masks = true) =>
      requirePrunable(arena, pruning({ sparsity }), masks ? arena.values : undefined);
    const [weight] = arena.entries;
    await arena.write(weight!, Float32Array.of(0, 1, 0, 1, 1, 1, 0, 1), arena.values);
    await expect(refused(0.37)).rejects.toThrow('must be above 0.3750, the sparsity of the weights it starts from');
    await refused(0.38);
    await refused(0, false);
    await expect(refused(0.95)).rejects.toThrow('at most 0.875: 8 weights would leave 0, and logits.weight with none');
  });
});
