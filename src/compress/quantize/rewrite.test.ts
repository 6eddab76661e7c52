import { describe, expect, test } from 'vitest';
import { buildGraph } from '../../deploy/onnx/graph.ts';
import { dataTypes, type GraphProto } from '../../deploy/onnx/schema.ts';
import { DataError } from '../../util/errors.ts';
import { weightedLayers } from './layers.ts';
import type { ActivationScale } from '../../deploy/integers/ranges.ts';
import { withFloat16Weights, withInt8Weights, withIntegerArithmetic } from './rewrite.ts';
import { constantTensor, floatsOf } from './tensors.ts';

/** A convolution of two filters with biases, a ReLU, a max pool and a dense layer without. */
const graph = buildGraph(
  {
    name: 'g',
    input: { name: 'x', type: 'float', shape: ['N', 1, 8, 8] },
    outputs: [{ name: 'logits', type: 'float', shape: ['N', 2] }],
  },
  (g) => {
    const scaled = g.node('Div', 'scaled', ['x', g.floats('deviation', [2])]);
    const weights = g.floats('conv.weight', [1, -2, 0.5, 0.25], [2, 2, 1, 1]);
    const conv = g.node('Conv', 'conv', [scaled, weights, g.floats('conv.bias', [3, -1], [2])]);
    const pool = g.node('MaxPool', 'pool', [g.node('Relu', 'conv/relu', [conv])]);
    return [
      g.node('Gemm', 'logits/gemm', [g.node('Flatten', 'flat', [pool]), g.floats('logits.weight', [4, 1], [1, 2])], {
        transB: 1,
      }),
    ];
  },
);
const layers = weightedLayers(graph);
const named = (...names: readonly string[]) => layers.filter(({ name }) => names.includes(name));

const scale = (value: number, zeroPoint: number): ActivationScale => ({ scale: value, zeroPoint });
const scales = new Map([
  ['scaled', scale(0.5, 10)],
  ['conv/relu', scale(0.25, 0)],
  ['pool', scale(0.25, 0)],
  ['flat', scale(0.25, 0)],
]);

const nodesOf = ({ node }: GraphProto) =>
  node.map(({ opType, input, output }) => `${opType} ${input.join(' ')} > ${output.join(' ')}`);

const arrays = {
  [dataTypes.float]: Float32Array,
  [dataTypes.int8]: Int8Array,
  [dataTypes.uint8]: Uint8Array,
  [dataTypes.int32]: Int32Array,
  [dataTypes.float16]: Uint16Array,
};
const constantsOf = ({ initializer }: GraphProto) =>
  Object.fromEntries(
    initializer.map(({ name, dims, dataType, rawData }) => {
      const values = new arrays[dataType as keyof typeof arrays](new Uint8Array(rawData).buffer);
      return [name, [dims.join('x'), dataType, ...values]];
    }),
  );

describe('integer arithmetic', () => {
  test('integers are stored behind what makes them, and each reader makes floats of them', () => {
    expect(nodesOf(withIntegerArithmetic(graph, layers, scales, 7))).toEqual([
      'Div x deviation > scaled',
      'QuantizeLinear scaled scaled/scale scaled/zero_point > scaled/integers',
      'DequantizeLinear scaled/integers scaled/scale scaled/zero_point > scaled/float1',
      'DequantizeLinear conv.weight/integers conv.weight/scale conv.weight/zero_point > conv.weight/float',
      'DequantizeLinear conv.bias/integers conv.bias/scale > conv.bias/float',
      'Conv scaled/float1 conv.weight/float conv.bias/float > conv',
      'Relu conv > conv/relu',
      'QuantizeLinear conv/relu conv/relu/scale conv/relu/zero_point > conv/relu/integers',
      'DequantizeLinear conv/relu/integers conv/relu/scale conv/relu/zero_point > conv/relu/float1',
      'MaxPool conv/relu/float1 > pool',
      'QuantizeLinear pool pool/scale pool/zero_point > pool/integers',
      'DequantizeLinear pool/integers pool/scale pool/zero_point > pool/float1',
      'Flatten pool/float1 > flat',
      'QuantizeLinear flat flat/scale flat/zero_point > flat/integers',
      'DequantizeLinear flat/integers flat/scale flat/zero_point > flat/float1',
      'DequantizeLinear logits.weight/integers logits.weight/scale logits.weight/zero_point > logits.weight/float',
      'Gemm flat/float1 logits.weight/float > logits',
    ]);
  });

  test('constants: weights and biases by channel, scales of activations, nothing of what they replace', () => {
    const { float, int8, uint8, int32 } = dataTypes;
    expect(constantsOf(withIntegerArithmetic(graph, layers, scales, 7))).toEqual({
      deviation: ['', float, 2],
      'conv.weight/integers': ['2x2x1x1', int8, 32, -64, 64, 32],
      'conv.weight/scale': ['2', float, 2 / 64, 0.5 / 64],
      'conv.weight/zero_point': ['2', int8, 0, 0],
      // In units of 0.5 (of the input) times the filter's scale.
      'conv.bias/integers': ['2', int32, 192, -256],
      'conv.bias/scale': ['2', float, 1 / 64, 0.25 / 64],
      'scaled/scale': ['', float, 0.5],
      'scaled/zero_point': ['', uint8, 10],
      'conv/relu/scale': ['', float, 0.25],
      'conv/relu/zero_point': ['', uint8, 0],
      'pool/scale': ['', float, 0.25],
      'pool/zero_point': ['', uint8, 0],
      'flat/scale': ['', float, 0.25],
      'flat/zero_point': ['', uint8, 0],
      'logits.weight/integers': ['1x2', int8, 64, 16],
      'logits.weight/scale': ['1', float, 4 / 64],
      'logits.weight/zero_point': ['1', int8, 0],
    });
    const eight = constantsOf(withIntegerArithmetic(graph, layers, scales, 8));
    expect(eight['logits.weight/integers']).toEqual(['1x2', int8, 127, 32]);
  });

  test('scales go along the first axis; the attributes of other nodes stay', () => {
    const { node } = withIntegerArithmetic(graph, layers, scales, 7);
    const axes = node
      .filter(({ attribute }) => attribute.length > 0)
      .map(({ name, attribute }) => [name, attribute[0]!.name, attribute[0]!.i]);
    expect(axes).toEqual([
      ['conv.weight/float', 'axis', 0],
      ['conv.bias/float', 'axis', 0],
      ['logits.weight/float', 'axis', 0],
      ['logits', 'transB', 1],
    ]);
  });

  test('a bias that is large beside its weights gives the filter a larger scale', () => {
    const initializer = graph.initializer.map((tensor) =>
      tensor.name === 'conv.bias' ? constantTensor('conv.bias', 'float', [2], Float32Array.of(2 ** 30, -1)) : tensor,
    );
    const changed = { ...graph, initializer };
    const constants = constantsOf(withIntegerArithmetic(changed, weightedLayers(changed), scales, 7));
    // 2^30 in units of 0.5 * 2.
    expect(constants['conv.weight/scale']).toEqual(['2', dataTypes.float, 2, 0.5 / 64]);
    expect(constants['conv.weight/integers']).toEqual(['2x2x1x1', dataTypes.int8, 1, -1, 64, 32]);
    expect(constants['conv.bias/integers']).toEqual(['2', dataTypes.int32, 2 ** 30, -256]);
  });

  test('several readers have a float tensor each; layers that are kept stay as they are', () => {
    const twice = buildGraph(
      {
        name: 'g',
        input: { name: 'x', type: 'float', shape: ['N', 1] },
        outputs: [{ name: 'logits', type: 'float', shape: ['N', 1] }],
      },
      (g) => {
        const a = g.node('Conv', 'a', ['x', g.floats('a.weight', [1], [1, 1, 1, 1])]);
        const b = g.node('Conv', 'b', [a, g.floats('b.weight', [1], [1, 1, 1, 1])]);
        const c = g.node('Conv', 'c', [a, g.floats('c.weight', [1], [1, 1, 1, 1])]);
        return [g.node('Conv', 'd', [g.node('Add', 'sum', [b, c]), g.floats('d.weight', [1], [1, 1, 1, 1])])];
      },
    );
    const quantized = weightedLayers(twice).filter(({ name }) => name !== 'd');
    const all = new Map(['x', 'a', 'b', 'c'].map((name) => [name, scale(1, 0)]));
    const nodes = nodesOf(withIntegerArithmetic(twice, quantized, all, 7)).filter((node) => !node.includes('.weight/integers'));
    expect(nodes).toContain('Conv a/float1 b.weight/float > b');
    expect(nodes).toContain('Conv a/float2 c.weight/float > c');
    expect(nodes.at(-1)).toBe('Conv sum d.weight > logits');
  });
});

describe('stored weights', () => {
  test('of 8 bits are made floats in front of their layers; nothing else changes', () => {
    const stored = withInt8Weights(graph, named('conv'));
    expect(nodesOf(stored)).toEqual([
      'Div x deviation > scaled',
      'DequantizeLinear conv.weight/integers conv.weight/scale conv.weight/zero_point > conv.weight/float',
      'Conv scaled conv.weight/float conv.bias > conv',
      'Relu conv > conv/relu',
      'MaxPool conv/relu > pool',
      'Flatten pool > flat',
      'Gemm flat logits.weight > logits',
    ]);
    const constants = constantsOf(stored);
    expect(Object.keys(constants).sort()).toEqual(
      ['conv.bias', 'conv.weight/integers', 'conv.weight/scale', 'conv.weight/zero_point', 'deviation', 'logits.weight'].sort(),
    );
    expect(constants['conv.weight/integers']).toEqual(['2x2x1x1', dataTypes.int8, 64, -127, 127, 64]);
    expect(constants['conv.weight/scale']).toEqual(['2', dataTypes.float, Math.fround(2 / 127), Math.fround(0.5 / 127)]);
  });

  test('of 16 bits are cast', () => {
    const stored = withFloat16Weights(graph, named('logits'));
    expect(nodesOf(stored).slice(-2)).toEqual([
      'Cast logits.weight/float16 > logits.weight/float',
      'Gemm flat logits.weight/float > logits',
    ]);
    expect(constantsOf(stored)['logits.weight/float16']).toEqual(['1x2', dataTypes.float16, 0x4400, 0x3c00]);
    expect(stored.node.at(-2)!.attribute).toMatchObject([{ name: 'to', i: dataTypes.float }]);
    expect(constantsOf(stored)).not.toHaveProperty(['logits.weight']);
  });

  test.each([
    [65504, true],
    [-65504, true],
    [65536, false],
    [-65536, false],
    [Infinity, false],
  ])('of 16 bits hold %d: %j', (value, fits) => {
    const initializer = graph.initializer.map((tensor) =>
      tensor.name === 'conv.weight'
        ? constantTensor('conv.weight', 'float', tensor.dims, Float32Array.of(1, value, 1, 1))
        : tensor,
    );
    const changed = { ...graph, initializer };
    const store = () => withFloat16Weights(changed, weightedLayers(changed));
    if (fits) expect(store).not.toThrow();
    else {
      expect(store).toThrow(DataError);
      expect(store).toThrow('a weight of conv is larger than float16 holds (65504)');
    }
  });
});

test('tensors are read wherever their bytes lie, and share nothing', () => {
  const bytes = new Uint8Array(9);
  bytes.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1);
  const values = floatsOf({ name: 'a', dims: [2], dataType: 1, rawData: bytes.subarray(1) });
  expect([...values]).toEqual([1.5, -2]);
  bytes.fill(0);
  expect([...values]).toEqual([1.5, -2]);
  const part = constantTensor('b', 'int8', [2], new Int8Array(Int8Array.of(1, 2, 3, 4).buffer, 1, 2));
  expect(part).toEqual({ name: 'b', dims: [2], dataType: 3, rawData: Uint8Array.of(2, 3) });
});
