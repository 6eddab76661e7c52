/**
 * Sums of large buffers in parts, each started when its numbers are final and moved on between the operations that compute the
 * others. No thread of its own: a thread that drives MPI would take a core from the computation.
 */
import { fromBf16, toBf16 } from '../../util/bf16.ts';
import type { Numbers } from '../collective.ts';
import type { Communicator, Operation } from './mpi.ts';

/** Elements `start` to before `end` of a buffer. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** How one part is summed. */
export interface PartSum {
  readonly part: Part;
  /** Begins the communication. Processes begin their parts in the same order. */
  begin(): void;
  /** Moves it on, and returns whether the part holds its sum. */
  isDone(): boolean;
}

/**
 * Cuts a buffer at some of the boundaries into parts of at least `minimum` elements, the last part first. What remains at the front may be
 * smaller: it is final last, and its sum is the one that nothing hides.
 */
export function cutIntoParts(length: number, boundaries: readonly number[], minimum: number): Part[] {
  const parts: Part[] = [];
  let end = length;
  for (const boundary of boundaries.toReversed()) {
    if (boundary <= 0 || end - boundary < minimum) continue;
    parts.push({ start: boundary, end });
    end = boundary;
  }
  if (end > 0) parts.push({ start: 0, end });
  return parts;
}

/** The sum of a buffer in this process's memory: as `BackgroundSum`, but `finish` returns when it is done. */
export interface PartedSum {
  advance(finalFrom: number): void;
  finish(): void;
}

/**
 * @param sums of the parts, in the order in which they become final
 * @param overlap false begins all of them in `finish`, to measure what overlapping brings
 * @param complete waits for all of the given operations
 */
export function createBackgroundSum(
  sums: readonly PartSum[],
  overlap: boolean,
  complete: (operations: readonly Operation[]) => void,
): PartedSum {
  let begun = 0;
  let done = 0;
  const beginFrom = (finalFrom: number): void => {
    while (begun < sums.length && sums[begun]!.part.start >= finalFrom) sums[begun++]!.begin();
  };
  return {
    advance(finalFrom) {
      if (!overlap) return;
      beginFrom(finalFrom);
      while (done < begun && sums[done]!.isDone()) done++;
    },
    finish() {
      beginFrom(0);
      complete(sums.slice(done));
      begun = done = 0;
    },
  };
}

/** Numbers travel as they are. */
export function plainSums(communicator: Communicator, buffer: Numbers, parts: readonly Part[]): PartSum[] {
  return parts.map((part) => {
    const values = buffer.subarray(part.start, part.end);
    let operation: Operation | undefined;
    return {
      part,
      begin: () => {
        operation = communicator.sum(values);
      },
      isDone: () => operation!.isDone(),
    };
  });
}

/**
 * Numbers travel as bfloat16, which MPI cannot add: every process sends its share of piece i of a part to process i, which adds the shares
 * in float32, rounds the sum and sends it to all. That is as much traffic as an all-reduce of half the size, and two roundings
 * whatever the number of processes.
 */
export function bf16Sums(communicator: Communicator, buffer: Float32Array, parts: readonly Part[]): PartSum[] {
  const { size } = communicator;
  // The second half of a part begins when its first half is done, which may be before or after another part's first half begins.
  const second = communicator.duplicate();
  return parts.map((part) => {
    const values = buffer.subarray(part.start, part.end);
    const piece = Math.ceil(values.length / size);
    const outgoing = new Uint16Array(piece * size);
    const incoming = new Uint16Array(piece * size);
    const sum = new Float32Array(piece);
    const rounded = new Uint16Array(piece);
    let exchange: Operation | undefined;
    let gather: Operation | undefined;

    function beginGather(): void {
      addPieces(incoming, sum);
      toBf16(sum, rounded);
      gather = second.gather(bytesOf(rounded), bytesOf(incoming));
    }

    return {
      part,
      begin: () => {
        toBf16(values, outgoing);
        gather = undefined;
        exchange = communicator.exchange(bytesOf(outgoing), bytesOf(incoming));
      },
      isDone: () => {
        if (gather === undefined) {
          if (!exchange!.isDone()) return false;
          beginGather();
        }
        if (!gather!.isDone()) return false;
        fromBf16(incoming, values);
        return true;
      },
    };
  });
}

/** The sum of the pieces of all processes, in the order of their ranks. */
function addPieces(pieces: Uint16Array, sum: Float32Array): void {
  const widened = new Float32Array(pieces.length);
  fromBf16(pieces, widened);
  sum.set(widened.subarray(0, sum.length));
  for (let start = sum.length; start < widened.length; start += sum.length) {
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + widened[start + i]!;
  }
}

function bytesOf(array: Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
