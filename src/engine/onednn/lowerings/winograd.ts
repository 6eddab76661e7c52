/** Where Winograd's algorithm (Lavin and Gray, 2016, arXiv:1509.09308) pays for a convolution. */
import type { LayerOf } from '../../../nn/layer.ts';

/** Side of the squares of output pixels that oneDNN's kernels compute at once, F(4x4, 3x3), and multiplications for one of them. */
const tile = 4;
const multiplicationsPerTile = 36;

/** Times of the parts of the work in those of direct multiplications, fitted to what bench/winograd.ts measured on an AVX-512 processor. */
const cost = {
  /** Of a multiplication between transformed tiles. */
  multiplication: 1.4,
  /** Of transforming an element of a tile, of the input or of the output. */
  tileTransform: 17,
  /** Of transforming an element of a filter, once for the whole batch. */
  filterTransform: 30,
};

/**
 * How much faster than directly a step's three passes of a convolution should be with Winograd's algorithm, in float32, where oneDNN has it:
 * version 2, with AVX-512. 1 for a convolution that it is not for. A function of the shapes alone, so that runs repeat.
 *
 * @param batchSize images in a step
 */
export function winogradSpeedup({ attributes, inputShapes, outputShape }: LayerOf<'conv'>, batchSize: number): number {
  const { groups, kernel, stride } = attributes;
  if (groups !== 1 || !kernel.every((side) => side === 3) || !stride.every((step) => step === 1)) return 1;
  const channels = inputShapes[0]![0]!;
  const [filters, height, width] = outputShape as readonly [number, number, number];
  const tiles = Math.ceil(height / tile) * Math.ceil(width / tile);
  const transforms = cost.tileTransform * (1 / channels + 1 / filters) + cost.filterTransform / (batchSize * tiles);
  return (9 * height * width) / (multiplicationsPerTile * tiles * (cost.multiplication + transforms));
}
