/**
 * A plan in plain loops over integers of any length, after TensorFlow Lite's reference kernels (tensorflow/lite/kernels/internal/reference), rounded
 * as in XNNPACK, and written without a look at the twin: what it must compute, to the bit.
 */
import { expect } from 'vitest';
import type { FixedPoint } from '../src/deploy/mcu/fixed-point.ts';
import type { ConvStep, Plan, PoolStep } from '../src/deploy/mcu/plan.ts';

/** `[height, width, channels]` integers. */
interface Image {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly values: readonly number[];
}

/** @param image `[height, width, channels]` bytes */
export function plainLogits(plan: Plan, image: Uint8Array): number[] {
  const tensors = new Map<string, Image>([
    [plan.input.name, { ...plan.input.extent, values: [...image].map((byte) => byte - 128) }],
  ]);
  for (const step of plan.steps) {
    const { extent, zeroPoint } = plan.tensors.get(step.name)!;
    const inputs = step.inputs.map((name) => tensors.get(name)!);
    const zeros = step.inputs.map((name) => plan.tensors.get(name)!.zeroPoint);
    const [x] = inputs as [Image];
    const each = (compute: (y: number, x: number, c: number) => number): Image => {
      const values: number[] = [];
      for (let y = 0; y < extent.height; y++) {
        for (let column = 0; column < extent.width; column++) {
          for (let c = 0; c < extent.channels; c++) values.push(compute(y, column, c));
        }
      }
      return { ...extent, values };
    };
    const clamp = (value: number, low = -128, high = 127) => Math.min(Math.max(value, low), high);
    const made = (): Image => {
      switch (step.kind) {
        case 'conv':
          return each((y, column, f) => clamp(zeroPoint + filterOutput(step, x, zeros[0]!, y, column, f), step.low, step.high));
        case 'maxPool':
          return each((y, column, c) => Math.max(...windowOf(step, x, y, column, c)));
        case 'avgPool':
          return each((y, column, c) => {
            const seen = windowOf(step, x, y, column, c);
            const sum = seen.reduce((a, b) => a + b, 0);
            const half = Math.floor(seen.length / 2);
            return Math.trunc((sum > 0 ? sum + half : sum - half) / seen.length);
          });
        case 'globalAverage':
          return each((_, __, c) => {
            const sum = x.values.reduce((total, value, i) => total + (i % x.channels === c ? value - zeros[0]! : 0), 0);
            return clamp(zeroPoint + times(sum, step.factor));
          });
        case 'add':
          return each((y, column, c) => {
            const terms = inputs.map((input, i) => BigInt(at(input, y, column, c) - zeros[i]!) * BigInt(step.multipliers[i]!));
            const sum = terms[0]! + terms[1]! + 2n ** BigInt(step.shift - 1);
            expect(sum).toBeLessThan(2 ** 31);
            return clamp(zeroPoint + Number(sum >> BigInt(step.shift)), step.low, step.high);
          });
        case 'multiply':
          return each((y, column, c) => {
            const b = inputs[1]!;
            const factor = at(b, b.height === 1 ? 0 : y, b.width === 1 ? 0 : column, c) - zeros[1]!;
            return clamp(zeroPoint + times((at(x, y, column, c) - zeros[0]!) * factor, step.factor));
          });
        case 'concat':
          return each((y, column, c) => {
            let part = 0;
            while (c >= inputs[part]!.channels) c -= inputs[part++]!.channels;
            return at(inputs[part]!, y, column, c);
          });
        case 'curve':
          return each((y, column, c) => step.table[at(x, y, column, c) + 128]!);
      }
    };
    tensors.set(step.name, made());
  }
  return [...tensors.get(plan.output.name)!.values];
}

function at({ width, channels, values }: Image, y: number, x: number, c: number): number {
  return values[(y * width + x) * channels + c]!;
}

/** Before the zero point is added. */
function filterOutput(step: ConvStep, x: Image, zero: number, y: number, column: number, f: number): number {
  const { kernel, stride, padding } = step.window;
  const channels = x.channels / step.groups;
  const group = Math.floor(f / (step.bias.length / step.groups));
  let sum = step.bias[f]!;
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      const [row, place] = [y * stride[0] + ky - padding[0], column * stride[1] + kx - padding[1]];
      if (row < 0 || row >= x.height || place < 0 || place >= x.width) continue;
      for (let c = 0; c < channels; c++) {
        const weight = step.weights[((f * kernel[0] + ky) * kernel[1] + kx) * channels + c]!;
        sum += weight * (at(x, row, place, group * channels + c) - zero);
      }
    }
  }
  return times(sum, step.factors[f]!);
}

/** The pixels inside the image. */
function windowOf({ window: { kernel, stride, padding } }: PoolStep, x: Image, y: number, column: number, c: number): number[] {
  const seen: number[] = [];
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      const [row, place] = [y * stride[0] + ky - padding[0], column * stride[1] + kx - padding[1]];
      if (row >= 0 && row < x.height && place >= 0 && place < x.width) seen.push(at(x, row, place, c));
    }
  }
  return seen;
}

/** XNNPACK's float32 in integers: the product to 24 bits, and that to an integer, each to the nearest, of two the even one. */
function times(sum: number, { multiplier, shift }: FixedPoint): number {
  const product = BigInt(Math.abs(sum)) * BigInt(multiplier);
  const unit = 1n << BigInt(Math.max(product.toString(2).length - 24, 0));
  return Math.sign(sum) * Number(quotient(quotient(product, unit) * unit, 1n << BigInt(31 + shift)));
}

function quotient(value: bigint, divisor: bigint): bigint {
  const [whole, rest] = [value / divisor, 2n * (value % divisor)];
  return rest > divisor || (rest === divisor && whole % 2n === 1n) ? whole + 1n : whole;
}
