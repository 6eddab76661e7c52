import { readTextFile } from './regular-file.ts';

/** The JSON object in a file; undefined if there is none, or the file is missing, damaged or cannot be read. What is in it is not checked. */
export function jsonObjectAt(path: string): object | undefined {
  try {
    const value: unknown = JSON.parse(readTextFile(path));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
