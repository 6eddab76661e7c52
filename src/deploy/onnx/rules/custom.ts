import type { LayerOf } from '../../../nn/layer.ts';
import { ConfigurationError } from '../../../util/errors.ts';
import type { OnnxRule } from '../rule.ts';

/** Its functions are TypeScript, and ONNX has no operator for them. */
export const customRule: OnnxRule<'custom'> = (layer) => {
  throw noOnnxForm(layer);
};

export function noOnnxForm({ name, attributes }: LayerOf<'custom'>): ConfigurationError {
  return new ConfigurationError(`layer "${name}" is the custom layer "${attributes.type}", which cannot be written as ONNX`, {
    fix: 'compose it of other layers, to freeze or quantize the network',
  });
}
