/**
 * Reads metrics.jsonl while another process writes it. Each look reads what was added since the last, in pieces, so that a file of a million
 * lines neither blocks this process nor is held in memory. A line that is not written to its end waits for the next look.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileError } from '../util/file-error.ts';
import { openRegularFile } from '../util/regular-file.ts';
import { parseRecord, type MetricsRecord } from './metrics.ts';

export interface MetricsSink {
  record(record: MetricsRecord): void;
  /** The file is another one, or a shorter one: what was read of it counts no more. */
  reset(): void;
}

export interface MetricsFollower {
  /**
   * Reads what was added. Calls must not overlap.
   *
   * @param signal stops it between two pieces
   * @throws AblateError if the file cannot be read, or is no regular file
   */
  advance(signal?: AbortSignal): Promise<void>;
  /** Lines that are no records. */
  readonly damagedLines: number;
}

const pieceBytes = 2 ** 16;
/** A longer line is no record, and is passed over. */
const longestLine = 2 ** 20;
/** Bytes before the place reached that are compared: where they are others, the file was replaced by one that is longer already. */
const guardBytes = 64;

/** For all followers, of which none waits between reading a piece and taking it: a page follows many files many times a second. */
const usualBuffer = Buffer.alloc(guardBytes + pieceBytes);

export function followMetrics(path: string, sink: MetricsSink): MetricsFollower {
  let inode: number | undefined;
  /** Behind the last whole line that was read. */
  let reached = 0;
  let guard = Buffer.alloc(0);
  let damagedLines = 0;
  /** Within a line that is too long, whose end is not seen yet. */
  let skipping = false;

  function startOver(): void {
    sink.reset();
    reached = damagedLines = 0;
    guard = Buffer.alloc(0);
    skipping = false;
  }

  /** Takes the whole lines of what lies at `reached`. @returns how many bytes were taken */
  function take(bytes: Buffer): number {
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end === 0) {
      if (bytes.length < longestLine) return 0;
      skipping = true;
      return bytes.length;
    }
    const lines = bytes.toString('utf8', 0, end - 1).split('\n');
    if (skipping) {
      lines.shift();
      skipping = false;
      damagedLines++;
    }
    for (const line of lines) {
      const record = parseRecord(line);
      if (record === undefined) damagedLines++;
      else sink.record(record);
    }
    return end;
  }

  return {
    get damagedLines() {
      return damagedLines;
    },

    async advance(signal) {
      const { descriptor } = openRegularFile(path);
      try {
        const { ino } = fstatSync(descriptor);
        if (inode !== undefined && ino !== inode) startOver();
        inode = ino;
        let length = pieceBytes;
        while (signal?.aborted !== true) {
          const buffer = length === pieceBytes ? usualBuffer : Buffer.alloc(guardBytes + length);
          const asked = guard.length + length;
          const found = buffer.subarray(0, readSync(descriptor, buffer, 0, asked, reached - guard.length));
          if (!found.subarray(0, guard.length).equals(guard)) {
            startOver();
            continue;
          }
          const taken = take(found.subarray(guard.length));
          reached += taken;
          if (taken > 0) guard = Buffer.from(found.subarray(0, guard.length + taken).subarray(-guardBytes));
          if (found.length < asked) break;
          // Half a line, whose rest is behind this piece.
          if (taken === 0) length = longestLine;
          await nextTurn();
        }
      } finally {
        closeSync(descriptor);
      }
    },
  };
}

/**
 * The last records of a file, oldest first, of which no more than `bytes` are read: enough to know how a run is, whatever it has behind it.
 * Reads at once: of many small files, waiting for each would take longer than reading it.
 *
 * @throws AblateError if the file cannot be read, or is no regular file
 */
export function readLastRecords(path: string, bytes = 4096): MetricsRecord[] {
  const { descriptor, sizeBytes } = openRegularFile(path);
  try {
    const start = Math.max(0, sizeBytes - bytes);
    const buffer = Buffer.alloc(bytes);
    const lines = buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, start)).split('\n');
    // The first line may be cut, and then is no record; the last is empty, or not written to its end.
    return lines.slice(0, -1).flatMap((line) => parseRecord(line) ?? []);
  } catch (error) {
    throw fileError('read', path, error);
  } finally {
    closeSync(descriptor);
  }
}
