/** Puts buffers that live for a part of a computation into one block of memory. */
import { integer, streamKey } from '../../util/random.ts';

export interface Buffer {
  readonly name: string;
  readonly bytes: number;
  /** The steps from which and up to which it is needed, both included. */
  readonly first: number;
  readonly last: number;
}

/** A step that reads a buffer for the last time while it writes another may write over what it has read. */
export interface Overlap {
  /** The buffer that is written. */
  readonly output: string;
  /** The buffer that is read. */
  readonly input: string;
  /** The output may begin so many bytes before the input, or further before it. */
  readonly distance: number;
}

export interface Placement {
  /** By buffer, a multiple of `alignment`. */
  readonly addresses: ReadonlyMap<string, number>;
  readonly bytes: number;
}

export const alignment = 4;

/** Orders tried at random when none of the others is as small as can be. */
const tries = 300;

/**
 * Each buffer in turn goes to the lowest address at which it collides with none that is needed at the same time: the largest first, the earliest
 * first, the latest first, then in random orders. The smallest result wins. Depends on nothing but the arguments.
 */
export function placeBuffers(buffers: readonly Buffer[], overlaps: readonly Overlap[]): Placement {
  const bound = leastBytes(buffers, overlaps);
  const bySize = buffers.toSorted((a, b) => b.bytes - a.bytes);
  const orders = [bySize, buffers, buffers.toReversed()];
  let best: Placement | undefined;
  for (let i = 0; i < orders.length + tries && (best === undefined || best.bytes > bound); i++) {
    const placement = placeInOrder(orders[i] ?? shuffled(buffers, i), overlaps);
    if (best === undefined || placement.bytes < best.bytes) best = placement;
  }
  return best!;
}

/** Bytes that the buffers of one step need at least. */
export function leastBytes(buffers: readonly Buffer[], overlaps: readonly Overlap[]): number {
  const steps = new Set(buffers.flatMap(({ first, last }) => [first, last]));
  return Math.max(0, ...[...steps].map((step) => bytesAt(step, buffers, overlaps)));
}

function bytesAt(step: number, buffers: readonly Buffer[], overlaps: readonly Overlap[]): number {
  const alive = buffers.filter(({ first, last }) => first <= step && step <= last);
  let sum = alive.reduce((total, { bytes }) => total + aligned(bytes), 0);
  for (const { output, input, distance } of overlaps) {
    const written = alive.find(({ name }) => name === output);
    const read = alive.find(({ name }) => name === input);
    if (written?.first !== step || read === undefined) continue;
    const together = Math.max(aligned(distance) + aligned(read.bytes), aligned(written.bytes));
    sum -= Math.max(aligned(read.bytes) + aligned(written.bytes) - together, 0);
  }
  return sum;
}

function placeInOrder(order: readonly Buffer[], overlaps: readonly Overlap[]): Placement {
  const placed: { readonly buffer: Buffer; readonly address: number }[] = [];
  for (const buffer of order) {
    const others = placed.filter((other) => areAliveTogether(buffer, other.buffer));
    // Something lower is possible only at the end of another, or where it may lie over one.
    const candidates = others.flatMap((other) => {
      const distance = distanceOf(buffer, other.buffer, overlaps);
      return [other.address + aligned(other.buffer.bytes), ...(distance === undefined ? [] : [other.address + distance.ofFirst])];
    });
    const address = [0, ...candidates]
      .filter((candidate) => candidate >= 0)
      .sort((a, b) => a - b)
      .find((candidate) => others.every((other) => fits(buffer, candidate, other.buffer, other.address, overlaps)))!;
    placed.push({ buffer, address });
  }
  return {
    addresses: new Map(placed.map(({ buffer, address }) => [buffer.name, address])),
    bytes: placed.reduce((most, { buffer, address }) => Math.max(most, address + aligned(buffer.bytes)), 0),
  };
}

function areAliveTogether(a: Buffer, b: Buffer): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Whether two buffers that are needed together may be where they are. */
function fits(a: Buffer, addressOfA: number, b: Buffer, addressOfB: number, overlaps: readonly Overlap[]): boolean {
  if (addressOfA + aligned(a.bytes) <= addressOfB || addressOfB + aligned(b.bytes) <= addressOfA) return true;
  for (const { output, input, distance } of overlaps) {
    if (output === a.name && input === b.name) return addressOfA + aligned(distance) <= addressOfB;
    if (output === b.name && input === a.name) return addressOfB + aligned(distance) <= addressOfA;
  }
  return false;
}

/** How much behind the second the first lies at best, if the two may overlap. */
function distanceOf(a: Buffer, b: Buffer, overlaps: readonly Overlap[]): { readonly ofFirst: number } | undefined {
  for (const { output, input, distance } of overlaps) {
    if (output === a.name && input === b.name) return { ofFirst: -aligned(distance) };
    if (output === b.name && input === a.name) return { ofFirst: aligned(distance) };
  }
  return undefined;
}

export function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Fisher and Yates. */
function shuffled(buffers: readonly Buffer[], seed: number): readonly Buffer[] {
  const key = streamKey(seed, 'placement');
  const order = [...buffers];
  for (let i = order.length - 1; i > 0; i--) {
    const j = integer(key, i, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
