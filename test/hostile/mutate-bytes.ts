import type { Draw } from './draw.ts';
import { otherFiles } from './values.ts';

interface Mutated {
  readonly bytes: Uint8Array;
  readonly what: string;
}

/** Cut off, at a place where a part begins or anywhere. */
export function truncated(bytes: Uint8Array, draw: Draw, edges: readonly number[]): Mutated {
  const near = draw.pick(edges) + draw.below(3) - 1;
  const length = Math.max(0, Math.min(bytes.length - 1, draw.below(2) === 0 ? near : draw.below(bytes.length)));
  return { bytes: bytes.subarray(0, length), what: `cut off after ${length} of ${bytes.length} bytes` };
}

/** Some bytes changed within a range. */
export function flipped(bytes: Uint8Array, draw: Draw, from = 0, to = bytes.length): Mutated {
  const copy = Uint8Array.from(bytes);
  const places = Array.from({ length: 1 + draw.below(8) }, () => from + draw.below(to - from));
  for (const place of places) copy[place] = draw.pick([0, 1, 0x7f, 0x80, 0xff, draw.below(256)]);
  return { bytes: copy, what: `bytes changed at ${places.join(', ')}` };
}

/** The file of something else. */
export function anotherFile(draw: Draw): Mutated {
  const [what, bytes] = draw.pick(otherFiles);
  return { bytes, what };
}

/** A file of text, which may be right still: cut off, another file, or with bytes changed. `undefined` for other numbers than 0, 1 and 2. */
export function damagedText(which: number, text: string, draw: Draw): (Mutated & { readonly refused: boolean }) | undefined {
  const bytes = new TextEncoder().encode(text);
  if (which === 0) return { ...truncated(bytes, draw, [0, 1, 10]), refused: false };
  if (which === 1) return { ...anotherFile(draw), refused: true };
  return which === 2 ? { ...flipped(bytes, draw), refused: false } : undefined;
}
