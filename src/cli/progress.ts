import type { WriteStream } from 'node:tty';
import { formatDuration } from '../util/format.ts';
import { printableLine } from '../util/printable.ts';
import { shown, styles } from './output.ts';

/** How far a long work is, shown on stderr: a bar that stays in its line on a terminal, lines of text elsewhere. */
export interface Progress {
  /** Shows `done` of the total, with `detail` behind it. Cheap: a terminal is redrawn a few times a second only. */
  update(done: number, detail: string): void;
  /** A line that stays, above the bar. */
  log(line: string): void;
  /** Leaves the last state on the screen and ends the line. */
  finish(): void;
}

export interface ProgressOptions {
  /** What is counted: `step`. */
  readonly unit: string;
  /** 0 if unknown. */
  readonly total: number;
  /** Where a resumed work starts: it does not count for the estimate of the time left. Default 0. */
  readonly start?: number;
  /** How much work is left, in any unit, where that is more than what is counted. Default: what is missing to the total. */
  readonly left?: (done: number) => number;
  /** Without a terminal: a line at every multiple of so many. Default: a line every ten seconds. */
  readonly lineEvery?: number;
  /** How done and total are written. Default: as they are. */
  readonly format?: (value: number) => string;
  /** Whether the total is written behind what is done: `450/1000`. Default: true. */
  readonly showTotal?: boolean;
  readonly stream?: WriteStream;
  /** Current time in milliseconds. */
  readonly now?: () => number;
}

const redrawMs = 100;
const lineMs = 10_000;

export function createProgress(options: ProgressOptions): Progress {
  const { stream = process.stderr } = options;
  return stream.isTTY ? terminalProgress(options, stream) : lineProgress(options, stream);
}

/** Progress of a work that says itself how much there is to do. */
export function stepProgress(unit: string): (done: number, total: number, detail: string) => void {
  let progress: Progress | undefined;
  return (done, total, detail) => {
    progress ??= createProgress({ unit, total });
    progress.update(done, detail);
    if (done === total) progress.finish();
  };
}

function terminalProgress(options: ProgressOptions, stream: WriteStream): Progress {
  const { now = Date.now } = options;
  const { green, dim } = styles(stream);
  const timeLeft = timeEstimate(options, now);
  let current: { done: number; detail: string } | undefined;
  let drawnAt = -Infinity;

  const draw = (ended = false) => {
    if (current === undefined) return;
    const { done, detail } = current;
    const fraction = options.total > 0 ? Math.min(done / options.total, 1) : 0;
    const percent = options.total > 0 ? ` ${String(Math.floor(100 * fraction)).padStart(3)}%  ` : '';
    // A line longer than the terminal would wrap, and then not be redrawn in place.
    const room = Math.max(0, stream.columns - 1);
    const text = clipped(percent, describe(options, done, detail, timeLeft(done, ended)), room);
    const cells = options.total > 0 ? Math.max(0, Math.min(30, stream.columns - text.length - 3)) : 0;
    const filled = Math.round(fraction * cells);
    const bar = cells < 5 ? '' : shown(green('━'.repeat(filled)) + dim('─'.repeat(cells - filled)));
    stream.write(`\r\u001b[2K${bar}${text}`);
    drawnAt = now();
  };

  return {
    update(done, detail) {
      current = { done, detail };
      if (now() - drawnAt >= redrawMs || done === options.total) draw();
    },
    log(line) {
      stream.write(`\r\u001b[2K${shown(line)}\n`);
      draw();
    },
    finish() {
      if (current === undefined) return;
      draw(true);
      stream.write('\n');
      current = undefined;
    },
  };
}

function lineProgress(options: ProgressOptions, stream: WriteStream): Progress {
  const { now = Date.now, unit, lineEvery } = options;
  const timeLeft = timeEstimate(options, now);
  let shownAt = now();
  let pending: { done: number; detail: string } | undefined;
  const writePending = (ended = false) => {
    if (pending === undefined) return;
    const { done, detail } = pending;
    stream.write(`${unit} ${describe(options, done, detail, timeLeft(done, ended)).join('  ')}\n`);
    pending = undefined;
    shownAt = now();
  };
  return {
    update(done, detail) {
      pending = { done, detail };
      const due = lineEvery === undefined ? now() - shownAt >= lineMs : done % lineEvery === 0;
      if (due) writePending();
    },
    log(line) {
      stream.write(`${shown(line)}\n`);
    },
    finish() {
      writePending(true);
    },
  };
}

/** The parts of `450/1000  loss 1.23  0:42 left`. */
function describe(options: ProgressOptions, done: number, detail: string, time: string): string[] {
  const { total, format = String, showTotal = true } = options;
  const amount = total > 0 && showTotal ? `${format(done)}/${format(total)}` : format(done);
  return [amount, printableLine(detail), time].filter((part) => part !== '');
}

/** The parts in one line of `room` columns; what is too much is taken from the end of the middle one: how far it is, and how long it will take, stay. */
function clipped(percent: string, parts: readonly string[], room: number): string {
  const text = percent + parts.join('  ');
  const excess = text.length - room;
  if (excess <= 0 || parts.length < 3) return text.slice(0, room);
  const [amount, detail = '', time] = parts;
  const kept = detail.slice(0, Math.max(0, detail.length - excess));
  const whole = kept.includes('  ') ? kept.slice(0, kept.lastIndexOf('  ')) : kept;
  return `${percent}${[amount, whole, time].join('  ')}`.slice(0, room);
}

/** `0:42 left`, from the mean speed since the start; `in 1:20` once all is done; empty where the total is unknown. */
function timeEstimate(
  { total, start = 0, left = (done) => total - done }: ProgressOptions,
  now: () => number,
): (done: number, ended: boolean) => string {
  const startedAt = now();
  return (done, ended) => {
    const seconds = (now() - startedAt) / 1000;
    if (total === 0) return '';
    if (done >= total && (ended || left(done) <= 0)) return `in ${formatDuration(seconds)}`;
    return done <= start ? '' : `${formatDuration((seconds / (left(start) - left(done))) * left(done))} left`;
  };
}
