/** The weights of a network without some of its channels. */
import type { Layer } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { spread, type Channels } from './channels.ts';

/**
 * Leaves out what belongs to removed channels: the filters that make them with their biases, their normalization, and the weights by which
 * other layers read them. The result is for the network whose layers have `widthsWithout` filters.
 *
 * @param tensors of parameters of the network, all or some: the result has the same ones
 * @param removed numbers of channels
 */
export function shrinkWeights(
  network: Network,
  channels: Channels,
  tensors: ReadonlyMap<string, Tensor>,
  removed: ReadonlySet<number>,
): Map<string, Tensor> {
  const shrunk = new Map<string, Tensor>();
  for (const layer of network.layers) {
    const rows = keptPositions(channels.outputs.get(layer.name)!, removed);
    for (const spec of layer.parameters) {
      const whole = tensors.get(spec.name);
      if (whole === undefined) continue;
      // It keeps all channels that it reads and makes.
      if (layer.kind === 'custom') {
        shrunk.set(spec.name, whole);
        continue;
      }
      const tensor = takeRows(whole, rows);
      const inputs = channelsRead(layer, spec, channels);
      shrunk.set(spec.name, inputs === undefined ? tensor : takeColumns(tensor, keptPositions(inputs, removed)));
    }
  }
  return shrunk;
}

/** The number of filters or features left of every layer that makes channels of its own. */
export function widthsWithout({ channels }: Channels, removed: ReadonlySet<number>): Map<string, number> {
  const widths = new Map<string, number>();
  channels.forEach(({ filters }, channel) => {
    for (const { layer } of filters) widths.set(layer, (widths.get(layer) ?? 0) + (removed.has(channel) ? 0 : 1));
  });
  return widths;
}

/** The channels along the second axis of a parameter; undefined for those without one, and for depthwise filters, which have one channel. */
export function channelsRead(layer: Layer, spec: ParameterSpec, { outputs }: Channels): Int32Array | undefined {
  if (spec.role !== 'weight') return undefined;
  if (layer.kind === 'conv' && layer.attributes.groups > 1) return undefined;
  return spread(outputs.get(layer.inputs[0]!)!, spec.shape[1]!);
}

function keptPositions(channels: Int32Array, removed: ReadonlySet<number>): number[] {
  return [...channels.keys()].filter((position) => !removed.has(channels[position]!));
}

/** `[R, ...]` to `[rows, ...]` */
function takeRows({ shape, data }: Tensor, rows: readonly number[]): Tensor {
  const size = data.length / shape[0]!;
  const taken = new Float32Array(rows.length * size);
  rows.forEach((row, i) => taken.set(data.subarray(row * size, (row + 1) * size), i * size));
  return { shape: [rows.length, ...shape.slice(1)], data: taken };
}

/** `[R, C, ...]` to `[R, columns, ...]` */
function takeColumns({ shape, data }: Tensor, columns: readonly number[]): Tensor {
  const [rows, allColumns, ...rest] = shape as readonly [number, number, ...number[]];
  const size = data.length / (rows * allColumns);
  const taken = new Float32Array(rows * columns.length * size);
  for (let row = 0; row < rows; row++) {
    columns.forEach((column, i) => {
      const from = (row * allColumns + column) * size;
      taken.set(data.subarray(from, from + size), (row * columns.length + i) * size);
    });
  }
  return { shape: [rows, columns.length, ...rest], data: taken };
}
