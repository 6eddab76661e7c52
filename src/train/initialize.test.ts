import { expect, test } from 'vitest';
import type { ArenaEntry } from '../engine/engine.ts';
import { createPlainArena } from '../engine/reference/arena.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { initialValues } from '../nn/parameter.ts';
import { initializeParameters } from './initialize.ts';

const b = new NetworkBuilder('net', [3, 6, 6]);
const whitened = b.conv('first', b.input, { kernel: 2, filters: 24, frozen: true, initializer: { type: 'uniformFanIn' } });
const second = b.batchNorm('norm', b.conv('second', whitened, { kernel: 3, filters: 30 }));
const network = b.build(b.dense('logits', second, { features: 4, initializer: { type: 'heNormal' } }));

async function valuesOf(seed: number, override: Parameters<typeof initializeParameters>[2]): Promise<Map<string, Float32Array>> {
  const arena = createPlainArena(network.parameters, { gradients: false });
  await initializeParameters(arena, seed, override);
  const read = async (entry: ArenaEntry) => [entry.spec.name, await arena.read(entry, arena.values)] as const;
  return new Map(await Promise.all(arena.entries.map(read)));
}

const spec = (name: string) => network.parameters.find((one) => one.name === name)!;

test('each parameter has what its layer says, from the seed', async () => {
  const values = await valuesOf(5, { type: 'model' });
  for (const one of network.parameters) expect(values.get(one.name)).toEqual(initialValues(one, 5));
  expect(values.get('norm.scale')!.every((value) => value === 1)).toBe(true);
  expect(values.get('second.bias')!.every((value) => value === 0)).toBe(true);
  expect((await valuesOf(6, { type: 'model' })).get('second.weight')).not.toEqual(values.get('second.weight'));
});

test.each(['xavierTruncatedNormal', 'heNormal', 'xavierUniform', 'uniformFanIn', 'dirac'] as const)(
  '%s is for weights that are trained; all others are as without it',
  async (type) => {
    const plain = await valuesOf(5, { type: 'model' });
    const values = await valuesOf(5, { type });
    for (const [name, array] of values) {
      const dense = name === 'logits.weight';
      if (!dense && name !== 'second.weight') expect(array, name).toEqual(plain.get(name));
      // Channels are passed through by convolutions only.
      else expect(array).toEqual(initialValues(spec(name), 5, { type: dense && type === 'dirac' ? 'uniformFanIn' : type }));
    }
  },
);
