/**
 * What goes where: results on stdout (with `--json` one document and nothing else), everything a person reads meanwhile on stderr.
 * All of it passes `shown`, so that no name that a file, a folder or a user gave can steer the terminal.
 */
import { randomUUID } from 'node:crypto';
import type { WriteStream } from 'node:tty';
import { environmentVariable } from '../util/env.ts';
import { fileError } from '../util/file-error.ts';
import { printable } from '../util/printable.ts';
import { fitColumns } from '../util/text-table.ts';

/** Stands for the escape character in what `styles` writes, until `shown` puts it there. No other text can hold it: it is drawn at random. */
const styleMark = randomUUID();

/** Text as it may be written to a terminal: escape sequences are those of `styles` alone, all others are made visible. */
export function shown(text: string): string {
  return printable(text).replaceAll(styleMark, '\u001b');
}

/** Writes text of any length, with its own ends of lines. */
export function write(stream: 'stdout' | 'stderr', text: string): void {
  process[stream].write(shown(text));
}

/** A line of the result, on stdout. */
export function print(line: string): void {
  write('stdout', `${line}\n`);
}

/** A table of the result, on stdout: within the lines of a terminal, whole elsewhere. The first row has the names of the columns. */
export function printTable(rows: readonly (readonly string[])[], alignments: readonly ('left' | 'right')[]): void {
  print(fitColumns(rows, alignments, process.stdout.isTTY ? process.stdout.columns : undefined));
}

/** The result as one JSON document, on stdout. Numbers that JSON does not have (NaN, infinities) become null. */
export function printJson(value: unknown): void {
  // What `shown` escapes inside of JSON's strings are JSON's own escapes.
  print(JSON.stringify(value, undefined, 2));
}

/** A line about the work, on stderr. */
export function note(line: string): void {
  write('stderr', `${line}\n`);
}

export interface Styles {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

/** Colours for a terminal, to be written through `shown`; the text as it is elsewhere, and where NO_COLOR is set (https://no-color.org). */
export function styles(stream: WriteStream): Styles {
  const inColour = stream.isTTY && environmentVariable('NO_COLOR') === undefined && environmentVariable('TERM') !== 'dumb';
  const style = (start: number, end: number) => (text: string) =>
    inColour ? `${styleMark}[${start}m${text}${styleMark}[${end}m` : text;
  return { bold: style(1, 22), dim: style(2, 22), red: style(31, 39), green: style(32, 39), yellow: style(33, 39) };
}

/** What is to be stopped when our output is lost: interrupt.ts. */
const stops = new Set<() => void>();

/** Calls `stop` when our output can no longer be written, until the function returned is called. */
export function onLostOutput(stop: () => void): () => void {
  stops.add(stop);
  return () => stops.delete(stop);
}

/**
 * Our output may be lost: its reader goes away (`ablate runs list | head -1`), which is no error; or the disk that it goes to is full, or
 * the terminal is closed, which is one. The process ends; what can be stopped in order is, so that a training saves first. What is
 * written after that goes nowhere.
 */
export function surviveLostOutput(): void {
  const streams = [
    [process.stdout, 'the result', process.stderr],
    [process.stderr, 'what is said meanwhile', undefined],
  ] as const;
  for (const [stream, what, other] of streams) {
    let told = false;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') {
        process.exitCode = 1;
        if (!told) other?.write(`error: ${fileError('write', what, error).message}\n`);
        told = true;
      }
      if (stops.size === 0) process.exit();
      for (const stop of stops) stop();
    });
  }
}
