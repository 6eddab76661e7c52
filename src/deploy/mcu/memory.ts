/**
 * Where the C code keeps the tensors of a plan. The image and the logits are the caller's; everything else lies in one block. What a step reads for
 * the last time is written over while it runs, where the order of its loops allows it.
 */
import type { Window2d } from '../../nn/shape.ts';
import { elementsOf, isDense } from './graph.ts';
import { aligned, placeBuffers, type Buffer, type Overlap } from './placement.ts';
import type { Plan, PlanTensor, Step } from './plan.ts';

/** A tensor's bytes: pixel p of it begins `offset + p * stride` bytes into its buffer. */
export interface Storage {
  /** The caller's, or the block. */
  readonly where: 'image' | 'logits' | 'block';
  /** In the block. */
  readonly address: number;
  readonly offset: number;
  readonly stride: number;
}

export interface Memory {
  /** By tensor. */
  readonly storages: ReadonlyMap<string, Storage>;
  /** Whether the image has to be copied before the first step, because something else than a convolution reads it. */
  readonly copiesImage: boolean;
  /** Of the block. */
  readonly tensorBytes: number;
  /** Beside it, for what convolutions copy; a multiple of 4. */
  readonly windowBytes: number;
  /** The step at which most of the block is in use, and how much: bytes of all tensors that it needs. */
  readonly peak: { readonly step: string; readonly bytes: number };
}

/** A concat whose parts are written where they belong is no step any more. */
export function isWrittenInPlace(memory: Memory, concat: string, part: string): boolean {
  const [joined, own] = [memory.storages.get(concat)!, memory.storages.get(part)!];
  return own.where === joined.where && own.address === joined.address && own.stride === joined.stride;
}

export function planMemory(plan: Plan): Memory {
  const homes = homesOf(plan);
  const copiesImage = plan.steps.some((step) => step.inputs.includes(plan.input.name) && !readsWindows(step));
  const buffers = buffersOf(plan, homes, copiesImage);
  const overlaps = overlapsOf(plan, homes, buffers);
  const { addresses, bytes } = placeBuffers(buffers, overlaps);
  const storages = new Map(
    [...plan.tensors.values()].map(({ name }): [string, Storage] => {
      const { root, offset } = homes.get(name)!;
      const stride = plan.tensors.get(root)!.extent.channels;
      if (root === plan.input.name && !copiesImage) return [name, { where: 'image', address: 0, offset, stride }];
      if (root === plan.output.name) return [name, { where: 'logits', address: 0, offset, stride }];
      return [name, { where: 'block', address: addresses.get(root)!, offset, stride }];
    }),
  );
  return {
    storages,
    copiesImage,
    tensorBytes: bytes,
    windowBytes: Math.max(0, ...plan.steps.map((step) => windowBytes(plan, step))),
    peak: peakOf(plan, buffers, addresses),
  };
}

/** What a convolution copies before it multiplies: two windows of 16-bit integers and the bytes of one, or only these, a multiple of 4. */
function windowBytes({ tensors }: Plan, step: Step): number {
  if (step.kind !== 'conv' || isDense(step)) return 0;
  const { kernel } = step.window;
  const { channels } = tensors.get(step.inputs[0]!)!.extent;
  const length = aligned(kernel[0] * kernel[1] * channels);
  if (step.groups > 1) return length;
  return 4 * length + (channels % 4 === 0 ? 0 : length);
}

/** The tensor in whose buffer a tensor lies, and from which channel on. */
interface Home {
  readonly root: string;
  readonly offset: number;
}

/** Everything has a buffer of its own, but for convolutions that only a concat reads: these write where the concat has them. */
function homesOf(plan: Plan): ReadonlyMap<string, Home> {
  const homes = new Map<string, Home>([...plan.tensors.keys()].map((name) => [name, { root: name, offset: 0 }]));
  for (const concat of plan.steps.toReversed()) {
    if (concat.kind !== 'concat') continue;
    const { root, offset } = homes.get(concat.name)!;
    let first = 0;
    for (const input of concat.inputs) {
      const step = plan.steps.find(({ name }) => name === input);
      const readers = plan.steps.filter(({ inputs }) => inputs.includes(input));
      const isOnlyPart = readers.length === 1 && concat.inputs.filter((each) => each === input).length === 1;
      if (step?.kind === 'conv' && isOnlyPart) homes.set(input, { root, offset: offset + first });
      first += plan.tensors.get(input)!.extent.channels;
    }
  }
  return homes;
}

function buffersOf(plan: Plan, homes: ReadonlyMap<string, Home>, copiesImage: boolean): readonly Buffer[] {
  const outside = new Set([plan.output.name, ...(copiesImage ? [] : [plan.input.name])]);
  const roots = [...plan.tensors.values()].filter(({ name }) => homes.get(name)!.root === name && !outside.has(name));
  return roots.map(({ name, extent }) => {
    const tensors = new Set([...homes].filter(([, { root }]) => root === name).map(([tensor]) => tensor));
    const written = plan.steps.flatMap((step, i) => (tensors.has(step.name) ? [i] : []));
    const read = plan.steps.flatMap((step, i) => (step.inputs.some((input) => tensors.has(input)) ? [i] : []));
    return {
      name,
      bytes: elementsOf(extent),
      first: Math.min(...written, ...(name === plan.input.name ? [-1] : [])),
      last: Math.max(...written, ...read),
    };
  });
}

function overlapsOf(plan: Plan, homes: ReadonlyMap<string, Home>, buffers: readonly Buffer[]): readonly Overlap[] {
  const bufferOf = (name: string) => buffers.find((buffer) => buffer.name === name);
  return plan.steps.flatMap((step, i) =>
    step.inputs.flatMap((input): Overlap[] => {
      const isAlone = [...homes.values()].filter(({ root }) => root === homes.get(step.name)!.root).length === 1;
      const [read, written] = [bufferOf(input), bufferOf(step.name)];
      const isLast = read?.last === i && written?.first === i;
      const distance = isLast && isAlone ? overlapDistance(step, input, plan) : undefined;
      return distance === undefined ? [] : [{ output: step.name, input, distance }];
    }),
  );
}

/** See `Overlap.distance`; undefined where a step needs its input until the end. */
export function overlapDistance(step: Step, input: string, { tensors }: Plan): number | undefined {
  const [from, to] = [tensors.get(input)!, tensors.get(step.name)!];
  switch (step.kind) {
    case 'conv':
      // A window is copied before its pixel is written.
      return isDense(step) ? undefined : slidingDistance(step.window, from, to, 1);
    case 'maxPool':
    case 'avgPool':
      return slidingDistance(step.window, from, to, 0);
    case 'add':
    case 'curve':
      return 0;
    case 'multiply':
      return elementsOf(from.extent) === elementsOf(to.extent) ? 0 : undefined;
    case 'globalAverage':
      // Channel by channel: the first pixel's is not needed any more.
      return 0;
    case 'concat':
      return undefined;
    default:
      return step satisfies never;
  }
}

/**
 * While pixel i is written, the pixels that later windows (from i + `ahead` on) begin with must still be there.
 */
function slidingDistance({ output, stride, padding, input }: Window2d, from: PlanTensor, to: PlanTensor, ahead: 0 | 1): number {
  const pixels = output[0] * output[1];
  const [inBytes, outBytes] = [from.extent.channels, to.extent.channels];
  let distance = 0;
  let least = Infinity;
  for (let i = pixels - 1; i >= 0; i--) {
    const firstOf = (pixel: number) => {
      const row = Math.max(Math.floor(pixel / output[1]) * stride[0] - padding[0], 0);
      const column = Math.max((pixel % output[1]) * stride[1] - padding[1], 0);
      return row * input[1] + column;
    };
    const next = i + ahead;
    if (next < pixels) least = Math.min(least, firstOf(next));
    if (least < Infinity) distance = Math.max(distance, (i + 1) * outBytes - least * inBytes);
  }
  return distance;
}

function readsWindows(step: Step): boolean {
  return step.kind === 'conv' && !isDense(step);
}

function peakOf(plan: Plan, buffers: readonly Buffer[], addresses: ReadonlyMap<string, number>): Memory['peak'] {
  let peak = { step: plan.output.name, bytes: 0 };
  for (const [i, { name }] of plan.steps.entries()) {
    const ranges = buffers
      .filter(({ first, last }) => first <= i && i <= last)
      .map((buffer) => [addresses.get(buffer.name)!, addresses.get(buffer.name)! + buffer.bytes] as const)
      .sort((a, b) => a[0] - b[0]);
    let bytes = 0;
    let end = 0;
    for (const [start, stop] of ranges) {
      bytes += Math.max(stop - Math.max(start, end), 0);
      end = Math.max(end, stop);
    }
    if (bytes > peak.bytes) peak = { step: name, bytes };
  }
  return peak;
}
