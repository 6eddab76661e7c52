/** ONNX files: metadata, graph and weights changed field by field; cut off; other files under the name. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeModel, encodeModel, type ModelProto } from '../../../src/deploy/onnx/schema.ts';
import type { Draw } from '../draw.ts';
import type { Family } from '../family.ts';
import { copyFixtures } from '../fixtures.ts';
import { anotherFile, flipped, truncated } from '../mutate-bytes.ts';
import { mutateJson, short } from '../mutate-json.ts';
import { oddJson } from '../values.ts';

interface Mutated {
  readonly bytes: Uint8Array;
  readonly what: string;
  readonly refused: boolean;
}

const commands: readonly (readonly string[])[] = [
  ['label', 'odd.onnx', 'pictures/test/a/0.png', '--runs', '1'],
  ['label', 'odd.onnx', 'pictures/test', '--runs', '1', '--json'],
  ['bench', 'infer', 'odd.onnx', '--rounds', '1', '--round-ms', '1', '--batch-sizes', '2', '--threads', '1'],
  ['quantize', 'odd.onnx', '-o', 'out.onnx', '--images', '4', '--data', 'images:pictures'],
  ['demo', 'odd.onnx', '--port', '0'],
  ['eval', 'odd.onnx', '--data', 'images:pictures'],
  ['export', 'odd.onnx', '--c', 'out', '--images', '32', '--vectors', '1', '--data', 'images:pictures'],
];

export const frozen: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures');
  const args = draw.pick(commands);
  const { bytes, what, refused } = mutate(args[0] === 'export' ? fixtures.device : fixtures.frozen, draw);
  const zipped = draw.below(6) === 0;
  writeFileSync(join(folder, 'odd.onnx'), zipped ? gzipSync(bytes) : bytes);
  return { what: `a frozen file${zipped ? ', compressed' : ''}: ${what}`, args, refused, serves: args[0] === 'demo' };
};

function mutate(bytes: Uint8Array, draw: Draw): Mutated {
  const model = decodeModel(bytes)!;
  switch (draw.below(10)) {
    case 0:
      return { ...truncated(bytes, draw, [0, 1, 2, bytes.length - 1]), refused: true };
    case 1:
      return { ...anotherFile(draw), refused: true };
    case 2:
      return { ...flipped(bytes, draw), refused: false };
    case 3:
    case 4: {
      const key = draw.pick(Object.keys(model.metadata));
      const odd = draw.pick(oddJson);
      const text = typeof odd === 'string' ? odd : JSON.stringify(odd);
      return { ...withMetadata(model, key, text), what: `${key} = ${short(odd)}`, refused: false };
    }
    case 5: {
      const key = draw.pick(['config', 'classes', 'accuracy']);
      const { value, what } = mutateJson(JSON.parse(model.metadata[key] ?? '{"value":1}'), draw);
      return { ...withMetadata(model, key, JSON.stringify(value)), what: `${key}: ${what}`, refused: false };
    }
    case 6: {
      const counts = ['["a"]', '[]', '["a","b","c"]', JSON.stringify(Array.from({ length: 50 }, (_, i) => `c${i}`))];
      const classes = draw.pick(counts);
      return { ...withMetadata(model, 'classes', classes), what: `classes = ${short(classes)}`, refused: true };
    }
    case 7: {
      const { graph } = model;
      const at = draw.below(graph.initializer.length);
      const change = draw.pick(['dims', 'dataType', 'rawData', 'name'] as const);
      const odd = {
        dims: draw.pick([[], [0], [-1], [1e9, 1e9], [2 ** 31], [1, 2, 3, 4, 5, 6, 7, 8, 9]]),
        dataType: draw.pick([0, 8, 99, -1]),
        rawData: draw.pick([new Uint8Array(), graph.initializer[at]!.rawData.subarray(0, 3)]),
        name: draw.pick(['', 'other']),
      };
      const initializer = graph.initializer.map((tensor, i) => (i === at ? { ...tensor, [change]: odd[change] } : tensor));
      const what = `${change} of ${graph.initializer[at]!.name} = ${short(odd[change])}`;
      return { bytes: encodeModel({ ...model, graph: { ...graph, initializer } }), what, refused: false };
    }
    case 8: {
      const { graph } = model;
      const at = draw.below(graph.node.length);
      const { name } = graph.node[at]!;
      const odd = draw.pick([
        { opType: 'Loop' },
        { opType: 'NoSuchOperator' },
        { input: [] },
        { input: graph.node[at]!.output },
        { output: ['elsewhere'] },
        { attribute: [] },
        undefined,
      ]);
      const node = graph.node.flatMap((each, i) => (i === at ? (odd === undefined ? [] : [{ ...each, ...odd }]) : [each]));
      const what = odd === undefined ? `node ${name} left out` : `node ${name} with ${short(odd)}`;
      return { bytes: encodeModel({ ...model, graph: { ...graph, node } }), what, refused: false };
    }
    default: {
      const { graph } = model;
      const output = graph.output.map((value, i) => (i === 0 ? { ...value, name: 'elsewhere' } : value));
      const changes: readonly (readonly [string, Partial<ModelProto['graph']>])[] = [
        ['no inputs', { input: [] }],
        ['no outputs', { output: [] }],
        ['its last output alone', { output: graph.output.slice(1) }],
        ['its first output alone', { output: graph.output.slice(0, 1) }],
        ['an output that nothing makes', { output }],
        ['an input of 10^9 pixels', { input: graph.input.map((value) => ({ ...value, shape: ['N', 1e9, 1e9, 3] })) }],
        ['a float input', { input: graph.input.map((value) => ({ ...value, type: 'float' as const })) }],
        ['no nodes', { node: [] }],
      ];
      const [what, change] = draw.pick(changes);
      return { bytes: encodeModel({ ...model, graph: { ...graph, ...change } }), what, refused: false };
    }
  }
}

function withMetadata(model: ModelProto, key: string, value: string): { readonly bytes: Uint8Array } {
  return { bytes: encodeModel({ ...model, metadata: { ...model.metadata, [key]: value } }) };
}
