/** A frozen file whose logits are known, as they are the colours of an image of one pixel. */
import { buildGraph } from '../src/deploy/onnx/graph.ts';
import { encodeModel, type ModelProto } from '../src/deploy/onnx/schema.ts';
import type { ImageSet } from '../src/data/dataset.ts';

/** `[3, H, W]` */
export const onePixel = [3, 1, 1] as const;

/** The logits are red, green and blue, each times its factor. `x` are the colours, and `x/scaled` the logits. */
export function pixelModel(...factors: readonly [number, number, number]): ModelProto {
  const face = {
    name: 'pixel',
    input: { name: 'image', type: 'uint8', shape: ['N', 1, 1, 3] },
    outputs: [
      { name: 'logits', type: 'float', shape: ['N', 3] },
      { name: 'probabilities', type: 'float', shape: ['N', 3] },
    ],
  } as const;
  const graph = buildGraph(face, (g) => {
    const x = g.node('Flatten', 'x', [g.node('Cast', 'cast', ['image'], { to: 1 })]);
    const scaled = g.node('Mul', 'scaled', [x, g.floats('factors', factors, [1, 3])]);
    return [g.node('Identity', 'identity', [scaled]), g.node('Softmax', 'softmax', [scaled], { axis: 1 })];
  });
  return { producerName: 'test', producerVersion: '0', docString: '', graph, metadata: {} };
}

export function pixelFile(...factors: readonly [number, number, number]): Uint8Array {
  return encodeModel(pixelModel(...factors));
}

/** Images of one pixel with these colours. */
export function pixels(colours: readonly (readonly [number, number, number])[], labels: readonly number[]): ImageSet {
  return { count: colours.length, images: Uint8Array.from(colours.flat()), labels: Uint8Array.from(labels) };
}
