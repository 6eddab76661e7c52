import { expect, test } from 'vitest';
import { NetworkBuilder, type Tensor } from '../../nn/network.ts';
import { foldBatchNorms } from '../onnx/fold.ts';
import { consumersOf } from './graph.ts';
import { lowerNetwork } from './lower.ts';
import { simplify } from './simplify.ts';

/** The nodes that are left, each as `name = kind(inputs) clamp`. */
function simplified(build: (b: NetworkBuilder, x: Tensor) => Tensor, statistic = 1): string[] {
  const b = new NetworkBuilder('n', [3, 6, 6]);
  const network = b.build(build(b, b.input));
  const weights = new Map(
    network.parameters.map(({ name, shape, role }) => {
      const value = role === 'scale' ? statistic : role === 'variance' ? 1 : 0.5;
      return [name, { shape, data: new Float32Array(shape.reduce((a, n) => a * n, 1)).fill(value) }];
    }),
  );
  const graph = simplify(lowerNetwork(network, foldBatchNorms(network, weights)));
  for (const { name } of graph.nodes) {
    if (name !== graph.output) expect(consumersOf(graph, name).length, name).toBeGreaterThan(0);
  }
  return graph.nodes.map((node) => {
    const what = node.kind === 'curve' ? node.activation.type : node.kind;
    const clamp = 'clamp' in node && node.clamp !== null ? ` ${node.clamp}` : '';
    return `${node.name} = ${what}(${node.inputs.join()})${clamp}`;
  });
}

const conv = (b: NetworkBuilder, name: string, x: Tensor, filters = 4) => b.conv(name, x, { kernel: 3, filters });

test('normalization, scale and ReLU belong to the convolution before them', () => {
  const chain = simplified((b, x) =>
    b.globalAvgPool('p', b.activation('r', b.scale('s', b.batchNorm('n', conv(b, 'c', x)), 3), 'relu6')),
  );
  expect(chain).toEqual(['c = conv(input) relu6', 'p = globalAverage(c)']);
});

test('behind a ReLU, only a factor above zero without a shift can be', () => {
  const scaled = (factor: number) =>
    simplified((b, x) => b.globalAvgPool('p', b.scale('s', b.activation('r', conv(b, 'c', x), 'relu'), factor)));
  expect(scaled(3)).toEqual(['c = conv(input) relu', 'p = globalAverage(c)']);
  expect(scaled(-3)).toEqual(['c = conv(input) relu', 's = conv(c)', 'p = globalAverage(s)']);
  const normalized = simplified((b, x) => b.globalAvgPool('p', b.batchNorm('n', b.activation('r', conv(b, 'c', x), 'relu'))));
  expect(normalized).toEqual(['c = conv(input) relu', 'n = conv(c)', 'p = globalAverage(n)']);
});

test('normalization moves before a max pool where no factor is negative', () => {
  const network = (b: NetworkBuilder, x: Tensor) =>
    b.globalAvgPool('p', b.activation('r', b.batchNorm('n', b.maxPool('m', conv(b, 'c', x), { kernel: 2 })), 'relu'));
  expect(simplified(network)).toEqual(['c = conv(input) relu', 'm = maxPool(c)', 'p = globalAverage(m)']);
  expect(simplified(network, -1)).toEqual(['c = conv(input)', 'm = maxPool(c)', 'n = conv(m) relu', 'p = globalAverage(n)']);
});

test('a ReLU moves before max pools and concats only where it then belongs to a layer', () => {
  const joined = simplified((b, x) =>
    b.globalAvgPool('p', b.activation('r', b.concat('j', conv(b, 'c', x), conv(b, 'd', x)), 'relu')),
  );
  expect(joined).toEqual(['c = conv(input) relu', 'd = conv(input) relu', 'j = concat(c,d)', 'p = globalAverage(j)']);
  // Somebody else reads the convolution.
  const shared = simplified((b, x) => {
    const c = conv(b, 'c', x);
    return b.globalAvgPool('p', b.add('s', c, b.activation('r', b.maxPool('m', c, { kernel: 3, stride: 1 }), 'relu')));
  });
  expect(shared).toEqual(['c = conv(input)', 'm = maxPool(c)', 'r = relu(m)', 's = add(c,r)', 'p = globalAverage(s)']);
});

test('a hard sigmoid belongs to the convolution before it, and is a layer of factors elsewhere', () => {
  const chain = simplified((b, x) => {
    const c = b.activation('r', b.activation('h', conv(b, 'c', x), 'hardSigmoid'), 'relu6');
    return b.globalAvgPool('p', b.activation('g', b.conv('d', c, { kernel: 1, filters: 4, activation: 'relu' }), 'hardSigmoid'));
  });
  expect(chain).toEqual(['c = conv(input) unit', 'd = conv(c) relu', 'g = conv(d) unit', 'p = globalAverage(g)']);
});

test('what follows a hard sigmoid stays behind it', () => {
  const scaled = simplified((b, x) => b.globalAvgPool('p', b.scale('s', b.activation('h', conv(b, 'c', x), 'hardSigmoid'), 3)));
  expect(scaled).toEqual(['c = conv(input) unit', 's = conv(c)', 'p = globalAverage(s)']);
});

test('sums take ReLUs; curves stay', () => {
  const sum = simplified((b, x) => {
    const c = conv(b, 'c', x);
    return b.globalAvgPool('p', b.activation('g', b.activation('r', b.add('s', c, conv(b, 'd', c), c), 'relu'), 'gelu'));
  });
  expect(sum).toEqual([
    ...['c = conv(input)', 'd = conv(c)', 's/part1 = add(c,d)', 's = add(s/part1,c) relu', 'g = gelu(s)'],
    'p = globalAverage(g)',
  ]);
});

test('concats of concats are one; an average over all pixels is one whatever it is called, and none of one pixel', () => {
  const network = simplified((b, x) => {
    const [c, d, e] = ['c', 'd', 'e'].map((name) => conv(b, name, x)) as [Tensor, Tensor, Tensor];
    const pooled = b.avgPool('a', b.concat('j', c, b.concat('i', d, e)), { kernel: 6 });
    return b.dense('logits', b.globalAvgPool('g', pooled), { features: 2 });
  });
  expect(network.slice(3)).toEqual(['j = concat(c,d,e)', 'a = globalAverage(j)', 'logits = conv(a)']);
});
