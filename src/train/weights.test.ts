import { describe, expect, test } from 'vitest';
import { change } from '../../test/arrays.ts';
import { createPlainArena } from '../engine/reference/arena.ts';
import { NetworkBuilder } from '../nn/network.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { DataError } from '../util/errors.ts';
import {
  copyParameters,
  loadInto,
  loadWeights,
  modelOf,
  preferredWeights,
  requireShapes,
  slotPrefix,
  tensorsOf,
} from './weights.ts';
import { weightsChecksum } from './weights-checksum.ts';

/** Six parameters: `a.weight` 2x3, `a.bias` 2, `n.shift`, `n.mean`, `n.variance` 2, `b.weight` 1x2, each element its own. */
async function arenaOf(first = 1) {
  const b = new NetworkBuilder('net', [3, 1, 1]);
  const normalized = b.batchNorm('n', b.dense('a', b.input, { features: 2 }), { scale: false });
  const network = b.build(b.dense('b', normalized, { features: 1, bias: false }));
  const arena = createPlainArena(network.parameters, { gradients: false });
  await change(arena.values, (_, i) => first + i);
  return arena;
}

const source = { kind: 'raw', model: 'net', source: 'the file' } as const;

async function errorOf(work: () => unknown): Promise<DataError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('to named tensors and back', async () => {
  const arena = await arenaOf();
  const tensors = await tensorsOf(arena, arena.values, 'x.');
  expect([...tensors.keys()].sort()).toEqual(['x.a.bias', 'x.a.weight', 'x.b.weight', 'x.n.mean', 'x.n.shift', 'x.n.variance']);
  expect(tensors.get('x.a.weight')!.shape).toEqual([2, 3]);
  const [entry] = arena.entries;
  expect([...(await tensorsOf(arena, arena.values, '', [entry!])).keys()]).toEqual([entry!.spec.name]);
  const other = await arenaOf(100);
  const into = other.allocate();
  await loadInto(other, into, tensors, 'x.', 'the file');
  expect(await into.read()).toEqual(await arena.values.read());
  // One parameter only.
  const one = await arenaOf(100);
  await loadInto(one, one.values, tensors, 'x.', 'the file', [one.entries[0]!]);
  const values = await one.values.read();
  expect(values[0]).toBe(1);
  expect(values.at(-1)).toBe((await other.values.read()).at(-1));
  await copyParameters(arena, arena.values, other);
  expect(await other.values.read()).toEqual(await arena.values.read());
  expect(slotPrefix('momentum')).toBe('opt.momentum.');
});

test('what is missing or of another shape is named, four of them, before anything is written', async () => {
  const arena = await arenaOf();
  const before = await arena.values.read();
  const specs = arena.entries.map(({ spec }) => spec);
  const tensors = await tensorsOf(arena, arena.values, 'ema.');
  tensors.set('ema.a.weight', { shape: [3, 2], data: new Float32Array(6) });
  tensors.delete('ema.b.weight');
  expect((await errorOf(() => loadInto(arena, arena.values, tensors, 'ema.', 'the file'))).message).toBe(
    'the file does not fit the network: ema.a.weight is 3x2 and must be 2x3, ema.b.weight is missing',
  );
  expect(await arena.values.read()).toEqual(before);
  expect((await errorOf(() => requireShapes(specs.slice(0, 4), new Map(), 'the file'))).message).not.toContain('more');
  expect((await errorOf(() => requireShapes(specs, new Map(), 'the file'))).message).toMatch(
    /^the file does not fit the network: (\S+ is missing, ){3}\S+ is missing and 2 more$/,
  );
  requireShapes(specs, await tensorsOf(arena, arena.values, ''), 'the file');
});

describe('loaded from a file', async () => {
  const trained = await arenaOf(1);
  const averages = await arenaOf(50);
  const plain = await tensorsOf(trained, trained.values, '');
  const checkpoint = new Map([
    ...plain,
    ...(await tensorsOf(averages, averages.values, 'ema.')),
    ...(await tensorsOf(averages, averages.values, 'opt.momentum.')),
  ]);
  const file = (tensors: Map<string, Tensor>, metadata: Record<string, string> = {}) => ({ tensors, metadata });

  test('the weights as trained, or their averages', async () => {
    for (const [kind, expected] of [
      ['raw', trained],
      ['ema', averages],
    ] as const) {
      const arena = await arenaOf(200);
      await loadWeights(arena, file(checkpoint, { model: 'net' }), { ...source, kind });
      expect(await arena.values.read()).toEqual(await expected.values.read());
    }
    expect(preferredWeights(file(checkpoint))).toBe('ema');
    expect(preferredWeights(file(plain))).toBe('raw');
  });

  test('a file of another model is refused; one that does not say is taken', async () => {
    expect(modelOf(file(plain, { model: 'net' }))).toBe('net');
    expect(modelOf(file(plain))).toBeUndefined();
    expect(await errorOf(async () => loadWeights(await arenaOf(), file(plain, { model: 'other' }), source))).toMatchObject({
      message: 'the file is of model other, not net',
      fix: 'Use it with model other, or other weights',
    });
    await loadWeights(await arenaOf(), file(plain), source);
  });

  test('parameters that the network does not have are refused', async () => {
    const more = new Map(plain).set('c.weight', { shape: [1], data: new Float32Array(1) });
    expect((await errorOf(async () => loadWeights(await arenaOf(), file(more), source))).message).toBe(
      'the file does not fit the network, which has no c.weight',
    );
  });
});

test('a checksum is of names and values, in whichever order', () => {
  const tensor = (...data: number[]): Tensor => ({ shape: [data.length], data: Float32Array.from(data) });
  const one = new Map([
    ['a', tensor(1, 2)],
    ['b', tensor(3)],
  ]);
  const sum = weightsChecksum(one);
  expect(sum).toMatch(/^[0-9a-f]{64}$/);
  expect(weightsChecksum(new Map([...one].reverse()))).toBe(sum);
  expect(weightsChecksum(new Map([...one].map(([name, { shape, data }]) => [`${name}x`, { shape, data }])))).not.toBe(sum);
  expect(weightsChecksum(new Map(one).set('b', tensor(4)))).not.toBe(sum);
  // The part of a larger array that a tensor is, not the array.
  const part = new Map(one).set('b', { shape: [1], data: Float32Array.of(9, 3, 9).subarray(1, 2) });
  expect(weightsChecksum(part)).toBe(sum);
});
