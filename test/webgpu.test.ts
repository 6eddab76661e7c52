/** The WebGPU engine computes what the reference engine computes: outputs, gradients and running statistics, layer by layer, on a software adapter. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/engine.ts';
import { createWebgpuEngine } from '../src/engine/webgpu/engine.ts';
import type { Gpu } from '../src/engine/webgpu/gpu.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import { disagreements } from './compare-engines.ts';
import { allLayerCases, layerCases } from './layer-cases.ts';
import { loadGpu, noWebgpu } from './load-webgpu.ts';
import { skippable } from './skippable.ts';
import { errorsOf } from './webgpu-cases.ts';

/** Float32 sums against float64 ones. */
const tolerance = 1e-4;

// Opened here, not in a test: whether there is an adapter decides what is skipped.
const gpu = await loadGpu();
const whyNot = gpu === undefined ? noWebgpu : undefined;

describe.skipIf(whyNot)(skippable('the WebGPU engine agrees with the reference engine', whyNot), () => {
  let engine: Engine;
  beforeAll(() => {
    engine = createWebgpuEngine(gpu!);
  });
  afterAll(() => engine.dispose());

  test.each(allLayerCases.filter(([kind]) => kind !== 'custom'))('%s: %s', async (_kind, _name, layerCase) => {
    expect(disagreements(await errorsOf(engine, layerCase), tolerance)).toEqual({});
  });

  test('custom layers are refused with what to do', async () => {
    const { network, batchSize } = layerCases.custom[0]!;
    await expect(engine.compileTraining(network, { batchSize })).rejects.toMatchObject({
      message: 'layer "g" is the custom layer "scaledTanh", whose functions run on the processor alone',
      fix: '--engine onednn or --engine reference',
    });
  });

  // Tiles as those of graphics cards, with fewer threads: one that meets many others takes the software adapter seconds to translate.
  test.each([
    { rows: 16, columns: 8, threadRows: 8, threadColumns: 4, depth: 16 },
    { rows: 8, columns: 16, threadRows: 4, threadColumns: 8, depth: 8 },
  ])('products in tiles of $rows by $columns', async (tile) => {
    const tuned = createWebgpuEngine(withTuning(gpu!, { ...gpu!.tuning, tiles: [tile] }));
    const layerCase = layerCases.conv.find(({ name }) => name === 'conv 3x3, 16 to 32 channels')!;
    expect(disagreements(await errorsOf(tuned, layerCase), tolerance)).toEqual({});
  });

  test('more tiles than there may be workgroups in a dimension', async () => {
    const b = new NetworkBuilder('large', [3, 520, 512]);
    const network = b.build(b.conv('c', b.input, { kernel: 1, filters: 12 }));
    const tile = { rows: 4, columns: 8, threadRows: 4, threadColumns: 4, depth: 8 };
    const tuned = createWebgpuEngine(withTuning(gpu!, { ...gpu!.tuning, tiles: [tile] }));
    const errors = await errorsOf(tuned, { name: 'large', network, batchSize: 1 });
    expect(Math.max(errors['output in training']!, errors['output at inference']!)).toBeLessThan(tolerance);
  });

  test('a kernel that is wrong is found', async () => {
    const layerCase = layerCases.conv.find(({ name }) => name === 'conv 3x3 VALID')!;
    const found = async (from: string, to: string) =>
      Object.keys(disagreements(await errorsOf(createWebgpuEngine(withWrongText(gpu!, from, to)), layerCase), tolerance));
    // The tap of the gradient of the weights one pixel too far to the right.
    expect(await found('(depth % 3u * 1u + tap % 3u) - 0', '(depth % 3u * 1u + tap % 3u) - 1')).toEqual(['gradient of c.weight']);
  });
});

/** The same device with other sizes of tiles. */
function withTuning(gpu: Gpu, tuning: Gpu['tuning']): Gpu {
  return new Proxy(gpu, { get: (target, key) => (key === 'tuning' ? tuning : memberOf(target, key)) });
}

/** The same device, to which kernels come with other text. */
function withWrongText(gpu: Gpu, from: string, to: string): Gpu {
  const compile: Gpu['compile'] = (code, written) => gpu.compile(code.replaceAll(from, to), written);
  return new Proxy(gpu, { get: (target, key) => (key === 'compile' ? compile : memberOf(target, key)) });
}

function memberOf(gpu: Gpu, key: string | symbol): unknown {
  const value: unknown = Reflect.get(gpu, key, gpu);
  return typeof value === 'function' ? (value.bind(gpu) as unknown) : value;
}
