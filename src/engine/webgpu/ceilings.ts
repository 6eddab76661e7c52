/** What a device reaches at best: in a large product of matrices, by the kernel that convolutions are made of, and in copying an array. */
import type { DeviceCeilings } from '../kernel-times.ts';
import type { Gpu } from './gpu.ts';
import { productText, productWorkgroups, type ProductOptions } from './kernels/product.ts';
import { shader, threadIndex, workgroupsFor } from './kernels/shader.ts';
import type { ProductSize, Tile } from './tuning.ts';

/** Work is made larger until it takes this long, or is as large as here. */
const enoughMs = 10;
const largestProduct = 4096;
const largestCopy = 2 ** 26;
const repetitions = 3;

export async function measureCeilings(gpu: Gpu): Promise<DeviceCeilings> {
  const [product, copy] = [await productCeiling(gpu), await copyCeiling(gpu)];
  return { productGflops: product, copyGBPerSecond: copy };
}

async function productCeiling(gpu: Gpu): Promise<number> {
  const { tiles } = gpu.tuning;
  const gflops = async (tile: Tile, side: number) => {
    const size = { rows: side, columns: side, depth: side, groups: 1 };
    const ms = await timeProduct(gpu, tile, 1, size, repetitions);
    return { ms, rate: (2 * side ** 3) / ms / 1e6 };
  };
  let side = 128;
  let first = await gflops(tiles[0]!, side);
  while (first.ms < enoughMs && side < largestProduct) first = await gflops(tiles[0]!, (side *= 2));
  let best = first.rate;
  for (const tile of tiles.slice(1)) best = Math.max(best, (await gflops(tile, side)).rate);
  return best;
}

async function copyCeiling(gpu: Gpu): Promise<number> {
  const longest = Math.min(largestCopy, gpu.largestBuffer / 4);
  let length = Math.min(2 ** 18, longest);
  let ms = await timeCopy(gpu, length);
  while (ms < enoughMs && 4 * length <= longest) ms = await timeCopy(gpu, (length *= 4));
  return (8 * length) / ms / 1e6;
}

/** The least milliseconds of a product of matrices that lie row by row, in the given tiles. */
export async function timeProduct(gpu: Gpu, tile: Tile, splits: number, size: ProductSize, runs: number): Promise<number> {
  const { rows, columns, depth } = size;
  const options: ProductOptions = {
    ...size,
    ...{ tile, splits, declarations: '' },
    buffers: [
      { name: 'xs', type: 'vec4f' },
      { name: 'ys', type: 'vec4f' },
      { name: 'results', type: 'vec4f', written: true },
      ...(splits === 1 ? [] : [{ name: 'parts', type: 'f32', written: true } as const]),
    ],
    a: { along: 'depth', width: 4, value: `xs[(outer * ${depth}u + depth) / 4u]` },
    b: { along: 'outer', width: 4, value: `ys[(depth * ${columns}u + outer) / 4u]` },
    store: { width: 4, code: `  results[(row * ${columns}u + column) / 4u] = value;` },
  };
  const lengths = [rows * depth, depth * columns, rows * columns, ...(splits === 1 ? [] : [splits * rows * columns])];
  return await timeKernel(
    gpu,
    productText(options),
    lengths.map((length, i) => ({ length, written: i >= 2 })),
    productWorkgroups(options),
    runs,
  );
}

async function timeCopy(gpu: Gpu, length: number): Promise<number> {
  const { workgroupSize } = gpu.tuning;
  const code = shader({
    buffers: [
      { name: 'xs', type: 'vec4f' },
      { name: 'ys', type: 'vec4f', written: true },
    ],
    workgroupSize,
    body: `${threadIndex(length / 4, workgroupSize)}
  ys[i] = xs[i];`,
  });
  const buffers = [
    { length, written: false },
    { length, written: true },
  ];
  return await timeKernel(gpu, code, buffers, workgroupsFor(length / 4, workgroupSize), repetitions);
}

/** The least milliseconds of some runs, of which the first is not counted. */
async function timeKernel(
  gpu: Gpu,
  code: string,
  buffers: readonly { readonly length: number; readonly written: boolean }[],
  workgroups: readonly [number, number, number],
  runs: number,
): Promise<number> {
  const compiled = await gpu.compile(
    code,
    buffers.map(({ written }) => written),
  );
  const made = buffers.map(({ length }) => gpu.createBuffer(length, 'measurement'));
  try {
    const bound = gpu.bind(compiled, made, 'measurement');
    const { kernels } = await gpu.time(() => {
      for (let run = 0; run <= runs; run++) gpu.enqueue(bound, workgroups);
    });
    return Math.max(1e-6, Math.min(...kernels.slice(1).map(({ ms }) => ms)));
  } finally {
    for (const buffer of made) buffer.destroy();
  }
}
