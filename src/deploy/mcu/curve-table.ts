/**
 * Curves as tables, with the very integers that LiteRT's usual kernels make: each result depends on one integer alone, so the way to it costs nothing on a
 * device. XNNPACK has tables too, made in float32; of hard swish and leaky ReLU it makes fixed-point numbers, and of SiLU a sigmoid and a product.
 */
import { activate } from '../../engine/reference/activation.ts';
import { fixedPointOf, nearestEven } from './fixed-point.ts';
import type { CurveActivation } from './graph.ts';
import type { IntegerScale } from './input.ts';
import { sigmoidScale } from './scales.ts';

/** What each of -128 to 127 becomes. */
export function curveTable(activation: CurveActivation, input: IntegerScale, output: IntegerScale): Int8Array {
  switch (activation.type) {
    case 'silu':
      return siluTable(input, output);
    case 'leakyRelu':
      return leakyReluTable(activation, input, output);
    case 'hardSwish':
      return hardSwishTable(input, output);
    case 'relu':
    case 'relu6':
    case 'gelu':
    case 'sigmoid':
      return floatTable(activation, input, output);
    default:
      return activation satisfies never;
  }
}

/** Of the distances of -128 to 127 from the input's zero point, the distances from the output's. */
function tableOf(input: IntegerScale, output: IntegerScale, make: (distance: number, i: number) => number): Int8Array {
  return Int8Array.from({ length: 256 }, (_, i) => {
    const value = make(i - 128 - input.zeroPoint, i) + output.zeroPoint;
    return Math.min(Math.max(value, -128), 127);
  });
}

/** XNNPACK, src/reference/unary-elementwise.cc: every step is rounded to float32, and the last to the nearest integer, zero point and all. */
function floatTable(activation: CurveActivation, input: IntegerScale, output: IntegerScale): Int8Array {
  const perUnit = Math.fround(1 / output.scale);
  const { zeroPoint } = output;
  return tableOf(input, output, (distance) => {
    const x = Float64Array.of(Math.fround(distance * input.scale));
    activate(x, x, activation);
    return nearestEven(Math.fround(Math.fround(Math.fround(x[0]!) * perUnit) + zeroPoint)) - zeroPoint;
  });
}

/** TensorFlow Lite has no SiLU. */
function siluTable(input: IntegerScale, output: IntegerScale): Int8Array {
  const sigmoid = floatTable({ type: 'sigmoid' }, input, sigmoidScale);
  const factor = Math.fround(Math.fround(input.scale * sigmoidScale.scale) / output.scale);
  return tableOf(input, output, (distance, i) =>
    nearestEven(Math.fround(distance * (sigmoid[i]! - sigmoidScale.zeroPoint) * factor)),
  );
}

/** XNNPACK, qs8-vlrelu: a factor for each sign, as a multiple of 1/256. */
function leakyReluTable(
  activation: Extract<CurveActivation, { readonly type: 'leakyRelu' }>,
  input: IntegerScale,
  output: IntegerScale,
): Int8Array {
  const positive = Math.fround(input.scale / output.scale);
  const negative = Math.fround(positive * Math.fround(activation.slope));
  // What XNNPACK leaves to other kernels.
  if (![positive, Math.abs(negative)].every((factor) => factor >= 2 ** -8 && factor <= 127))
    return floatTable(activation, input, output);
  const [above, below] = [nearestEven(256 * positive), nearestEven(256 * negative)];
  return tableOf(input, output, (distance) => (distance * (distance < 0 ? below : above) + 128) >> 8);
}

/** TensorFlow Lite, hard_swish.h, in every runtime: 16-bit numbers, of which 32768 stands for 3 on the way to the factor between 0 and 1. */
function hardSwishTable(input: IntegerScale, output: IntegerScale): Int8Array {
  const fine = Math.fround(input.scale / 128);
  const toOutput = shortFixedPoint(Math.fround(fine / output.scale));
  const toThree = shortFixedPoint(Math.fround(fine / Math.fround(3 / 32768)));
  return tableOf(input, output, (distance) => {
    const x = distance * 128;
    const factor = (scaleShort(x, toThree) + 32768) >> 1;
    const product = Math.trunc((factor * roundedProduct(x, toOutput.multiplier)) / 2 ** 15);
    return shiftRight(product, -toOutput.exponent);
  });
}

/** `multiplier * 2^(exponent - 15)`, of 16 bits. */
interface ShortFixedPoint {
  readonly multiplier: number;
  readonly exponent: number;
}

function shortFixedPoint(factor: number): ShortFixedPoint {
  // In [1/4, 1/2), where the multiplier has its exponent 1 too low.
  const exponent = Math.floor(Math.log2(factor)) + 1;
  const { multiplier } = fixedPointOf(factor * 2 ** (-exponent - 1));
  return { multiplier: Math.min((multiplier + 2 ** 15) >> 16, 32767), exponent };
}

function scaleShort(x: number, { multiplier, exponent }: ShortFixedPoint): number {
  if (exponent <= 0) return shiftRight(roundedProduct(x, multiplier), -exponent);
  // The last bit comes after the product, so that what it cuts is cut once.
  return short(2 * roundedProduct(short(x * 2 ** (exponent - 1)), multiplier));
}

function short(value: number): number {
  return Math.min(Math.max(value, -32768), 32767);
}

/** a * b / 2^15 to the nearest integer, halves away from zero but for those of negative products. */
function roundedProduct(a: number, b: number): number {
  const product = a * b;
  return Math.trunc((product + (product < 0 ? 1 - 2 ** 14 : 2 ** 14)) / 2 ** 15);
}

/** value / 2^bits to the nearest integer, halves away from zero. */
function shiftRight(value: number, bits: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) / 2 ** bits + 0.5);
}
