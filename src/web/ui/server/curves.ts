/**
 * The curves of runs, read as they are asked for and followed from then on. What was read is kept in buckets of bounded number, and runs that
 * were not asked for lately are forgotten first, so that the memory is bounded whatever is looked at.
 */
import { randomUUID } from 'node:crypto';
import { followMetrics, type MetricsFollower } from '../../../runs/metrics-follower.ts';
import type { MetricsRecord } from '../../../runs/metrics.ts';
import { metricsPath, type Run } from '../../../runs/run-folder.ts';
import { messageOf } from '../../../util/errors.ts';
import {
  pointColumns,
  type CurveCursor,
  type CurvePiece,
  type CurvesHeader,
  type CurvesOfRun,
  type CurvesRequest,
} from '../protocol.ts';
import { createSeries, mostBuckets, type Series } from './series.ts';

export interface Curves {
  /** Answers with what is new, a header and the points behind it. Runs that are not known are left out. */
  answer(request: CurvesRequest): Promise<Uint8Array>;
  /** Of a run: all that is kept, after what was added is read. */
  seriesOf(run: Run, batchSize: number): Promise<ReadonlyMap<string, Series>>;
}

interface Followed {
  readonly batchSize: number;
  readonly follower: MetricsFollower;
  series: Map<string, Series>;
  /** Changes when all that was read before counts no more. */
  generation: string;
  /** Of reading, while it goes on: reads of one run follow each other. */
  reading: Promise<void>;
  problem: string | undefined;
  isWhole: boolean;
}

/** Metrics of a run that are kept: a file may name any number. */
const mostKeys = 400;
/** Time that an answer takes for reading before it says that there is more. */
const readingMs = 300;
/** Buckets kept in memory, of all runs together: 48 bytes each. */
const bucketsKept = 4_000_000;

/** @param runOf a run of a name, with its examples in a step */
export function createCurves(runOf: (id: string) => { readonly run: Run; readonly batchSize: number } | undefined): Curves {
  /** The one asked for last is the last. */
  const followed = new Map<string, Followed>();
  const boot = randomUUID().slice(0, 8);
  let generations = 0;

  function follow(run: Run, batchSize: number): Followed {
    const known = followed.get(run.path);
    followed.delete(run.path);
    // Another one is another run, in the place of one that was removed.
    if (known?.batchSize === batchSize) {
      followed.set(run.path, known);
      return known;
    }
    const newGeneration = () => `${boot}.${generations++}`;
    const gatherer = createGatherer(batchSize);
    const each: Followed = {
      batchSize,
      follower: followMetrics(metricsPath(run), {
        record: gatherer.add,
        reset() {
          each.series = gatherer.reset();
          each.generation = newGeneration();
        },
      }),
      series: gatherer.reset(),
      generation: newGeneration(),
      reading: Promise.resolve(),
      problem: undefined,
      isWhole: false,
    };
    followed.set(run.path, each);
    return each;
  }

  function advance(each: Followed, signal?: AbortSignal): Promise<void> {
    each.reading = each.reading.then(async () => {
      try {
        await each.follower.advance(signal);
        each.isWhole = signal?.aborted !== true;
        each.problem = undefined;
      } catch (error) {
        each.problem = messageOf(error);
        each.isWhole = true;
      }
    });
    return each.reading;
  }

  /** Forgets runs that were not asked for lately, but none of these. */
  function forget(used: ReadonlySet<Followed>): void {
    let buckets = 0;
    for (const { series } of followed.values()) for (const { length } of series.values()) buckets += length;
    for (const [path, each] of followed) {
      if (buckets <= bucketsKept) return;
      if (used.has(each)) continue;
      for (const { length } of each.series.values()) buckets -= length;
      followed.delete(path);
    }
  }

  return {
    async seriesOf(run, batchSize) {
      const each = follow(run, batchSize);
      await advance(each);
      forget(new Set([each]));
      return each.series;
    },

    async answer({ runs, keys, most }) {
      const signal = AbortSignal.timeout(readingMs);
      const used = new Set<Followed>();
      const answers: CurvesOfRun[] = [];
      const points: Float32Array[] = [];
      for (const { id, have = {} } of runs) {
        const found = runOf(id);
        if (found === undefined) continue;
        const each = follow(found.run, found.batchSize);
        used.add(each);
        await advance(each, signal);
        const { series, generation, isWhole, problem, follower } = each;
        const pieces = keys.flatMap((key): CurvePiece[] => {
          const of = series.get(key);
          if (of === undefined) return [];
          const { piece, rows } = pieceOf(of, key, generation, most, have[key]);
          points.push(rows);
          return [piece];
        });
        answers.push({
          ...{ id, keys: [...series.keys()], more: !isWhole, damagedLines: follower.damagedLines, series: pieces },
          ...(problem !== undefined && { problem }),
        });
      }
      forget(used);
      return encode({ runs: answers }, points);
    },
  };
}

/** What of a series is not there yet, from the last point on that is there, as it may have grown. */
function pieceOf(series: Series, key: string, generation: string, most: number, have: CurveCursor | undefined) {
  const joined = 2 ** Math.max(0, Math.ceil(Math.log2(series.length / Math.max(1, Math.min(most, mostBuckets)))));
  const unit = series.width * joined;
  const isContinued = have?.generation === generation && have.unit === unit && have.points > 0;
  const first = isContinued ? have.points - 1 : 0;
  const rows = series.read(first * joined, joined);
  const piece: CurvePiece = { key, generation, unit, first, points: rows.length / pointColumns, hasGaps: series.hasGaps };
  return { piece, rows };
}

/** Length of the header in bytes (padded to a multiple of four with blanks), the header as JSON, the points. */
function encode(header: CurvesHeader, points: readonly Float32Array[]): Uint8Array {
  const text = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 4) * 4;
  const bytes = Buffer.alloc(4 + headerBytes + points.reduce((sum, { byteLength }) => sum + byteLength, 0), ' ');
  bytes.writeUInt32LE(headerBytes);
  text.copy(bytes, 4);
  let at = 4 + headerBytes;
  for (const { buffer, byteOffset, byteLength } of points) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return bytes;
}

/** Sorts the records of a run by metric, with the seconds of training until each: pauses, evaluation and what clocks say are left out. */
function createGatherer(batchSize: number) {
  let series = new Map<string, Series>();
  let seconds = 0;
  let lastStep = 0;
  let secondsPerStep = 0;
  return {
    add({ step, metrics }: MetricsRecord): void {
      const imagesPerSecond = metrics['train/imagesPerSecond'];
      if (imagesPerSecond !== undefined && imagesPerSecond > 0 && step > lastStep) {
        secondsPerStep = batchSize / imagesPerSecond;
        seconds += (step - lastStep) * secondsPerStep;
        lastStep = step;
      }
      const until = seconds + Math.max(0, step - lastStep) * secondsPerStep;
      for (const [key, value] of Object.entries(metrics)) {
        let of = series.get(key);
        if (of === undefined) {
          if (series.size >= mostKeys) continue;
          series.set(key, (of = createSeries()));
        }
        of.add(step, until, value);
      }
    },

    /** @returns where the records go from now on */
    reset(): Map<string, Series> {
      series = new Map();
      seconds = lastStep = secondsPerStep = 0;
      return series;
    },
  };
}
