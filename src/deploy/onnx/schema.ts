/**
 * The part of the ONNX format that a frozen file uses, and the only place that touches protobufjs. Field numbers are those of onnx.proto3
 * (github.com/onnx/onnx), IR version 8.
 */
import protobuf from 'protobufjs/light.js';

/** Operator set of every exported file: old enough for any runtime of the last years, and all that the rules need. */
export const opsetVersion = 17;
/** The version of the file format that came with that operator set. */
export const irVersion = 8;

/** TensorProto.DataType. */
export const dataTypes = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10 } as const;
export type DataType = keyof typeof dataTypes;

/** AttributeProto.AttributeType. */
const attributeTypes = { FLOAT: 1, INT: 2, INTS: 7 } as const;

export interface AttributeProto {
  readonly name: string;
  readonly type: (typeof attributeTypes)[keyof typeof attributeTypes];
  readonly f?: number;
  readonly i?: number;
  readonly ints?: readonly number[];
}

export interface NodeProto {
  readonly name: string;
  readonly opType: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly AttributeProto[];
}

export interface TensorProto {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  /** Little-endian. */
  readonly rawData: Uint8Array;
}

/** A dimension is a number, or the name of one that is free. */
export type Dimension = number | string;

export interface ValueProto {
  readonly name: string;
  readonly type: DataType;
  /** Absent where the file does not say. */
  readonly shape?: readonly Dimension[];
}

export interface GraphProto {
  readonly name: string;
  readonly node: readonly NodeProto[];
  readonly initializer: readonly TensorProto[];
  readonly input: readonly ValueProto[];
  readonly output: readonly ValueProto[];
}

export interface ModelProto {
  readonly producerName: string;
  readonly producerVersion: string;
  readonly docString: string;
  readonly graph: GraphProto;
  readonly metadata: Readonly<Record<string, string>>;
}

const repeated = { rule: 'repeated' } as const;

/** proto3 packs repeated numbers; onnx.proto3's readers take both forms, as every parser must. */
const root = protobuf.Root.fromJSON({
  nested: {
    Attribute: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        ints: { ...repeated, type: 'int64', id: 8 },
        type: { type: 'int32', id: 20 },
      },
    },
    Node: {
      fields: {
        input: { ...repeated, type: 'string', id: 1 },
        output: { ...repeated, type: 'string', id: 2 },
        name: { type: 'string', id: 3 },
        opType: { type: 'string', id: 4 },
        attribute: { ...repeated, type: 'Attribute', id: 5 },
      },
    },
    Tensor: {
      fields: {
        dims: { ...repeated, type: 'int64', id: 1 },
        dataType: { type: 'int32', id: 2 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
      },
    },
    Dimension: { fields: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } } },
    Shape: { fields: { dim: { ...repeated, type: 'Dimension', id: 1 } } },
    TensorType: { fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'Shape', id: 2 } } },
    Type: { fields: { tensorType: { type: 'TensorType', id: 1 } } },
    Value: { fields: { name: { type: 'string', id: 1 }, type: { type: 'Type', id: 2 } } },
    Graph: {
      fields: {
        node: { ...repeated, type: 'Node', id: 1 },
        name: { type: 'string', id: 2 },
        initializer: { ...repeated, type: 'Tensor', id: 5 },
        input: { ...repeated, type: 'Value', id: 11 },
        output: { ...repeated, type: 'Value', id: 12 },
      },
    },
    OperatorSet: { fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } } },
    Entry: { fields: { key: { type: 'string', id: 1 }, value: { type: 'string', id: 2 } } },
    Model: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        producerName: { type: 'string', id: 2 },
        producerVersion: { type: 'string', id: 3 },
        docString: { type: 'string', id: 6 },
        graph: { type: 'Graph', id: 7 },
        opsetImport: { ...repeated, type: 'OperatorSet', id: 8 },
        metadataProps: { ...repeated, type: 'Entry', id: 14 },
      },
    },
    // A model of any producer, as far as it is checked before it is run.
    CheckedTensor: {
      fields: {
        dataType: { type: 'int32', id: 2 },
        floatData: { ...repeated, type: 'float', id: 4 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
        doubleData: { ...repeated, type: 'double', id: 10 },
        externalData: { ...repeated, type: 'Entry', id: 13 },
      },
    },
    CheckedAttribute: { fields: { t: { type: 'CheckedTensor', id: 5 } } },
    CheckedNode: {
      fields: { name: { type: 'string', id: 3 }, attribute: { ...repeated, type: 'CheckedAttribute', id: 5 } },
    },
    CheckedGraph: {
      fields: {
        node: { ...repeated, type: 'CheckedNode', id: 1 },
        initializer: { ...repeated, type: 'CheckedTensor', id: 5 },
        input: { ...repeated, type: 'Value', id: 11 },
        output: { ...repeated, type: 'Value', id: 12 },
      },
    },
    CheckedModel: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        graph: { type: 'CheckedGraph', id: 7 },
        opsetImport: { ...repeated, type: 'OperatorSet', id: 8 },
        metadataProps: { ...repeated, type: 'Entry', id: 14 },
      },
    },
  },
});

const modelType = root.lookupType('Model');
const checkedType = root.lookupType('CheckedModel');

export function floatAttribute(name: string, value: number): AttributeProto {
  return { name, type: attributeTypes.FLOAT, f: value };
}

export function integerAttribute(name: string, value: number): AttributeProto {
  return { name, type: attributeTypes.INT, i: value };
}

export function integersAttribute(name: string, values: readonly number[]): AttributeProto {
  return { name, type: attributeTypes.INTS, ints: values };
}

/** The bytes of an ONNX file. */
export function encodeModel({ producerName, producerVersion, docString, graph, metadata }: ModelProto): Uint8Array {
  const message = {
    irVersion,
    producerName,
    producerVersion,
    docString,
    graph: { ...graph, input: graph.input.map(encodeValue), output: graph.output.map(encodeValue) },
    opsetImport: [{ domain: '', version: opsetVersion }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  };
  return modelType.encode(modelType.create(message)).finish();
}

function encodeValue({ name, type, shape }: ValueProto) {
  const dim = shape?.map((extent) => (typeof extent === 'number' ? { dimValue: extent } : { dimParam: extent }));
  return { name, type: { tensorType: { elemType: dataTypes[type], ...(dim && { shape: { dim } }) } } };
}

/**
 * Reads a model that `encodeModel` wrote. Fields that it does not write are not read, so undefined is returned unless the model, encoded
 * again, is byte for byte what was given: nothing of a file is lost unnoticed.
 */
export function decodeModel(bytes: Uint8Array): ModelProto | undefined {
  let message: DecodedModel;
  try {
    message = modelType.toObject(modelType.decode(bytes), { longs: Number, arrays: true }) as DecodedModel;
  } catch {
    return undefined;
  }
  const { producerName, producerVersion, docString, graph, metadataProps } = message;
  if (graph === undefined) return undefined;
  const model: ModelProto = {
    producerName,
    producerVersion,
    docString,
    graph: { ...graph, input: graph.input.map(decodeValue), output: graph.output.map(decodeValue) },
    metadata: Object.fromEntries(metadataProps.map(({ key = '', value = '' }) => [key, value])),
  };
  return Buffer.compare(encodeModel(model), bytes) === 0 ? model : undefined;
}

interface DecodedValue {
  readonly name: string;
  readonly type?: {
    readonly tensorType?: {
      readonly elemType?: number;
      readonly shape?: { readonly dim: readonly { readonly dimValue?: number; readonly dimParam?: string }[] };
    };
  };
}

type DecodedModel = Pick<ModelProto, 'producerName' | 'producerVersion' | 'docString'> & {
  readonly graph?: Omit<GraphProto, 'input' | 'output'> & {
    readonly input: readonly DecodedValue[];
    readonly output: readonly DecodedValue[];
  };
  readonly metadataProps: readonly Entry[];
};

function decodeValue({ name, type }: DecodedValue): ValueProto {
  const { elemType, shape } = type?.tensorType ?? {};
  const known = (Object.keys(dataTypes) as DataType[]).find((key) => dataTypes[key] === elemType);
  const extents = shape?.dim.map(({ dimValue, dimParam }) => dimParam ?? dimValue ?? 0);
  return { name, type: known ?? 'float', ...(extents && { shape: extents }) };
}

/** A tensor that a file holds, as an initializer or in a node's attribute. */
export interface HeldTensor {
  /** Its own, or that of its node. */
  readonly name?: string;
  readonly dataType?: number;
  /** Little-endian. Values may be in one of the lists in its place. */
  readonly rawData?: Uint8Array;
  readonly floatData: readonly number[];
  readonly doubleData: readonly number[];
  /** Where it is in another file; empty where it is in this one. */
  readonly externalData: readonly Entry[];
}

/** What of an ONNX file, of any producer, can be checked before it is run. */
export interface CheckedModel {
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly ValueProto[];
  readonly outputs: readonly ValueProto[];
  readonly tensors: readonly HeldTensor[];
}

/**
 * Reads an ONNX file of any producer; undefined if the bytes are none.
 * Protocol buffers have no signature, so a model is what parses and states its version and its operator set.
 */
export function decodeChecked(bytes: Uint8Array): CheckedModel | undefined {
  let model: DecodedCheckedModel;
  try {
    model = checkedType.toObject(checkedType.decode(bytes), { longs: Number, arrays: true }) as DecodedCheckedModel;
  } catch {
    return undefined;
  }
  const { irVersion: version = 0, opsetImport, metadataProps, graph } = model;
  if (version < 1 || opsetImport.length === 0) return undefined;
  const { node = [], initializer = [], input = [], output = [] } = graph ?? {};
  const inNodes = node.flatMap(({ name = '', attribute }) =>
    attribute.flatMap(({ t }) => (t === undefined ? [] : [{ name, ...t }])),
  );
  return {
    metadata: Object.fromEntries(metadataProps.map(({ key = '', value = '' }) => [key, value])),
    inputs: input.map(decodeValue),
    outputs: output.map(decodeValue),
    tensors: [...initializer, ...inNodes],
  };
}

interface DecodedCheckedModel {
  readonly irVersion?: number;
  readonly graph?: {
    readonly node: readonly { readonly name?: string; readonly attribute: readonly { readonly t?: HeldTensor }[] }[];
    readonly initializer: readonly HeldTensor[];
    readonly input: readonly DecodedValue[];
    readonly output: readonly DecodedValue[];
  };
  readonly opsetImport: readonly unknown[];
  readonly metadataProps: readonly Entry[];
}

interface Entry {
  readonly key?: string;
  readonly value?: string;
}
