import type * as z from 'zod';
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

/** What a schema makes of the JSON object in a file; undefined if there is none, or it is not what the schema allows. */
export function recordAt<S extends z.ZodType>(path: string, schema: S): z.output<S> | undefined {
  return schema.safeParse(jsonObjectAt(path)).data;
}
