import type { Layer, LayerKind, LayerOf } from '../../../nn/layer.ts';
import { ConfigurationError } from '../../../util/errors.ts';
import type { Backward, Lowering } from '../lowering.ts';
import { lowerConv, lowerDense } from './convolution.ts';
import { lowerActivation, lowerAdd, lowerConcat, lowerDropout, lowerFlatten, lowerMultiply, lowerScale } from './elementwise.ts';
import { lowerBatchNorm, lowerLrn } from './normalization.ts';
import { lowerAvgPool, lowerGlobalAvgPool, lowerMaxPool } from './pool.ts';

/** Writes a layer's kernels of the forward pass, and returns what writes those of the backward pass. */
type LowerLayer<K extends LayerKind> = (c: Lowering, layer: LayerOf<K>) => Backward;

const lowerings: { readonly [K in LayerKind]: LowerLayer<K> } = {
  conv: lowerConv,
  dense: lowerDense,
  maxPool: lowerMaxPool,
  avgPool: lowerAvgPool,
  globalAvgPool: lowerGlobalAvgPool,
  lrn: lowerLrn,
  batchNorm: lowerBatchNorm,
  activation: lowerActivation,
  dropout: lowerDropout,
  concat: lowerConcat,
  add: lowerAdd,
  multiply: lowerMultiply,
  scale: lowerScale,
  flatten: lowerFlatten,
  custom: (_, layer) => {
    throw new ConfigurationError(
      `layer "${layer.name}" is the custom layer "${layer.attributes.type}", whose functions run on the processor alone`,
      { fix: '--engine onednn or --engine reference' },
    );
  },
};

/** @throws ConfigurationError for a custom layer */
export function lowerLayer(c: Lowering, layer: Layer): Backward {
  // The table pairs each kind with a function for that kind, which the compiler cannot see through the union.
  return (lowerings[layer.kind] as LowerLayer<LayerKind>)(c, layer);
}
