/**
 * All parameters of a plan in one buffer. Weights lie as the products read them, `[kernel height, kernel width, channels, filters]`; those of a dense layer
 * likewise, with the pixels of its input for a kernel. Every parameter starts where kernels may begin to see a buffer, so that one text serves all
 * layers of a shape.
 */
import type { Network } from '../../nn/network.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { formatShape, sizeOf } from '../../nn/shape.ts';
import { GpuArray, requireOwn } from './array.ts';
import { alignment } from './gpu.ts';
import type { Lane } from './lanes.ts';
import type { ArenaEntry, DeviceArray, ParameterArena } from '../engine.ts';
import { shader, threadIndex, workgroupsFor } from './kernels/shader.ts';

/** Plain `[filters, channels, pixels]`, in the arena `[pixels, channels, filters]`. */
interface Order {
  readonly filters: number;
  readonly channels: number;
  readonly pixels: number;
}

export interface ArenaPlan {
  readonly entries: readonly ArenaEntry[];
  readonly length: number;
  readonly trainableLength: number;
  readonly orders: ReadonlyMap<string, Order>;
}

/** Where parameters will lie: trainable and frozen ones first, then the statistics. */
export function planArena(network: Network): ArenaPlan {
  const statistics = network.parameters.filter((spec) => spec.kind === 'statistic');
  const learned = network.parameters.filter((spec) => spec.kind !== 'statistic');
  const entries: ArenaEntry[] = [];
  let end = 0;
  const append = (spec: ParameterSpec): void => {
    const length = alignment * Math.ceil(sizeOf(spec.shape) / alignment);
    entries.push({ spec, offset: end, length });
    end += length;
  };
  learned.forEach(append);
  const trainableLength = end;
  statistics.forEach(append);
  return { entries, length: end, trainableLength, orders: ordersOf(network) };
}

/** Of the weights whose order in the arena is not plain. */
function ordersOf({ layers }: Network): ReadonlyMap<string, Order> {
  const orders = new Map<string, Order>();
  for (const layer of layers) {
    const weight = layer.parameters.find(({ role }) => role === 'weight');
    if (weight === undefined || (layer.kind !== 'conv' && layer.kind !== 'dense')) continue;
    const filters = weight.shape[0]!;
    const inputs = sizeOf(weight.shape) / filters;
    const channels = layer.kind === 'conv' ? weight.shape[1]! : layer.inputShapes[0]![0]!;
    orders.set(weight.name, { filters, channels, pixels: inputs / channels });
  }
  return orders;
}

/** Calls `visit` with the places of each element in plain order and in the arena. */
function forEachPlace({ filters, channels, pixels }: Order, visit: (plain: number, place: number) => void): void {
  let plain = 0;
  for (let f = 0; f < filters; f++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) visit(plain++, (p * channels + c) * filters + f);
    }
  }
}

export interface ArenaOptions {
  /** The program whose parameters they are. */
  readonly owner: string;
  readonly gradients: boolean;
}

export class GpuArena implements ParameterArena {
  readonly entries: readonly ArenaEntry[];
  readonly length: number;
  readonly trainableLength: number;
  readonly values: GpuArray;
  readonly gradients: GpuArray;
  readonly #lane: Lane;
  readonly #orders: ReadonlyMap<string, Order>;
  readonly #made: { readonly bytes: number; readonly release: () => void }[] = [];

  /** Makes buffers: under `Gpu.guardMemory`. */
  constructor(lane: Lane, { entries, length, trainableLength, orders }: ArenaPlan, options: ArenaOptions) {
    this.#lane = lane;
    this.entries = entries;
    this.length = length;
    this.trainableLength = trainableLength;
    this.#orders = orders;
    this.values = this.#make('parameters', length, options.owner);
    this.gradients = this.#make('gradients', options.gradients ? trainableLength : 0, options.owner);
  }

  #make(label: string, length: number, owner?: string): GpuArray {
    const { buffer, start, release } = this.#lane.createBuffer(length, label, owner);
    this.#made.push({ bytes: 4 * length, release });
    return new GpuArray(this.#lane, buffer, start, length);
  }

  allocate(): GpuArray {
    return this.#make('parameters', this.length);
  }

  /** Bytes of the arrays that there are. */
  get memoryBytes(): number {
    return this.#made.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async read({ spec, offset }: ArenaEntry, from: DeviceArray): Promise<Float32Array> {
    const size = sizeOf(spec.shape);
    const values = await requireOwn(this.#lane, from)
      .part(offset, offset + size)
      .read();
    const order = this.#orders.get(spec.name);
    if (order === undefined) return values;
    const plain = new Float32Array(size);
    forEachPlace(order, (i, place) => (plain[i] = values[place]!));
    return plain;
  }

  async write({ spec, offset }: ArenaEntry, plain: Float32Array, into: DeviceArray): Promise<void> {
    const size = sizeOf(spec.shape);
    if (plain.length !== size) {
      throw new RangeError(`parameter "${spec.name}" ${formatShape(spec.shape)} has ${size} elements, not ${plain.length}`);
    }
    const order = this.#orders.get(spec.name);
    const values = order === undefined ? plain : new Float32Array(size);
    if (order !== undefined) forEachPlace(order, (i, place) => (values[place] = plain[i]!));
    await requireOwn(this.#lane, into)
      .part(offset, offset + size)
      .write(values);
  }

  unpack(entry: ArenaEntry, from: DeviceArray, plain: DeviceArray): () => void {
    return this.#reorder(entry, requireOwn(this.#lane, from), requireOwn(this.#lane, plain), true);
  }

  pack(entry: ArenaEntry, plain: DeviceArray, into: DeviceArray): () => void {
    return this.#reorder(entry, requireOwn(this.#lane, into), requireOwn(this.#lane, plain), false);
  }

  /** A kernel that carries a parameter between an array in the arena's layout and a plain one. */
  #reorder({ spec, offset }: ArenaEntry, arena: GpuArray, plain: GpuArray, toPlain: boolean): () => void {
    const size = sizeOf(spec.shape);
    if (plain.length !== size) throw new RangeError(`parameter "${spec.name}" has ${size} elements, not ${plain.length}`);
    const { filters, channels, pixels } = this.#orders.get(spec.name) ?? { filters: 1, channels: size, pixels: 1 };
    const { gpu } = this.#lane;
    const { workgroupSize } = gpu.tuning;
    const [arenaPlace, plainPlace] = [
      'parameters.arena + i',
      'parameters.plain + (f * parameters.channels + c) * parameters.pixels + p',
    ];
    const code = shader({
      buffers: [
        { name: 'given', type: 'u32' },
        { name: 'made', type: 'u32', written: true },
      ],
      parameters: { count: 'u32', filters: 'u32', channels: 'u32', pixels: 'u32', arena: 'u32', plain: 'u32' },
      workgroupSize,
      body: `${threadIndex('parameters.count', workgroupSize)}
  let f = i % parameters.filters;
  let c = i / parameters.filters % parameters.channels;
  let p = i / (parameters.filters * parameters.channels);
  made[${toPlain ? plainPlace : arenaPlace}] = given[${toPlain ? arenaPlace : plainPlace}];`,
    });
    const buffers = toPlain ? [arena.buffer, plain.buffer] : [plain.buffer, arena.buffer];
    const bound = gpu.bind(gpu.compileNow(code, [false, true]), buffers, `order of ${spec.name}`);
    const words = Uint32Array.of(size, filters, channels, pixels, arena.start + offset, plain.start);
    return () => this.#lane.enqueue(bound, workgroupsFor(size, workgroupSize), words);
  }

  dispose(): void {
    for (const { release } of this.#made) release();
  }
}
