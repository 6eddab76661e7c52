import { expect, test } from 'vitest';
import { assembleWat } from '../../../scripts/assemble-wat.ts';
import { integer, streamKey } from '../../util/random.ts';
import { factorOf, fixedPointOf, requantize } from './fixed-point.ts';
import { kernelsBinary } from './kernels-binary.ts';
import { createKernels, createPlainKernels, createWasmKernels } from './kernels.ts';

test('the module is made of kernels.wat (after a change: npm run wasm)', async () => {
  expect(kernelsBinary).toBe(Buffer.from(await assembleWat('deploy/mcu/kernels.wat')).toString('base64'));
});

const ways = [
  ['WebAssembly', createWasmKernels],
  ['plain loops', createPlainKernels],
  ['whatever there is', createKernels],
] as const;

test.each(ways)('a row of a convolution by %s', (_, create) => {
  const { memory, row } = create(40_000);
  const values = new Int16Array(memory, 0, 10_000);
  const key = streamKey(1, 'values');
  values.forEach((_, i) => (values[i] = integer(key, i, 511) - 255));
  // 5 pixels of 3 runs of 16 integers, 8 filters; in units of 16-bit integers.
  const [input, pixelStep, rowStep, weights, output] = [7, 11, 100, 2000, 10_000];
  row(2 * input, 2 * pixelStep, 3, 2 * rowStep, 2, 5, 2 * weights, 8, 2 * output);
  const expected: number[] = [];
  for (let pixel = 0; pixel < 5; pixel++) {
    for (let filter = 0; filter < 8; filter++) {
      let sum = 0;
      for (let r = 0; r < 3; r++) {
        for (let i = 0; i < 16; i++) {
          const place = (((filter >> 2) * 3 + r) * 2 + (i >> 3)) * 32 + (filter & 3) * 8 + (i & 7);
          sum += values[input + pixel * pixelStep + r * rowStep + i]! * values[weights + place]!;
        }
      }
      expected.push(sum);
    }
  }
  expect([...new Int32Array(memory, 2 * output, 40)]).toEqual(expected);
});

/** Shifts from 1 to 21; one that makes many halves. */
const factors = [...Array.from({ length: 21 }, (_, i) => Math.fround(0.3 * 2 ** -i)), 2 ** -6].map(fixedPointOf);

test.each(ways)('activations of sums by %s', (_, create) => {
  const { memory, finish } = create(40_000);
  const key = streamKey(2, 'sums');
  const filters = factors.length;
  const bias = factors.map((_, i) => 1000 * i - 9000);
  // 40 pixels, the sums of each with three further ones that are of no filter.
  const sums = Int32Array.from({ length: 40 * (filters + 3) }, (_, i) => {
    const shift = factors[i % (filters + 3)]?.shift ?? 0;
    return integer(key, i, 2 ** Math.min(9 + shift, 29)) - 2 ** Math.min(8 + shift, 28);
  });
  new Int32Array(memory, 0, sums.length).set(sums);
  new Int32Array(memory, 20_000).set(bias);
  new Float32Array(memory, 24_000).set(factors.map(factorOf));
  const written = new Int16Array(memory, 30_000, 40 * filters + 1).fill(77);
  finish(0, 40, 4 * (filters + 3), filters, 20_000, 24_000, -100, 120, 30_000);
  const expected = Array.from({ length: 40 * filters }, (_, i) => {
    const [pixel, filter] = [Math.floor(i / filters), i % filters];
    const value = requantize(sums[pixel * (filters + 3) + filter]! + bias[filter]!, factorOf(factors[filter]!));
    return Math.min(Math.max(value, -100), 120) + 0;
  });
  // Nothing is written behind them.
  expect([...written]).toEqual([...expected, 77]);
  // Neither end is all there is.
  expect(expected.filter((value) => value > -100 && value < 120).length).toBeGreaterThan(200);
});

test.each(ways)('sums of two tensors by %s', (_, create) => {
  const { memory, add } = create(40_000);
  const values = new Int16Array(memory);
  for (let i = 0; i < 511; i++) [values[i], values[1000 + i]] = [i - 255, ((i * 37) % 511) - 255];
  const [a, b, shift] = [1_700_001, 1_050_000, 21];
  add(0, 2000, 511, a, b, shift, -200, 210, 4000);
  const expected = Array.from({ length: 511 }, (_, i) => {
    const sum = values[i]! * a + values[1000 + i]! * b;
    return Math.min(Math.max(Math.floor(sum / 2 ** shift + 0.5), -200), 210) + 0;
  });
  expect([...values.subarray(2000, 2511)]).toEqual(expected);
});

test.each(ways)('the largest pixels by %s', (_, create) => {
  const { memory, largest } = create(40_000);
  const values = new Int16Array(memory);
  const key = streamKey(3, 'pixels');
  for (let i = 0; i < 4000; i++) values[i] = integer(key, i, 511) - 255;
  for (const channels of [3, 8, 21]) {
    values.fill(77, 10_000, 10_100);
    largest(2 * 5, 3, 2 * 400, 2, channels, 2 * 10_000);
    const expected = Array.from({ length: channels }, (_, c) => {
      const seen = [0, 1, 2].flatMap((row) => [0, 1].map((column) => values[5 + row * 400 + column * channels + c]!));
      return Math.max(...seen);
    });
    // Nothing is written behind them.
    expect([...values.subarray(10_000, 10_001 + channels)]).toEqual([...expected, 77]);
  }
});
