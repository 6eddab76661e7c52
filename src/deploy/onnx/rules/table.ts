import type { LayerKind } from '../../../nn/layer.ts';
import type { OnnxRule } from '../rule.ts';
import { activationRule } from './activation.ts';
import { convRule } from './conv.ts';
import { customRule } from './custom.ts';
import { denseRule } from './dense.ts';
import { addRule, dropoutRule, multiplyRule, scaleRule } from './elementwise.ts';
import { batchNormRule, lrnRule } from './normalization.ts';
import { avgPoolRule, globalAvgPoolRule, maxPoolRule } from './pool.ts';
import { concatRule, flattenRule } from './structure.ts';

/** How each kind of layer is written as ONNX. */
export const onnxRules: { readonly [K in LayerKind]: OnnxRule<K> } = {
  conv: convRule,
  dense: denseRule,
  maxPool: maxPoolRule,
  avgPool: avgPoolRule,
  globalAvgPool: globalAvgPoolRule,
  lrn: lrnRule,
  batchNorm: batchNormRule,
  activation: activationRule,
  dropout: dropoutRule,
  concat: concatRule,
  add: addRule,
  multiply: multiplyRule,
  scale: scaleRule,
  flatten: flattenRule,
  custom: customRule,
};
