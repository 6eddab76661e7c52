/**
 * Lays out buffers with known lifetimes in one block of memory, so that buffers that are never needed together share bytes.
 * Greedy by size (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 4.4).
 */

export interface Lifetime {
  readonly sizeBytes: number;
  /** Index of the first and of the last operation that touches the buffer, inclusive. */
  readonly firstUse: number;
  readonly lastUse: number;
}

export interface MemoryLayout {
  /** Byte offset of each buffer, in the order given. */
  readonly offsets: readonly number[];
  readonly totalBytes: number;
}

/** Cache line, and the widest vector. */
export const alignment = 64;

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Places every buffer at the lowest aligned offset that is free during its whole life, the largest buffers first. */
export function planMemory(buffers: readonly Lifetime[]): MemoryLayout {
  const order = buffers.map((_, i) => i).sort((a, b) => buffers[b]!.sizeBytes - buffers[a]!.sizeBytes || a - b);
  const offsets = new Array<number>(buffers.length).fill(0);
  /** Buffers already placed, by ascending offset. */
  const placed: number[] = [];
  let totalBytes = 0;
  for (const index of order) {
    const buffer = buffers[index]!;
    let offset = 0;
    for (const other of placed) {
      const neighbour = buffers[other]!;
      const together = neighbour.firstUse <= buffer.lastUse && buffer.firstUse <= neighbour.lastUse;
      if (!together) continue;
      if (offset + buffer.sizeBytes <= offsets[other]!) break;
      offset = Math.max(offset, alignUp(offsets[other]! + neighbour.sizeBytes));
    }
    offsets[index] = offset;
    const position = placed.findIndex((other) => offsets[other]! > offset);
    placed.splice(position < 0 ? placed.length : position, 0, index);
    totalBytes = Math.max(totalBytes, alignUp(offset + buffer.sizeBytes));
  }
  return { offsets, totalBytes };
}
