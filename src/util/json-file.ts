import type * as z from 'zod';
import { DataError, messageOf } from './errors.ts';
import { readTextFile } from './regular-file.ts';
import { check, damaged } from './schema.ts';

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

/**
 * What a schema makes of a file of JSON that must be as it was written.
 *
 * @param problem what to say of the file if it is not: `is damaged`
 * @throws DataError with the path, all that is wrong, and the fix
 */
export function requiredRecordAt<S extends z.ZodType>(path: string, schema: S, problem: string, fix: string): z.output<S> {
  const text = readTextFile(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(`${path} ${problem}: ${messageOf(error)}`, { cause: error, fix });
  }
  return check(schema, value, damaged(`${path} ${problem}`, fix));
}
