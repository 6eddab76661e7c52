import type { Draw } from './draw.ts';
import { oddJson } from './values.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A copy of parsed JSON with one change somewhere, and the change in words. */
export function mutateJson(value: unknown, draw: Draw): { readonly value: unknown; readonly what: string } {
  const copy = structuredClone(value) as Json;
  const places = placesIn(copy, []);
  const place = draw.pick(places);
  const name = place.path.join('.');
  const { holder } = place;
  const key = place.path.at(-1)!;
  const set = (held: unknown) => {
    Object.defineProperty(holder, key, { value: held, enumerable: true, configurable: true, writable: true });
  };
  switch (draw.below(5)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else Reflect.deleteProperty(holder, key);
      return { value: copy, what: `${name} left out` };
    case 1: {
      const odd = draw.pick(['__proto__', 'constructor', 'toString', '\u001b[31mred', '', 'surplus']);
      const target = isRecord(holder) ? holder : (copy as Record<string, Json>);
      Object.defineProperty(target, odd, { value: draw.pick(oddJson), enumerable: true, configurable: true, writable: true });
      return { value: copy, what: `a further key ${JSON.stringify(odd)} beside ${name}` };
    }
    default: {
      const odd = draw.pick(oddJson);
      set(odd);
      return { value: copy, what: `${name} = ${short(odd)}` };
    }
  }
}

export function short(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}... (${text.length})` : text;
}

interface Place {
  readonly holder: Json[] | Record<string, Json>;
  readonly path: readonly string[];
}

function placesIn(value: Json, path: readonly string[]): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const keys = Object.keys(value);
  return keys.flatMap((key) => [
    { holder: value, path: [...path, key] },
    ...placesIn(Array.isArray(value) ? value[Number(key)]! : value[key]!, [...path, key]),
  ]);
}

function isRecord(value: unknown): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
