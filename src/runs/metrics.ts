/**
 * metrics.jsonl: the record of a run, one JSON object a line: `{"step":10,"time":"2026-01-31T12:00:00.000Z","train/loss":2.1}`.
 * Numbers that JSON lacks are written as the strings "NaN", "Infinity" and "-Infinity".
 */
import { closeSync, existsSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { DataError } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { readTextFile } from '../util/regular-file.ts';

/** Values by key: `train/loss`, `train/learningRate`, `train/imagesPerSecond`, `test/accuracy`, ... */
export type Metrics = Readonly<Record<string, number>>;

export interface MetricsRecord {
  /** Steps done when it was measured. */
  readonly step: number;
  /** When it was measured: ISO 8601, UTC. */
  readonly time: string;
  readonly metrics: Metrics;
}

export interface MetricsWriter {
  /** Adds a record; it survives the death of the process at once. */
  append(record: MetricsRecord): void;
  /** Waits until the records survive a power cut. Called before a checkpoint is saved, so that none is ahead of its metrics. */
  sync(): void;
  close(): void;
}

/**
 * Opens a run's metrics for adding records, and makes the file if it is missing. A torn last line is removed first; on resume,
 * so are the records of steps that will be done again.
 *
 * @param lastStep The step resumed from: records after it are removed (the file is replaced whole). Default: all are kept.
 * @throws DataError if the file is damaged; AblateError if it cannot be written.
 */
export function openMetrics(path: string, lastStep = Infinity): MetricsWriter {
  keepUpTo(path, lastStep);
  const guarded = <T>(operation: () => T): T => {
    try {
      return operation();
    } catch (error) {
      throw fileError('write', path, error);
    }
  };
  const descriptor = guarded(() => openSync(path, 'a'));
  return {
    append: (record) => guarded(() => writeLine(descriptor, record)),
    sync: () => guarded(() => fsyncSync(descriptor)),
    close: () => guarded(() => closeSync(descriptor)),
  };
}

/**
 * The records of a run in the order written. A torn last line, as a killed process leaves it, is passed over.
 *
 * @throws DataError if another line is damaged; AblateError if the file cannot be read.
 */
export function readMetrics(path: string): MetricsRecord[] {
  return parseMetrics(readTextFile(path), path).records;
}

interface Parsed {
  readonly records: MetricsRecord[];
  /** Whether the last line was complete. */
  readonly whole: boolean;
}

function parseMetrics(text: string, path: string): Parsed {
  const lines = text.split('\n');
  // What follows the last line break is empty, or a line that was not written to its end.
  const rest = lines.pop();
  const records: MetricsRecord[] = [];
  let whole = rest === '';
  lines.forEach((line, index) => {
    const record = parseRecord(line);
    if (record !== undefined) records.push(record);
    else if (index === lines.length - 1) whole = false;
    else
      throw new DataError(`${path}, line ${index + 1}, is not a record of metrics`, {
        fix: 'remove the line, or restore the file',
      });
  });
  return { records, whole };
}

function keepUpTo(path: string, lastStep: number): void {
  // A device takes records, and has none to keep.
  if (!existsSync(path) || statSync(path).isCharacterDevice()) return;
  const parsed = parseMetrics(readTextFile(path), path);
  const kept = parsed.records.filter(({ step }) => step <= lastStep);
  if (parsed.whole && kept.length === parsed.records.length) return;
  writeFileAtomic(path, kept.map(formatRecord).join(''));
}

/** One write for a line: with a file opened for appending, a reader never sees lines mixed. */
function writeLine(descriptor: number, record: MetricsRecord): void {
  const line = Buffer.from(formatRecord(record));
  for (let written = 0; written < line.length;) written += writeSync(descriptor, line, written);
}

function formatRecord({ step, time, metrics }: MetricsRecord): string {
  const values = Object.entries(metrics).map(([key, value]) => [key, Number.isFinite(value) ? value : String(value)]);
  return `${JSON.stringify({ step, time, ...Object.fromEntries(values) })}\n`;
}

/** What a line holds, its end left out; undefined for what is no record: the caller knows whether that is allowed there. */
export function parseRecord(line: string): MetricsRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Not even JSON: it has no step either.
  }
  const { step, time, ...rest } = (value ?? {}) as Record<string, unknown>;
  if (typeof step !== 'number' || typeof time !== 'string') return undefined;
  const metrics: Record<string, number> = {};
  for (const [key, item] of Object.entries(rest)) {
    const number = parseNumber(item);
    if (number === undefined) return undefined;
    metrics[key] = number;
  }
  return { step, time, metrics };
}

function parseNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : undefined;
}
