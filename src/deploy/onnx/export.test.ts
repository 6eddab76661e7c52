import { expect, test } from 'vitest';
import { NetworkBuilder } from '../../nn/network.ts';
import { exportOnnx } from './export.ts';
import { decodeModel } from './schema.ts';

const b = new NetworkBuilder('tiny', [3, 4, 4]);
const network = b.build(b.dense('logits', b.activation('r', b.input, 'relu'), { features: 2 }));
const weights = new Map([
  ['logits.weight', { shape: [2, 48], data: new Float32Array(96).fill(0.5) }],
  ['logits.bias', { shape: [2], data: Float32Array.of(1, -1) }],
]);
const standardization = { type: 'image' } as const;
const options = { network, weights, version: '1.2.3', metadata: { a: 'b' } };

test('the face of a frozen file: image in, logits and their softmax out', () => {
  const bytes = exportOnnx({ ...options, preprocessing: { inputSize: 4, standardization } });
  const { graph, ...rest } = decodeModel(bytes)!;
  expect(rest).toEqual({
    producerName: 'ablate',
    producerVersion: '1.2.3',
    docString:
      'tiny, an image classifier. Input: image, uint8 [N, H, W, 3], RGB, H and W at least 4. ' +
      'Cropping to the central 4x4 pixels and standardization are part of the graph.',
    metadata: { a: 'b' },
  });
  expect(graph.name).toBe('tiny');
  expect(graph.input).toEqual([{ name: 'image', type: 'uint8', shape: ['N', 'H', 'W', 3] }]);
  expect(graph.output).toEqual([
    { name: 'logits', type: 'float', shape: ['N', 2] },
    { name: 'probabilities', type: 'float', shape: ['N', 2] },
  ]);
  const operators = graph.node.map(({ opType, input, output }) => `${output[0]} = ${opType}(${input.join()})`);
  expect(operators[0]).toBe('preprocess/extents = Shape(image)');
  expect(operators.slice(-4)).toEqual([
    'r = Relu(preprocess/standardized)',
    'logits/flatten = Flatten(r)',
    'logits = Gemm(logits/flatten,logits.weight,logits.bias)',
    'probabilities = Softmax(logits)',
  ]);
  expect(graph.node.at(-1)!.attribute).toMatchObject([{ name: 'axis', type: 2, i: 1 }]);
  expect(exportOnnx({ ...options, preprocessing: { inputSize: 4, standardization } })).toEqual(bytes);
});

test('a network of another size than its preprocessing is refused', () => {
  expect(() => exportOnnx({ ...options, preprocessing: { inputSize: 5, standardization } })).toThrow(
    'input of tiny (=3x4x4) must be 1x5x5 or 3x5x5: grey or RGB images as they are preprocessed',
  );
});
