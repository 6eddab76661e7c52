import { expect, test } from 'vitest';
import { decodeChecked, decodeModel, encodeModel, floatAttribute, integerAttribute, integersAttribute } from './schema.ts';
import type { ModelProto } from './schema.ts';

const model: ModelProto = {
  producerName: 'me',
  producerVersion: '2',
  docString: 'doc',
  graph: {
    name: 'g',
    node: [
      {
        name: 'n',
        opType: 'Op',
        input: ['x', 'w'],
        output: ['y'],
        attribute: [floatAttribute('f', 0.5), integerAttribute('i', 300), integersAttribute('l', [1, 2])],
      },
    ],
    initializer: [{ name: 'w', dims: [2], dataType: 2, rawData: Uint8Array.of(9, 8) }],
    input: [{ name: 'x', type: 'uint8', shape: ['N', 3] }],
    output: [{ name: 'y', type: 'float16' }],
  },
  metadata: { key: 'value', other: '' },
};

const bytes = (...parts: readonly (string | number | readonly number[])[]): number[] =>
  parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : typeof part === 'number' ? [part] : [...part]));

/** Field `number` of a message: a length and its content. */
const field = (number: number, ...content: readonly (string | number | readonly number[])[]) => {
  const inside = bytes(...content);
  return [8 * number + 2, inside.length, ...inside];
};

/** A number as field `number` of a message. */
const varint = (number: number, ...value: readonly number[]) => [8 * number, ...value];

/** By hand, with the numbers of onnx.proto3; fields above 15 have tags of two bytes: 20, a number, is 160 1. */
const attributes = [
  // FLOAT, 0.5; INT, 300 = 2 * 128 + 44; INTS.
  field(5, field(1, 'f'), [21, 0, 0, 0, 0x3f], [160, 1, 1]),
  field(5, field(1, 'i'), varint(3, 172, 2), [160, 1, 2]),
  field(5, field(1, 'l'), field(8, 1, 2), [160, 1, 7]),
].flat();
const node = field(1, field(1, 'x'), field(1, 'w'), field(2, 'y'), field(3, 'n'), field(4, 'Op'), attributes);
const initializer = field(5, field(1, 2), varint(2, 2), field(8, 'w'), field(9, 9, 8));
const input = field(
  11,
  field(1, 'x'),
  field(2, field(1, varint(1, 2), field(2, field(1, field(2, 'N')), field(1, varint(1, 3))))),
);
const output = field(12, field(1, 'y'), field(2, field(1, varint(1, 10))));
const expected = bytes(
  ...[varint(1, 8), field(2, 'me'), field(3, '2'), field(6, 'doc')],
  field(7, node, field(2, 'g'), initializer, input, output),
  // The default domain, operator set 17.
  field(8, field(1, ''), varint(2, 17)),
  ...[field(14, field(1, 'key'), field(2, 'value')), field(14, field(1, 'other'), field(2, ''))],
);

test('a model is written as onnx.proto3 says, and read as it was written', () => {
  expect([...encodeModel(model)]).toEqual(expected);
  const read = decodeModel(Uint8Array.from(expected))!;
  expect(read).toMatchObject(model);
  expect([...encodeModel(read)]).toEqual(expected);
});

test('a model of which something would be lost is not read: other fields, another version, no graph, other bytes', () => {
  expect(decodeModel(Uint8Array.from([...expected, ...varint(5, 1)]))).toBeUndefined();
  expect(decodeModel(Uint8Array.from([...expected.slice(0, 1), 9, ...expected.slice(2)]))).toBeUndefined();
  expect(decodeModel(Uint8Array.from(varint(1, 8)))).toBeUndefined();
  expect(decodeModel(Uint8Array.from(expected.slice(0, -1)))).toBeUndefined();
  expect(decodeModel(new TextEncoder().encode('no model at all'))).toBeUndefined();
});

test('of any model: metadata, inputs and outputs, and all tensors that it holds', () => {
  const checked = decodeChecked(Uint8Array.from(expected))!;
  expect(checked.metadata).toEqual({ key: 'value', other: '' });
  expect(checked.inputs).toEqual(model.graph.input);
  expect(checked.outputs).toEqual(model.graph.output);
  expect(checked.tensors).toEqual([
    { name: 'w', dataType: 2, rawData: Uint8Array.of(9, 8), floatData: [], doubleData: [], externalData: [] },
  ]);
  const entry = field(14, field(1, 'k'), field(2, 'v'));
  const least = bytes(varint(1, 3), field(8, varint(2, 7)), entry, field(14, field(2, 'nameless')), field(14, field(1, 'empty')));
  expect(decodeChecked(Uint8Array.from(least))).toEqual({
    metadata: { k: 'v', '': 'nameless', empty: '' },
    inputs: [],
    outputs: [],
    tensors: [],
  });
});

test('no model: without a version, without an operator set, or nothing that parses', () => {
  const operators = field(8, varint(2, 17));
  expect(decodeChecked(Uint8Array.from(bytes(varint(1, 1), operators)))).toBeDefined();
  expect(decodeChecked(Uint8Array.from(operators))).toBeUndefined();
  expect(decodeChecked(Uint8Array.from(bytes(varint(1, 0), operators)))).toBeUndefined();
  expect(decodeChecked(Uint8Array.from(varint(1, 8)))).toBeUndefined();
  expect(decodeChecked(new TextEncoder().encode('no model at all'))).toBeUndefined();
});

test('a type or a shape that is not known', () => {
  const strange = (type: readonly number[]) =>
    bytes(varint(1, 8), field(7, field(11, field(1, 'x'), type)), field(8, varint(2, 17)));
  const inputs = (type: readonly number[]) => decodeChecked(Uint8Array.from(strange(type)))!.inputs;
  expect(inputs([])).toEqual([{ name: 'x', type: 'float' }]);
  expect(inputs(field(2))).toEqual([{ name: 'x', type: 'float' }]);
  expect(inputs(field(2, field(1, varint(1, 3))))).toEqual([{ name: 'x', type: 'int8' }]);
  expect(inputs(field(2, field(1, varint(1, 99), field(2, field(1)))))).toEqual([{ name: 'x', type: 'float', shape: [0] }]);
});
