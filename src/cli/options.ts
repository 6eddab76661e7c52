/** How the values of options are read. What a value may be is decided where it is used; here only what is not even a number fails. */
import { InvalidArgumentError } from 'commander';

/** For options that take a number. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** For options that take a positive integer. */
export function parsePositiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a positive integer.');
  return value;
}

/** For options that take a TCP port; 0 stands for any that is free. */
export function parsePort(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new InvalidArgumentError('It must be an integer from 0 to 65535.');
  }
  return value;
}

/** `key=value` as given, by key; what the values mean is decided where they are used. */
export type Assignments = Readonly<Record<string, string>>;

/** For an option that may be given several times, each `key=value`. */
export function parseAssignment(text: string, earlier: Assignments): Assignments {
  const [, key, value] = /^([^=\s]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It must be key=value, for example lrn=false.');
  if (Object.hasOwn(earlier, key)) throw new InvalidArgumentError(`"${key}" is given twice.`);
  return { ...earlier, [key]: value };
}

/** The help of `--json`, the same for every command. */
export const jsonOption = ['--json', 'print one JSON document on stdout, everything else on stderr'] as const;

/** Where runs are kept, the same for every command. */
export const runsDirOption = ['--runs-dir <folder>', 'folder of the runs', 'runs'] as const;
