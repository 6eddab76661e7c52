/**
 * Preprocessing as part of the graph: what data/transform.ts does to an evaluation image, in ONNX's operators. Whoever loads the file
 * hands over bytes, and cannot get it wrong.
 */
import type { Standardization } from '../../data/preprocessing.ts';
import { type Shape } from '../../nn/shape.ts';
import type { GraphBuilder } from './graph.ts';

/**
 * Adds the way from `image`, uint8 `[N, H, W, C]` of at least the input's height and width, to float32 `[N, C, height, width]`: centre crop, then
 * standardization. An image that is too small fails in the reshape.
 *
 * @param inputShape `[C, height, width]` of the network's input
 *
 * @returns the tensor for the network's input
 */
export function addPreprocessing(
  graph: GraphBuilder,
  image: string,
  inputShape: Shape,
  standardization: Standardization,
): string {
  const cropped = addCentreCrop(graph, image, inputShape);
  const floats = graph.node('Cast', 'preprocess/floats', [cropped], { to: 1 });
  const planar = graph.node('Transpose', 'preprocess/planar', [floats], { perm: [0, 3, 1, 2] });
  return standardization.type === 'image'
    ? standardizeByImage(
        graph,
        planar,
        inputShape.reduce((product, extent) => product * extent, 1),
      )
    : standardizeByChannel(graph, planar, standardization.mean, standardization.deviation);
}

/** Rows and columns from floor((extent of the image - that of the input) / 2) on, as in data/transform.ts. */
function addCentreCrop(graph: GraphBuilder, image: string, [channels, height, width]: Shape): string {
  const extents = graph.node('Shape', 'preprocess/extents', [image], { start: 1, end: 3 });
  const sides = graph.integers('preprocess/size', [height!, width!]);
  const margins = graph.node('Sub', 'preprocess/margins', [extents, sides]);
  const starts = graph.node('Div', 'preprocess/starts', [margins, graph.integers('preprocess/two', [2])]);
  const ends = graph.node('Add', 'preprocess/ends', [starts, sides]);
  const axes = graph.integers('preprocess/axes', [1, 2]);
  const cropped = graph.node('Slice', 'preprocess/crop', [image, starts, ends, axes]);
  // Fixes the shape for what follows, and refuses images too small to be cropped: 0 keeps the batch dimension.
  const shape = graph.integers('preprocess/shape', [0, height!, width!, channels!]);
  return graph.node('Reshape', 'preprocess/cropped', [cropped, shape]);
}

/** (x - mean) / max(deviation, 1 / sqrt(n)) over all `n` elements of an image. */
function standardizeByImage(graph: GraphBuilder, x: string, n: number): string {
  const overImage = { axes: [1, 2, 3], keepdims: 1 };
  const mean = graph.node('ReduceMean', 'preprocess/mean', [x], overImage);
  const centred = graph.node('Sub', 'preprocess/centred', [x, mean]);
  const squares = graph.node('Mul', 'preprocess/squares', [centred, centred]);
  const variance = graph.node('ReduceMean', 'preprocess/variance', [squares], overImage);
  const deviation = graph.node('Sqrt', 'preprocess/deviation', [variance]);
  const least = graph.floats('preprocess/least_deviation', [1 / Math.sqrt(n)]);
  const divisor = graph.node('Max', 'preprocess/divisor', [deviation, least]);
  return graph.node('Div', 'preprocess/standardized', [centred, divisor]);
}

/** (x / 255 - mean) / deviation for each channel. */
function standardizeByChannel(graph: GraphBuilder, x: string, mean: readonly number[], deviation: readonly number[]): string {
  const perChannel = (name: string, values: readonly number[]) =>
    graph.floats(
      `preprocess/${name}`,
      values.map((value) => 255 * value),
      [1, values.length, 1, 1],
    );
  const centred = graph.node('Sub', 'preprocess/centred', [x, perChannel('mean', mean)]);
  return graph.node('Div', 'preprocess/standardized', [centred, perChannel('deviation', deviation)]);
}
