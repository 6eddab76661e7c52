import { expect, test } from 'vitest';
import { toFloat16 } from './float16.ts';

/** What the bits stand for. */
function valueOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

const round = (value: number) => valueOf(toFloat16(Float32Array.of(value))[0]!);

test('every float16 is kept as it is', () => {
  const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => !Number.isNaN(valueOf(bits)));
  expect(toFloat16(Float32Array.from(all, valueOf))).toEqual(all);
  expect(round(NaN)).toBeNaN();
});

test('other values go to the nearest, halves to even', () => {
  const wrong: number[] = [];
  for (let bits = 0; bits < 0x7bff; bits++) {
    const [below, above] = [valueOf(bits), valueOf(bits + 1)];
    const halfway = round((below + above) / 2) === (bits % 2 === 0 ? below : above);
    const nearer = round(-(0.75 * below + 0.25 * above)) === -below && round(0.25 * below + 0.75 * above) === above;
    if (!halfway || !nearer) wrong.push(bits);
  }
  expect(wrong).toEqual([]);
  expect([65_519, 65_520, -1e9, 1e-30].map(round)).toEqual([65_504, Infinity, -Infinity, 0]);
});
