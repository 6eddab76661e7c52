/**
 * The part of the TensorFlow Lite format that a plan needs, and the only place that touches flatbuffers. Numbers of fields, types and operators are
 * those of TensorFlow's schema.fbs (Apache-2.0; tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3 of the format).
 */
import { Builder, type Offset } from 'flatbuffers';

/** TensorType. */
export const tensorTypes = { float32: 0, int32: 2, int8: 9 } as const;
export type TensorType = keyof typeof tensorTypes;

/** BuiltinOperator, the version of each for 8-bit integers, and the number of its options in the union BuiltinOptions. */
export const operators = {
  ADD: { code: 0, version: 2, options: 11 },
  AVERAGE_POOL_2D: { code: 1, version: 2, options: 5 },
  CONCATENATION: { code: 2, version: 2, options: 10 },
  CONV_2D: { code: 3, version: 3, options: 1 },
  DEPTHWISE_CONV_2D: { code: 4, version: 3, options: 2 },
  LOGISTIC: { code: 14, version: 2, options: 0 },
  MAX_POOL_2D: { code: 17, version: 2, options: 5 },
  MUL: { code: 18, version: 2, options: 21 },
  RELU: { code: 19, version: 2, options: 0 },
  RELU6: { code: 21, version: 2, options: 0 },
  RESHAPE: { code: 22, version: 1, options: 17 },
  PAD: { code: 34, version: 2, options: 22 },
  PADV2: { code: 60, version: 2, options: 43 },
  LEAKY_RELU: { code: 98, version: 2, options: 75 },
  HARD_SWISH: { code: 117, version: 1, options: 91 },
  GELU: { code: 150, version: 2, options: 116 },
} as const;
export type OperatorName = keyof typeof operators;

/** ActivationFunctionType. */
export const fusedActivations = { none: 0, relu: 1, relu6: 3 } as const;

/** Padding. */
export const paddings = { same: 0, valid: 1 } as const;

/** One field of a table: its number in the schema, and its value. */
export type Field = readonly [slot: number, type: 'byte' | 'int' | 'float' | 'bool', value: number] | IntsField;
type IntsField = readonly [slot: number, type: 'ints', values: readonly number[]];

export interface TensorData {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: TensorType;
  /** Of a constant: its bytes, little-endian. */
  readonly data?: Uint8Array;
  readonly quantization?: TensorQuantization;
}

export interface TensorQuantization {
  /** One, or one for each place along a dimension. */
  readonly scales: readonly number[];
  readonly zeroPoint: number;
  readonly dimension?: number;
}

export interface OperatorData {
  readonly name: OperatorName;
  /** Numbers of tensors. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options: readonly Field[];
}

export interface ModelData {
  readonly description: string;
  readonly tensors: readonly TensorData[];
  readonly operators: readonly OperatorData[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

const formatVersion = 3;
const identifier = 'TFL3';
/** Of the bytes of a constant, as the schema asks for. */
const dataAlignment = 16;

/** The bytes of a .tflite file. */
export function encodeTflite(model: ModelData): Uint8Array {
  const b = new Builder(1024);
  const names = [...new Set(model.operators.map(({ name }) => name))];
  // The first buffer is always empty: that of everything that is no constant.
  const constants = model.tensors.filter(({ data }) => data !== undefined);
  const buffers = [table(b, []), ...constants.map(({ data }) => table(b, [[0, 'offset', bytes(b, data!)]]))];
  const bufferOf = (tensor: TensorData) => constants.indexOf(tensor) + 1;
  const tensors = model.tensors.map((tensor) => encodeTensor(b, tensor, bufferOf(tensor)));
  const operatorTables = model.operators.map((operator) => encodeOperator(b, operator, names));
  const subgraph = table(b, [
    [0, 'offset', offsets(b, tensors)],
    [1, 'offset', ints(b, model.inputs)],
    [2, 'offset', ints(b, model.outputs)],
    [3, 'offset', offsets(b, operatorTables)],
    [4, 'offset', b.createString('main')],
  ]);
  const codes = names.map((name) => {
    const { code, version } = operators[name];
    // Readers of before there were more than 127 operators look at the first field.
    return table(b, [
      [0, 'byte', Math.min(code, 127)],
      [2, 'int', version],
      [3, 'int', code],
    ]);
  });
  const root = table(b, [
    [0, 'int', formatVersion],
    [1, 'offset', offsets(b, codes)],
    [2, 'offset', offsets(b, [subgraph])],
    [3, 'offset', b.createString(model.description)],
    [4, 'offset', offsets(b, buffers)],
  ]);
  b.finish(root, identifier);
  return b.asUint8Array();
}

function encodeTensor(b: Builder, { name, shape, type, quantization }: TensorData, buffer: number): Offset {
  return table(b, [
    [0, 'offset', ints(b, shape)],
    [1, 'byte', tensorTypes[type]],
    [2, 'int', buffer],
    [3, 'offset', b.createString(name)],
    ...(quantization === undefined ? [] : [[4, 'offset', encodeQuantization(b, quantization)] as const]),
    // has_rank
    [8, 'bool', 1],
  ]);
}

function encodeQuantization(b: Builder, { scales, zeroPoint, dimension = 0 }: TensorQuantization): Offset {
  b.startVector(4, scales.length, 4);
  for (const scale of scales.toReversed()) b.addFloat32(scale);
  const scaleVector = b.endVector();
  b.startVector(8, scales.length, 8);
  for (let i = 0; i < scales.length; i++) b.addInt64(BigInt(zeroPoint));
  const zeroPoints = b.endVector();
  return table(b, [
    [2, 'offset', scaleVector],
    [3, 'offset', zeroPoints],
    [6, 'int', dimension],
  ]);
}

function encodeOperator(b: Builder, { name, inputs, outputs, options }: OperatorData, names: readonly OperatorName[]): Offset {
  const { options: optionsType } = operators[name];
  const optionsTable =
    optionsType === 0
      ? undefined
      : table(
          b,
          options.map((field): TableField => (isInts(field) ? [field[0], 'offset', ints(b, field[2])] : field)),
        );
  return table(b, [
    [0, 'int', names.indexOf(name)],
    [1, 'offset', ints(b, inputs)],
    [2, 'offset', ints(b, outputs)],
    ...(optionsTable === undefined
      ? []
      : ([
          [3, 'byte', optionsType],
          [4, 'offset', optionsTable],
        ] as const)),
  ]);
}

function isInts(field: Field): field is IntsField {
  return field[1] === 'ints';
}

type TableField = readonly [slot: number, type: 'byte' | 'int' | 'float' | 'bool' | 'offset', value: number];

/** What a field is where it is left out: written all the same, because not every field's is zero. */
const noDefault = NaN;

function table(b: Builder, fields: readonly TableField[]): Offset {
  b.startObject(fields.reduce((count, [slot]) => Math.max(count, slot + 1), 0));
  for (const [slot, type, value] of fields) {
    if (type === 'byte' || type === 'bool') b.addFieldInt8(slot, value, noDefault);
    else if (type === 'int') b.addFieldInt32(slot, value, noDefault);
    else if (type === 'float') b.addFieldFloat32(slot, value, noDefault);
    else b.addFieldOffset(slot, value, 0);
  }
  return b.endObject();
}

function ints(b: Builder, values: readonly number[]): Offset {
  b.startVector(4, values.length, 4);
  for (const value of values.toReversed()) b.addInt32(value);
  return b.endVector();
}

function offsets(b: Builder, values: readonly Offset[]): Offset {
  b.startVector(4, values.length, 4);
  for (const value of values.toReversed()) b.addOffset(value);
  return b.endVector();
}

function bytes(b: Builder, values: Uint8Array): Offset {
  b.startVector(1, values.length, dataAlignment);
  for (let i = values.length - 1; i >= 0; i--) b.addInt8(values[i]!);
  return b.endVector();
}
