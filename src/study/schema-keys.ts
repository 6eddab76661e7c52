import * as z from 'zod';

/** The keys that the object at `path` may have, by a schema of objects, lists and unions; none where it is no object. */
export function knownKeysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  const [key, ...rest] = path;
  const inner = unwrap(schema);
  if (inner instanceof z.ZodUnion) return [...new Set(inner.options.flatMap((option) => knownKeysAt(option, path)))];
  if (key === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  if (inner instanceof z.ZodArray) return knownKeysAt(inner.element, rest);
  const child = inner instanceof z.ZodObject ? (inner.shape as Record<string, z.core.$ZodType>)[String(key)] : undefined;
  return child === undefined ? [] : knownKeysAt(child, rest);
}

/** The value at a path of keys and positions; undefined where there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? unwrap(schema.def.innerType) : schema;
}
