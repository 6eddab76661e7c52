/**
 * Keys as people write them: dotted, in groups, in short forms, and in layers of which the later ones change the earlier. What a key is, its schema
 * says.
 */
import * as z from 'zod';
import { tagOf, unwrap } from '../util/schema.ts';

/** By name: values, groups of keys, and dotted names of keys in groups. */
export type Keys = Readonly<Record<string, unknown>>;

/** The value of a key as a command line gives it: JSON (`0.1`, `false`, `[0.5, 0.75]`) or a number (`.1`) where it is one, else the text. */
export function valueOfText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const number = Number(text);
    return text.trim() === '' || Number.isNaN(number) ? text : number;
  }
}

/** Whether a key of the schema is a group of keys. */
export function isGroup(schema: z.ZodObject, key: string): boolean {
  const inner = innerSchema(schema, key);
  return inner instanceof z.ZodObject || inner instanceof z.ZodRecord || inner instanceof z.ZodDiscriminatedUnion;
}

/**
 * A layer with dotted names moved into their groups and short forms written out.
 *
 * @param locate the key of the schema that a name belongs to, and its name within that group
 */
export function expandLayer(
  schema: z.ZodObject,
  layer: Keys,
  locate: (name: string) => readonly [key: string, rest?: string],
): Keys {
  const expanded: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(layer)) {
    if (value === undefined) continue;
    const [key, rest] = locate(name);
    const written =
      rest === undefined ? writtenOut(schema, key, value) : { [rest]: rest === tag(schema, key) ? textOf(value) : value };
    expanded[key] = mergeGroup(expanded[key], written);
  }
  return expanded;
}

/**
 * The value of each key, the last layer being the strongest. Groups are merged key by key; one with a tag (`schedule.type`) inherits only from
 * where the tag is the same: switched off and on again, it is as before.
 */
export function mergeLayers(schema: z.ZodObject, layers: readonly Keys[]): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  for (const key of new Set(layers.flatMap((layer) => Object.keys(layer)))) {
    const values = layers.map((layer) => layer[key]).filter((value) => value !== undefined);
    merged[key] = mergeTagged(values, tag(schema, key));
  }
  return merged;
}

function mergeTagged(values: readonly unknown[], tag: string | undefined): unknown {
  const last = values.at(-1);
  if (tag === undefined || !isKeys(last)) return values.reduce(mergeGroup);
  let current: unknown;
  const tags = values.map((value) => (current = (isKeys(value) ? value[tag] : undefined) ?? current));
  return values.filter((_, i) => tags[i] === current).reduce(mergeGroup);
}

function mergeGroup(before: unknown, after: unknown): unknown {
  return isKeys(before) && isKeys(after) ? { ...before, ...after } : after;
}

/**
 * What a short form stands for. Of a group with a tag: `schedule: cosine` for `{ type: cosine }`; `false` for `none`; `true` for the only kind beside
 * it; a number for the group's `value`. Of a text: the number that YAML and `--set` take `recipe: 2017` for.
 */
function writtenOut(schema: z.ZodObject, key: string, value: unknown): unknown {
  const inner = innerSchema(schema, key);
  if (inner instanceof z.ZodString) return textOf(value);
  const group = inner && tagOf(inner);
  if (group === undefined) return value;
  const { tag, values } = group;
  if (typeof value === 'string' || values.includes(String(value))) return { [tag]: textOf(value) };
  const kinds = values.filter((kind) => kind !== 'none');
  if (value === false && kinds.length < values.length) return { [tag]: 'none' };
  if (value === true && kinds.length === 1) return { [tag]: kinds[0] };
  return typeof value === 'number' && key === 'weightDecay' ? { value } : value;
}

function textOf(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value;
}

function tag(schema: z.ZodObject, key: string): string | undefined {
  const inner = innerSchema(schema, key);
  return inner && tagOf(inner)?.tag;
}

function innerSchema({ shape }: z.ZodObject, key: string): z.core.$ZodType | undefined {
  return Object.hasOwn(shape, key) ? unwrap((shape as Readonly<Record<string, z.ZodType>>)[key]!) : undefined;
}

function isKeys(value: unknown): value is Keys {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
