import type { LayerKind, LayerOf } from '../../nn/layer.ts';
import type { ParameterRole } from '../../nn/parameter.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import type { GraphBuilder } from './graph.ts';

/** What a rule writes a layer with. */
export interface RuleContext {
  readonly graph: GraphBuilder;
  /** The tensors that the layer consumes, in its order. */
  readonly inputs: readonly string[];
  /** Adds the layer's parameter of that role as a constant and returns its name. The layer must have it. */
  parameter(role: ParameterRole): string;
}

/** Writes one layer as ONNX nodes and returns the tensor that it makes. */
export type OnnxRule<K extends LayerKind> = (layer: LayerOf<K>, context: RuleContext) => string;

/** Parameters in plain layout, by name. */
export type Weights = ReadonlyMap<string, Tensor>;
