import { expect, test } from 'vitest';
import { integer, streamKey } from '../../util/random.ts';
import { leastBytes, placeBuffers, type Buffer, type Overlap } from './placement.ts';

const buffer = (name: string, bytes: number, first: number, last: number): Buffer => ({ name, bytes, first, last });

test('buffers that are not needed together share bytes', () => {
  const { addresses, bytes } = placeBuffers([buffer('a', 100, 0, 1), buffer('b', 40, 1, 2), buffer('c', 100, 2, 3)], []);
  expect(bytes).toBe(140);
  expect(addresses.get('a')).toBe(addresses.get('c'));
});

test('an output may lie over its input from the distance on', () => {
  const chain = [buffer('in', 100, 0, 1), buffer('out', 80, 1, 2)];
  const over = (distance: number): Overlap[] => [{ output: 'out', input: 'in', distance }];
  expect(placeBuffers(chain, []).bytes).toBe(180);
  expect(placeBuffers(chain, over(0)).bytes).toBe(100);
  expect(placeBuffers(chain, over(10))).toMatchObject({
    bytes: 112,
    addresses: new Map([
      ['in', 12],
      ['out', 0],
    ]),
  });
  // Over an input that is needed later as well, nothing may be written.
  expect(placeBuffers([...chain, buffer('other', 100, 1, 2)], over(0)).bytes).toBe(200);
});

test('addresses are multiples of four', () => {
  const { addresses } = placeBuffers([buffer('a', 5, 0, 1), buffer('b', 3, 0, 1), buffer('c', 9, 1, 1)], []);
  for (const address of addresses.values()) expect(address % 4).toBe(0);
});

test('random plans: nothing collides, and the bytes are few', () => {
  for (let seed = 0; seed < 60; seed++) {
    const key = streamKey(seed, 'plans');
    const buffers = Array.from({ length: 12 }, (_, i) => {
      // Every step writes one, as those of a network do.
      return buffer(`b${i}`, 1 + integer(key, 4 * i + 1, 500), i, i + 1 + integer(key, 4 * i + 2, 3));
    });
    const overlaps: Overlap[] = [];
    for (const output of buffers) {
      const input = buffers.find((other) => other.last === output.first && other !== output);
      if (input !== undefined) overlaps.push({ output: output.name, input: input.name, distance: integer(key, 900, 60) });
    }
    const { addresses, bytes } = placeBuffers(buffers, overlaps);
    expect(bytes).toBeGreaterThanOrEqual(leastBytes(buffers, overlaps));
    expect(bytes).toBeLessThanOrEqual(1.25 * leastBytes(buffers, overlaps));
    for (const a of buffers) {
      expect(addresses.get(a.name)! + a.bytes).toBeLessThanOrEqual(bytes);
      for (const b of buffers) {
        if (a.name >= b.name || a.first > b.last || b.first > a.last) continue;
        const [startA, startB] = [addresses.get(a.name)!, addresses.get(b.name)!];
        const apart = startA + a.bytes <= startB || startB + b.bytes <= startA;
        const allowed = overlaps.some(({ output, input, distance }) =>
          output === a.name && input === b.name
            ? startA + distance <= startB
            : output === b.name && input === a.name && startB + distance <= startA,
        );
        expect(apart || allowed, `${a.name} and ${b.name} of plan ${seed}`).toBe(true);
      }
    }
  }
});
