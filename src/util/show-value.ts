/** Longer values say no more. */
const longest = 200;

/**
 * A value as errors show it: text as it is, but in quotes where it would else be taken for a number, `true`, nothing or the like; `missing` for what is
 * not there.
 */
export function showValue(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'number') return String(value);
  const shown = typeof value === 'string' ? (isPlain(value) ? value : JSON.stringify(value)) : jsonOf(value);
  return shown.length > longest ? `${shown.slice(0, longest)}...` : shown;
}

/** Whether a text cannot be mistaken for another kind of value. */
function isPlain(text: string): boolean {
  // The blanks at the ends, and what moves the cursor of a terminal.
  if (text !== text.trim() || /\p{Cc}/u.test(text)) return false;
  return text !== '' && Number.isNaN(Number(text)) && !/^(true|false|null|~|missing|\.nan|[[{"].*)$/i.test(text);
}

/** JSON, which has no numbers that are not finite, with them. */
function jsonOf(value: unknown): string {
  const marked = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'number' && !Number.isFinite(inner) ? `\0${inner}` : inner,
  );
  return marked.replaceAll(/"\\u0000(-?\w+)"/g, '$1');
}
