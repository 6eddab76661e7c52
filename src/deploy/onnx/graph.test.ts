import { expect, test } from 'vitest';
import { buildGraph } from './graph.ts';

const value = (name: string) => ({ name, type: 'float' }) as const;

test('nodes and constants as they are added; names that are taken are numbered; outputs get the names of the interface', () => {
  const graph = buildGraph({ name: 'g', input: value('x'), outputs: [value('y'), value('z')] }, (g) => {
    const first = g.node('Neg', 'a', ['x']);
    const second = g.node('Clip', 'a', [first, g.floats('a', [0.5])], { axis: 1, axes: [2, 3], alpha: { float: 1 } });
    const third = g.node('Slice', 'y', [first, g.integers('i', [-1, 2 ** 40])]);
    return [third, g.node('Add', 'x', [second, third, g.floats('f', Float32Array.of(1, -2), [1, 2])])];
  });
  expect(graph.name).toBe('g');
  expect(graph.input).toEqual([value('x')]);
  expect(graph.output).toEqual([value('y'), value('z')]);
  expect(graph.node).toEqual([
    { name: 'a', opType: 'Neg', input: ['x'], output: ['a'], attribute: [] },
    {
      name: 'a_2',
      opType: 'Clip',
      input: ['a', 'a_1'],
      output: ['a_2'],
      attribute: [
        { name: 'axis', type: 2, i: 1 },
        { name: 'axes', type: 7, ints: [2, 3] },
        { name: 'alpha', type: 1, f: 1 },
      ],
    },
    { name: 'y', opType: 'Slice', input: ['a', 'i'], output: ['y'], attribute: [] },
    { name: 'z', opType: 'Add', input: ['a_2', 'y', 'f'], output: ['z'], attribute: [] },
  ]);
  expect(graph.initializer).toEqual([
    // float is type 1, int64 is type 7; 0.5 is 0x3f000000.
    { name: 'a_1', dims: [], dataType: 1, rawData: Uint8Array.of(0, 0, 0, 0x3f) },
    { name: 'i', dims: [2], dataType: 7, rawData: Uint8Array.of(...Array<number>(8).fill(255), 0, 0, 0, 0, 0, 1, 0, 0) },
    { name: 'f', dims: [1, 2], dataType: 1, rawData: Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0) },
  ]);
});
