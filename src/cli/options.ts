/** How the values of options are read. What a value may be is decided where it is used; here only what is not even a number fails. */
import { InvalidArgumentError, type Command } from 'commander';
import { valueOfText } from '../train/key-layers.ts';
import { ConfigurationError } from '../util/errors.ts';
import { mostThreadsHere } from '../util/limits.ts';
import { didYouMean } from '../util/suggest.ts';

/** For options that take a number. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** For options that take an integer from `low` to `high`. */
export function integer(low: number, high = Infinity, where = ''): (text: string) => number {
  const open = low === 1 ? 'a positive integer' : `an integer of at least ${low}`;
  const allowed = high === Infinity ? open : `an integer from ${low} to ${high}${where}`;
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < low || value > high) {
      throw new InvalidArgumentError(`It must be ${allowed}.`);
    }
    return value;
  };
}

/** For options that take a number of threads. */
export const parseThreads = integer(1, mostThreadsHere(), ' on this machine');

/** For options that take names with commas between them. */
export function parseNames(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

/** For options that take one of a few words. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((each) => each === text);
    if (word === undefined) throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.${didYouMean(text, words)}`);
    return word;
  };
}

/** For options that take a number of bytes: `96000`, `96kB`, `1.5 MB`; `KiB`, `MiB` and `GiB` are powers of 1024. */
export function parseBytes(text: string): number {
  const [, digits, prefix = '', binary] = /^\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*(?:([kmg]?)(i?)b?)?\s*$/i.exec(text) ?? [];
  const value =
    Number(digits) * (binary === 'i' || binary === 'I' ? 1024 : 1000) ** ['', 'k', 'm', 'g'].indexOf(prefix.toLowerCase());
  if (!Number.isFinite(value)) throw new InvalidArgumentError('It must be a number of bytes, for example 96000, 96kB or 1.5MB.');
  return Math.round(value);
}

/** For options that take a time: `90s`, `30m`, `2h`, `1h30m`. Returns seconds. */
export function parseDuration(text: string): number {
  const parts = /^(?=.)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text.replaceAll(' ', ''));
  const [hours = 0, minutes = 0, seconds = 0] = ((parts ?? []).slice(1) as readonly (string | undefined)[]).map((part) =>
    Number(part ?? 0),
  );
  const value = 3600 * hours + 60 * minutes + seconds;
  if (parts === null || !Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError('It must be a time above 0, for example 90s, 30m, 2h or 1h30m.');
  }
  return value;
}

/** Milliseconds, and the microcontroller for which they hold, as it was written. */
export interface Latency {
  readonly ms: number;
  readonly device?: string;
}

/** For options that take a latency: `0.5`, `0.5ms`, or on a microcontroller `100ms@m4`, `80@m7@216`. */
export function parseLatency(text: string): Latency {
  const [, digits, device] = /^\s*(\d+(?:\.\d+)?(?:e-?\d+)?)\s*(?:ms)?\s*(?:@(.+))?$/i.exec(text) ?? [];
  if (digits === undefined) {
    throw new InvalidArgumentError(
      'It must be a number of milliseconds, for example 0.5, 0.5ms or, on a microcontroller, 100ms@m4.',
    );
  }
  return { ms: Number(digits), ...(device !== undefined && { device }) };
}

/** Values by key; what they mean is decided where they are used. */
export type Assignments = Readonly<Record<string, unknown>>;

/** For an option that may be given several times, each `key=value`. */
export function parseAssignment(text: string, earlier: Assignments): Assignments {
  const [, key, value] = /^([^=\s]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It must be key=value, for example lrn=false.');
  if (Object.hasOwn(earlier, key)) throw new InvalidArgumentError(`"${key}" is given twice.`);
  return { ...earlier, [key]: valueOfText(value) };
}

/** The help of `--json`, the same for every command. */
export const jsonOption = ['--json', 'print one JSON document on stdout, everything else on stderr'] as const;

/** Where runs are kept, the same for every command. */
export const runsDirOption = ['--runs-dir <folder>', 'folder of the runs', 'runs'] as const;

/**
 * An empty value, as a variable of a shell script that is not set makes it, is refused everywhere: as a folder it would be the working
 * directory, as a name it would match nothing.
 *
 * @throws ConfigurationError naming the option or argument
 */
export function requireValues(command: Command): void {
  const emptyArgument = command.args.indexOf('');
  if (emptyArgument >= 0) {
    const { registeredArguments } = command;
    const name = (registeredArguments[emptyArgument] ?? registeredArguments.at(-1))?.name() ?? '';
    throw new ConfigurationError(`<${name}> is empty`, { fix: 'give a value; a variable of the shell may not be set' });
  }
  const emptyOption = command.options.find((option) => command.opts<Record<string, unknown>>()[option.attributeName()] === '');
  if (emptyOption !== undefined) {
    throw new ConfigurationError(`the value of ${emptyOption.long ?? emptyOption.flags} is empty`, {
      fix: 'give a value, or leave the option out; a variable of the shell may not be set',
    });
  }
}
