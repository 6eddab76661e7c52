import type { LayerKind } from '../../nn/layer.ts';
import { activation } from './activation.ts';
import { conv } from './conv.ts';
import { custom } from './custom.ts';
import { dense } from './dense.ts';
import { add, dropout, multiply, scale } from './elementwise.ts';
import type { ReferenceLayer } from './layer.ts';
import { batchNorm, lrn } from './normalization.ts';
import { avgPool, globalAvgPool, maxPool } from './pool.ts';
import { concat, flatten } from './structure.ts';

export type ReferenceLayers = { readonly [K in LayerKind]: ReferenceLayer<K> };

export const referenceLayers: ReferenceLayers = {
  conv,
  dense,
  maxPool,
  avgPool,
  globalAvgPool,
  lrn,
  batchNorm,
  activation,
  dropout,
  concat,
  add,
  multiply,
  scale,
  flatten,
  custom,
};
