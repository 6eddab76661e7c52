import { expect, test } from 'vitest';
import { buildModel } from '../../models/registry.ts';
import { NetworkBuilder, type Network, type Tensor } from '../../nn/network.ts';
import { spreadConcats } from './spread-concats.ts';

const namesOf = ({ layers }: Network): string[] => layers.map(({ name }) => name);
const inputsOf = ({ layers }: Network, name: string) => layers.find((layer) => layer.name === name)?.inputs;

/** The network in which `build` reads the concat of 16 and 32 channels. */
function reading(build: (b: NetworkBuilder, joined: Tensor) => Tensor): Network {
  const b = new NetworkBuilder('small', [3, 8, 8]);
  const left = b.conv('left', b.input, { kernel: 1, filters: 16 });
  return spreadConcats(b.build(build(b, b.concat('joined', left, b.conv('right', b.input, { kernel: 3, filters: 32 })))));
}

test('squeeze1 has no concat left: its fires feed squeezing convolutions, one of them through a pool', () => {
  const spread = spreadConcats(buildModel('squeeze1'));
  expect(spread.layers.filter(({ kind }) => kind === 'concat')).toEqual([]);
  expect(inputsOf(spread, 'fire2/squeeze')).toEqual(['fire1/expand1x1', 'fire1/expand3x3']);
  expect(inputsOf(spread, 'pool2(1)')).toEqual(['fire2/expand3x3']);
  expect(inputsOf(spread, 'fire3/squeeze')).toEqual(['pool2(0)', 'pool2(1)']);
});

test.each<[string, (b: NetworkBuilder, x: Tensor) => Tensor]>([
  ['a 3x3 convolution', (b, x) => b.conv('c', x, { kernel: 3, filters: 4 })],
  ['a strided convolution', (b, x) => b.conv('c', x, { kernel: 1, stride: 2, filters: 4 })],
  ['a convolution in groups', (b, x) => b.conv('c', x, { kernel: 1, filters: 4, groups: 2 })],
  ['a convolution of more filters than there are channels', (b, x) => b.conv('c', x, { kernel: 1, filters: 48 })],
  ['an average', (b, x) => b.globalAvgPool('mean', x)],
  ['nothing: it is the output', (_, x) => x],
  ['something else as well', (b, x) => b.concat('all', x, b.conv('c', x, { kernel: 1, filters: 4 }))],
  ['a pool that is the output', (b, x) => b.maxPool('p', x, { kernel: 2, stride: 2 })],
])('a concat stays that is read by %s', (_what, build) => {
  expect(namesOf(reading(build))).toContain('joined');
});

test('what the parts cost in a wider convolution is weighed against the copies', () => {
  expect(namesOf(reading((b, x) => b.conv('c', x, { kernel: 1, filters: 47 })))).toEqual(['left', 'right', 'c']);
});
