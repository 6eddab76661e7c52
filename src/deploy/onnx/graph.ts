/** Builds an ONNX graph node by node. */
import {
  dataTypes,
  floatAttribute,
  integerAttribute,
  integersAttribute,
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueProto,
} from './schema.ts';

/** A float is marked, because JavaScript does not tell 1 from 1.0 and ONNX does. */
export type AttributeValue = number | readonly number[] | { readonly float: number };

export interface GraphBuilder {
  /**
   * Adds a node with one output.
   *
   * @param name of the node and of the tensor it makes; numbered where it is taken
   * @returns the tensor's name
   */
  node(operator: string, name: string, inputs: readonly string[], attributes?: Readonly<Record<string, AttributeValue>>): string;
  /** Adds a constant float32 tensor and returns its name. `shape` defaults to a scalar's. */
  floats(name: string, values: Float32Array | readonly number[], shape?: readonly number[]): string;
  /** Adds a constant int64 vector and returns its name. */
  integers(name: string, values: readonly number[]): string;
}

/** The parts of a graph that are fixed before its nodes: what goes in and what comes out, with the names others use. */
export interface GraphInterface {
  readonly name: string;
  readonly input: ValueProto;
  /** The tensors that `build` made, in the same order, get these names. */
  readonly outputs: readonly ValueProto[];
}

/**
 * Builds a graph.
 *
 * @param build adds the nodes; returns the tensors that are the outputs
 */
export function buildGraph(face: GraphInterface, build: (graph: GraphBuilder) => readonly string[]): GraphProto {
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const outputNames = face.outputs.map((output) => output.name);
  const taken = new Set([face.input.name, ...outputNames]);

  const newName = (wanted: string): string => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
  const constant = (wanted: string, dataType: number, dims: readonly number[], data: ArrayBufferView): string => {
    const name = newName(wanted);
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    initializers.push({ name, dims, dataType, rawData });
    return name;
  };

  const made = build({
    node(opType, name, input, attributes = {}) {
      const output = newName(name);
      const attribute = Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value));
      nodes.push({ name: output, opType, input, output: [output], attribute });
      return output;
    },
    floats: (name, values, shape = []) => constant(name, dataTypes.float, shape, Float32Array.from(values)),
    integers: (name, values) =>
      constant(
        name,
        dataTypes.int64,
        [values.length],
        BigInt64Array.from(values, (value) => BigInt(value)),
      ),
  });

  const finalName = new Map(made.map((name, i) => [name, outputNames[i]!]));
  const rename = (name: string) => finalName.get(name) ?? name;
  return {
    name: face.name,
    node: nodes.map((node) => ({
      ...node,
      name: rename(node.name),
      input: node.input.map(rename),
      output: node.output.map(rename),
    })),
    initializer: initializers,
    input: [face.input],
    output: face.outputs,
  };
}

function encodeAttribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number') return integerAttribute(name, value);
  return 'float' in value ? floatAttribute(name, value.float) : integersAttribute(name, value);
}
