/**
 * The values of one metric of a run, in buckets of equally many records. A short series has a record in each; when all buckets are full,
 * pairs of them are joined, so that a series of any length takes the same memory, is divided only once, and keeps every least and
 * greatest value.
 */

/** Buckets of a series at most: about as many as a chart has pixels. */
export const mostBuckets = 1024;

/** Columns of a bucket, in the order in which `read` writes them. */
export const bucketColumns = ['step', 'seconds', 'least', 'greatest', 'mean'] as const;

const columns = bucketColumns.length;

/** What a new series has room for. */
const firstBuckets = 64;

export interface Series {
  /** Records in a full bucket: a power of two. Changes only when buckets are joined; then all that was read before counts no more. */
  readonly width: number;
  /** Buckets, of which the last may not be full yet. */
  readonly length: number;
  /** Whether a value was no finite number. Such a value is left out of its bucket; a bucket of nothing else is NaN. */
  readonly hasGaps: boolean;
  /**
   * Adds a record. Steps must not fall: a record of an earlier one is left out.
   *
   * @param seconds of training until then
   */
  add(step: number, seconds: number, value: number): void;
  /**
   * Buckets from `first` on as rows of `bucketColumns`, `joined` at a time as one: step and seconds are those of the last record in it.
   */
  read(first: number, joined?: number): Float32Array;
}

/** @param capacity buckets at most: an even number */
export function createSeries(capacity = mostBuckets): Series {
  let width = 1;
  let length = 0;
  /** Records in the last bucket. */
  let inLast = 0;
  let hasGaps = false;
  /** Rows of `bucketColumns`. Float64: steps of more than 2^24, and sums over many records. */
  let rows = new Float64Array(Math.min(firstBuckets, capacity) * columns);
  /** Finite values in each bucket. */
  let counts = new Uint32Array(Math.min(firstBuckets, capacity));

  function makeRoom(): void {
    if (length < counts.length) return;
    if (length < capacity) {
      const larger = Math.min(2 * length, capacity);
      rows = resized(rows, larger * columns, Float64Array);
      counts = resized(counts, larger, Uint32Array);
      return;
    }
    for (let i = 0; i < length; i += 2) {
      moveBucket(i, i / 2);
      joinBucket(i + 1, i / 2);
    }
    length /= 2;
    width *= 2;
  }

  function moveBucket(from: number, to: number): void {
    rows.copyWithin(to * columns, from * columns, (from + 1) * columns);
    counts[to] = counts[from]!;
  }

  /** Adds a later bucket to an earlier one. */
  function joinBucket(from: number, to: number): void {
    const [a, b] = [to * columns, from * columns];
    rows[a] = rows[b]!;
    rows[a + 1] = rows[b + 1]!;
    const [mine, others] = [counts[to]!, counts[from]!];
    if (others > 0) {
      rows[a + 2] = mine === 0 ? rows[b + 2]! : Math.min(rows[a + 2]!, rows[b + 2]!);
      rows[a + 3] = mine === 0 ? rows[b + 3]! : Math.max(rows[a + 3]!, rows[b + 3]!);
      rows[a + 4] = mine === 0 ? rows[b + 4]! : (mine * rows[a + 4]! + others * rows[b + 4]!) / (mine + others);
    }
    counts[to] = mine + others;
  }

  return {
    get width() {
      return width;
    },
    get length() {
      return length;
    },
    get hasGaps() {
      return hasGaps;
    },

    add(step, seconds, value) {
      if (length > 0 && step < rows[(length - 1) * columns]!) return;
      if (length === 0 || inLast === width) {
        makeRoom();
        rows.set([step, seconds, NaN, NaN, NaN], length * columns);
        counts[length] = 0;
        length++;
        inLast = 0;
      }
      inLast++;
      const at = (length - 1) * columns;
      rows[at] = step;
      rows[at + 1] = seconds;
      if (!Number.isFinite(value)) {
        hasGaps = true;
        return;
      }
      const count = counts[length - 1]!++;
      rows[at + 2] = count === 0 ? value : Math.min(rows[at + 2]!, value);
      rows[at + 3] = count === 0 ? value : Math.max(rows[at + 3]!, value);
      rows[at + 4] = count === 0 ? value : (count * rows[at + 4]! + value) / (count + 1);
    },

    read(first, joined = 1) {
      if (joined === 1) return new Float32Array(rows.subarray(first * columns, length * columns));
      const all = createJoined(rows, counts, length, joined);
      return new Float32Array(all.subarray(Math.floor(first / joined) * columns));
    },
  };
}

/** The buckets `joined` at a time as one. */
function createJoined(rows: Float64Array, counts: Uint32Array, length: number, joined: number): Float64Array {
  const result = new Float64Array(Math.ceil(length / joined) * columns);
  for (let to = 0; to * joined < length; to++) {
    let [least, greatest, sum, count] = [Infinity, -Infinity, 0, 0];
    const end = Math.min((to + 1) * joined, length);
    for (let i = to * joined; i < end; i++) {
      const each = counts[i]!;
      if (each === 0) continue;
      least = Math.min(least, rows[i * columns + 2]!);
      greatest = Math.max(greatest, rows[i * columns + 3]!);
      sum += each * rows[i * columns + 4]!;
      count += each;
    }
    const last = (end - 1) * columns;
    const values = count === 0 ? [NaN, NaN, NaN] : [least, greatest, sum / count];
    result.set([rows[last]!, rows[last + 1]!, ...values], to * columns);
  }
  return result;
}

function resized<T extends Float64Array | Uint32Array>(array: T, length: number, kind: new (length: number) => T): T {
  const larger = new kind(length);
  larger.set(array);
  return larger;
}
