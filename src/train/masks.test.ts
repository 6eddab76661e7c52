import { expect, test } from 'vitest';
import { fill } from '../../test/arrays.ts';
import { createPlainArena } from '../engine/reference/arena.ts';
import { vectorMath } from '../engine/reference/vector-math.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { checkpointFormat } from '../runs/checkpoint-weights.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { createMasks, hasMasks, masksAmong, prunableEntries, requireMasks, withItsMasks, withMasks } from './masks.ts';

const tensor = (...data: number[]): Tensor => ({ shape: [data.length], data: Float32Array.from(data) });
const tensors = (named: Readonly<Record<string, Tensor>>): Map<string, Tensor> => new Map(Object.entries(named));

/** Frozen filters, a convolution and a dense layer with biases, and what normalizes. */
function arenaOfAllKinds() {
  const net = new NetworkBuilder('net', [1, 2, 2]);
  const frozen = net.conv('frozen', net.input, { filters: 1, kernel: 1, frozen: true });
  const norm = net.batchNorm('norm', net.conv('conv', frozen, { filters: 1, kernel: 1 }));
  return createPlainArena(net.build(net.dense('logits', norm, { features: 2 })).parameters, { gradients: true });
}

test('weights of convolutions and dense layers can be pruned: not frozen ones, not biases, not what normalizes', () => {
  expect(prunableEntries(arenaOfAllKinds()).map(({ spec }) => spec.name)).toEqual(['conv.weight', 'logits.weight']);
});

test('new masks prune nothing; a zero in them clears that element and its gradient, and no other', async () => {
  const arena = arenaOfAllKinds();
  const { values, maskGradients, clear } = await createMasks({ parameters: arena, vectorMath });
  expect(new Set(await values.read())).toEqual(new Set([1]));
  const logits = arena.entries.find(({ spec }) => spec.name === 'logits.weight')!;
  await arena.write(logits, Float32Array.of(1, 0, 1, 1, 1, 1, 0, 1), values);
  await fill(arena.gradients, -3);
  await fill(arena.values, -2);
  maskGradients();
  clear(arena.values);
  const expected = (value: number): number[] => {
    const all = new Array<number>(arena.length).fill(value);
    for (const at of [1, 6]) all[logits.offset + at] = 0;
    return all;
  };
  // No -0, which would be other bytes in a checkpoint.
  expect([...(await arena.values.read())]).toEqual(expected(-2));
  expect((await arena.gradients.read()).map((value) => value + 0)).toEqual(Float32Array.from(expected(-3)));
});

test('masks are among the tensors by their prefix, and are of 0 and 1', () => {
  const weights = tensors({ 'a.weight': tensor(0, 2), 'unmask.': tensor(1) });
  const masks = tensors({ 'a.weight': tensor(0, 1) });
  const both = withMasks(weights, masks);
  expect([...both.keys()]).toEqual(['a.weight', 'unmask.', 'mask.a.weight']);
  expect([hasMasks(weights), hasMasks(both)]).toEqual([false, true]);
  expect(masksAmong(weights)).toEqual(new Map());
  expect(masksAmong(both)).toEqual(masks);
  expect(() => requireMasks(both, 'a file')).not.toThrow();
  const wrong = withMasks(weights, tensors({ 'a.weight': tensor(1, 0.5) }));
  expect(() => requireMasks(wrong, 'a file')).toThrow(
    expect.objectContaining({
      name: 'DataError',
      message: 'a file is damaged: mask.a.weight has the value 0.5, and masks have 0 for pruned weights and 1 for others',
      fix: 'use another file, or an earlier checkpoint',
    }) as Error,
  );
});

test('the zeros of a file of weights alone are its masks; a layer of nothing but zeros is not pruned', () => {
  const weights = tensors({ 'a.weight': tensor(0, 2, -1), 'b.weight': tensor(0, 0), 'a.bias': tensor(0, 5) });
  const file = { tensors: weights, metadata: { model: 'tuto' } };
  const found = withItsMasks(file, 'a file');
  expect(found.metadata).toBe(file.metadata);
  expect([...found.tensors.keys()]).toEqual(['a.weight', 'b.weight', 'a.bias', 'mask.a.weight', 'mask.b.weight']);
  expect(masksAmong(found.tensors)).toEqual(tensors({ 'a.weight': tensor(0, 1, 1), 'b.weight': tensor(1, 1) }));
  for (const as of [
    // It has masks, which are right.
    { ...file, tensors: withMasks(weights, tensors({ 'a.weight': tensor(1, 1, 1) })) },
    // A checkpoint without masks was never pruned.
    { ...file, metadata: { format: checkpointFormat } },
    // Nothing in it is pruned.
    { ...file, tensors: tensors({ 'a.weight': tensor(1, 2), 'b.weight': tensor(0, 0), 'a.bias': tensor(0, 5) }) },
  ]) {
    expect(withItsMasks(as, 'a file')).toBe(as);
  }
});

test('where a file of weights has moving averages, their zeros count', () => {
  const file = { tensors: tensors({ 'a.weight': tensor(0, 2), 'ema.a.weight': tensor(3, 0) }), metadata: {} };
  expect(masksAmong(withItsMasks(file, 'a file').tensors)).toEqual(tensors({ 'a.weight': tensor(1, 0) }));
});
