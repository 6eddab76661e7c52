import { expect, test } from 'vitest';
import { createOnednnEngine } from '../engine/onednn/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import type { Engine } from '../engine/engine.ts';
import { NetworkBuilder } from '../nn/network.ts';
import { createLayerNorms } from './layer-norms.ts';

/** Of three filters: blocked layouts have padding. */
function network() {
  const net = new NetworkBuilder('norms', [3, 8, 8]);
  const frozen = net.conv('frozen', net.input, { filters: 3, kernel: 1, frozen: true });
  const conv = net.conv('conv1', frozen, { filters: 3, kernel: 3, padding: 'same' });
  const norm = net.batchNorm('norm1', conv);
  return net.build(net.dense('logits', norm, { features: 2 }));
}

const engines: readonly (readonly [string, () => Engine])[] = [
  ['reference', () => referenceEngine],
  ['oneDNN', () => createOnednnEngine({ threads: 1 })],
];

test.each(engines)('the norms of each layer with weights, whatever the layout: %s', async (_, engine) => {
  const plan = await engine().compileTraining(network(), { batchSize: 2 });
  const { parameters } = plan;
  try {
    const expected: Record<string, number> = {};
    for (const entry of parameters.entries) {
      const size = entry.spec.shape.reduce((product, extent) => product * extent, 1);
      const first = entry.offset % 7;
      const of = (sign: number) => Float32Array.from({ length: size }, (__, i) => sign * (first + (i % 5)));
      await parameters.write(entry, of(1), parameters.values);
      if (entry.spec.kind === 'trainable') await parameters.write(entry, of(-2), parameters.gradients);
      if (!['conv1.weight', 'logits.weight'].includes(entry.spec.name)) continue;
      const norm = Math.hypot(...of(1));
      expected[`weightNorm/${entry.spec.layer}`] = norm;
      expected[`gradientNorm/${entry.spec.layer}`] = 2 * norm;
    }
    const found = await createLayerNorms(plan)();
    expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
    for (const [key, norm] of Object.entries(expected)) expect(Math.abs(found[key]! / norm - 1), key).toBeLessThan(1e-4);
  } finally {
    plan.dispose();
  }
});
