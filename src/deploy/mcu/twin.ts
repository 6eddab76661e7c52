/**
 * Runs a plan: what the C code and the TensorFlow Lite file compute, to the bit. An accuracy that is reported for a device is the twin's.
 *
 * Every activation is stored less its zero point, with a border of zeros as wide as the padding of the layers that read it.
 */
import { factorOf, requantize } from './fixed-point.ts';
import { createKernels, type Kernels } from './kernels.ts';
import type { AddStep, ConvStep, CurveStep, GlobalAverageStep, MultiplyStep, Plan, PlanTensor, PoolStep } from './plan.ts';

export interface Twin {
  /**
   * @param image `[height, width, channels]` bytes, as large as the network's input
   * @param logits receives the integers of the output
   */
  run(image: Uint8Array, logits: Int8Array): void;
}

/** Where a tensor is. Lengths are in 16-bit integers. */
interface Place {
  readonly tensor: PlanTensor;
  /** Of the pixel at the left of the border's top. */
  readonly start: number;
  readonly top: number;
  readonly left: number;
  /** From a row to the next. */
  readonly rowLength: number;
}

/** For a vector that reaches beyond the end. */
const slack = 16;

/** A place for every tensor and for what convolutions and sums need, then the sums of one row. */
class Layout {
  readonly places = new Map<string, Place>();
  readonly weights = new Map<ConvStep, number>();
  readonly constants = new Map<ConvStep, number>();
  readonly sums: number;
  readonly bytes: number;

  constructor(plan: Plan) {
    let end = 0;
    const reserve = (length: number): number => {
      const start = end;
      // A whole number of vectors.
      end += Math.ceil((length + slack) / 8) * 8;
      return start;
    };
    for (const tensor of plan.tensors.values()) {
      const [top, left, bottom, right] = borderOf(plan, tensor.name);
      const { height, width, channels } = tensor.extent;
      const rowLength = (left + width + right) * channels;
      this.places.set(tensor.name, { tensor, start: reserve((top + height + bottom) * rowLength), top, left, rowLength });
    }
    let widest = 0;
    for (const step of plan.steps) {
      if (step.kind !== 'conv') continue;
      const { filters, rows, vectors } = runsOf(step);
      this.constants.set(step, reserve(2 * 2 * filters));
      widest = Math.max(widest, (step.window.output[1] + 1) * filters);
      if (step.groups === 1) this.weights.set(step, reserve(filters * rows * vectors * 8));
    }
    this.sums = reserve(2 * widest);
    this.bytes = 2 * end;
  }

  place(tensor: string): Place {
    return this.places.get(tensor)!;
  }
}

export function createTwin(plan: Plan, create: (bytes: number) => Kernels = createKernels): Twin {
  const layout = new Layout(plan);
  const kernels = create(layout.bytes);
  const values = new Int16Array(kernels.memory);
  const steps = plan.steps.map((step): (() => void) => {
    const output = layout.place(step.name);
    const inputs = step.inputs.map((name) => layout.place(name));
    const [input] = inputs as [Place];
    switch (step.kind) {
      case 'conv':
        return convolution(step, input, output, kernels, layout);
      case 'maxPool':
        return maxPool(step, input, output, kernels);
      case 'avgPool':
        return averagePool(step, input, output, values);
      case 'globalAverage':
        return globalAverage(step, input, output, values);
      case 'add':
        return addition(step, inputs as [Place, Place], output, kernels);
      case 'multiply':
        return product(step, inputs as [Place, Place], output, values);
      case 'concat':
        return concatenation(inputs, output, values);
      case 'curve':
        return curve(step, input, output, values);
      default:
        return step satisfies never;
    }
  });
  const image = layout.place(plan.input.name);
  const logits = layout.place(plan.output.name);
  return {
    run(pixels, result) {
      const offset = 128 + plan.input.zeroPoint;
      const { height, width, channels } = plan.input.extent;
      let i = 0;
      for (let y = 0; y < height; y++) {
        const start = placeOf(image, y, 0);
        for (let k = start; k < start + width * channels; k++) values[k] = pixels[i++]! - offset;
      }
      for (const step of steps) step();
      for (let k = 0; k < result.length; k++) result[k] = values[logits.start + k]! + plan.output.zeroPoint;
    },
  };
}

/** The zeros around a tensor: as many as any convolution reads. */
function borderOf(plan: Plan, tensor: string): readonly [number, number, number, number] {
  const border: [number, number, number, number] = [0, 0, 0, 0];
  for (const step of plan.steps) {
    if (step.kind !== 'conv' || step.inputs[0] !== tensor) continue;
    const { kernel, stride, padding, input, output } = step.window;
    for (const axis of [0, 1] as const) {
      border[axis] = Math.max(border[axis], padding[axis]);
      const end = (output[axis] - 1) * stride[axis] + kernel[axis] - padding[axis];
      border[axis + 2] = Math.max(border[axis + 2]!, end - input[axis]);
    }
  }
  return border;
}

/** How the products of a convolution are laid out: filters in fours, runs of whole vectors. */
function runsOf({ window, weights, bias }: ConvStep) {
  const [rows] = window.kernel;
  const runLength = weights.length / bias.length / rows;
  return { filters: Math.ceil(bias.length / 4) * 4, rows, runLength, vectors: Math.ceil(runLength / 8) };
}

function convolution(step: ConvStep, input: Place, output: Place, kernels: Kernels, layout: Layout): () => void {
  const { channels } = input.tensor.extent;
  const { zeroPoint } = output.tensor;
  const { stride, padding, output: size } = step.window;
  const { filters } = runsOf(step);
  const { sums } = layout;
  const constants = layout.constants.get(step)!;
  new Int32Array(kernels.memory, 2 * constants).set(step.bias);
  new Float32Array(kernels.memory, 2 * constants + 4 * filters).set(step.factors.map(factorOf));
  const [low, high] = [step.low - zeroPoint, step.high - zeroPoint];
  const first = placeOf(input, -padding[0], -padding[1]);
  const rowOfSums =
    step.groups === 1 ? productsOf(step, input, kernels, layout) : groupedProductsOf(step, input, kernels, layout);
  return () => {
    for (let y = 0; y < size[0]; y++) {
      rowOfSums(first + y * stride[0] * input.rowLength, stride[1] * channels);
      const target = 2 * placeOf(output, y, 0);
      kernels.finish(
        2 * sums,
        size[1],
        4 * filters,
        step.bias.length,
        2 * constants,
        2 * constants + 4 * filters,
        low,
        high,
        target,
      );
    }
  };
}

/** Of a function that sums the products of one row of pixels: where its first pixel's window begins, and from pixel to pixel. */
type RowOfSums = (start: number, pixelStep: number) => void;

function productsOf(step: ConvStep, input: Place, { memory, row }: Kernels, layout: Layout): RowOfSums {
  const { filters, rows, runLength, vectors } = runsOf(step);
  const weights = layout.weights.get(step)!;
  const values = new Int16Array(memory);
  step.weights.forEach((weight, i) => {
    const filter = Math.floor(i / (rows * runLength));
    const run = Math.floor(i / runLength) % rows;
    const k = i % runLength;
    const vector = (Math.floor(filter / 4) * rows + run) * vectors + Math.floor(k / 8);
    values[weights + vector * 32 + (filter % 4) * 8 + (k % 8)] = weight;
  });
  const pixels = step.window.output[1];
  return (start, pixelStep) =>
    row(2 * start, 2 * pixelStep, rows, 2 * input.rowLength, vectors, pixels, 2 * weights, filters, 2 * layout.sums);
}

function groupedProductsOf(step: ConvStep, input: Place, { memory }: Kernels, layout: Layout): RowOfSums {
  const values = new Int16Array(memory);
  const sums = new Int32Array(memory, 2 * layout.sums);
  const { kernel, output } = step.window;
  const filters = step.bias.length;
  const stride = runsOf(step).filters;
  const perGroup = filters / step.groups;
  const allChannels = input.tensor.extent.channels;
  const channels = allChannels / step.groups;
  const { weights } = step;
  return (start, pixelStep) => {
    for (let x = 0; x < output[1]; x++) {
      let w = 0;
      for (let filter = 0; filter < filters; filter++) {
        const corner = start + x * pixelStep + Math.floor(filter / perGroup) * channels;
        let sum = 0;
        for (let ky = 0; ky < kernel[0]; ky++) {
          for (let kx = 0; kx < kernel[1]; kx++) {
            const pixel = corner + ky * input.rowLength + kx * allChannels;
            for (let c = 0; c < channels; c++) sum += values[pixel + c]! * weights[w++]!;
          }
        }
        sums[x * stride + filter] = sum;
      }
    }
  };
}

function maxPool({ window }: PoolStep, input: Place, output: Place, { largest }: Kernels): () => void {
  const { channels } = output.tensor.extent;
  return () =>
    eachWindow(window, (y, x, top, bottom, left, right) => {
      const start = 2 * placeOf(input, top, left);
      largest(start, bottom - top, 2 * input.rowLength, right - left, channels, 2 * placeOf(output, y, x));
    });
}

function averagePool({ window }: PoolStep, input: Place, output: Place, values: Int16Array): () => void {
  const { extent, zeroPoint } = output.tensor;
  return () =>
    eachWindow(window, (y, x, top, bottom, left, right) => {
      const target = placeOf(output, y, x);
      const count = (bottom - top) * (right - left);
      for (let c = 0; c < extent.channels; c++) {
        let sum = count * zeroPoint;
        for (let row = top; row < bottom; row++) {
          for (let column = left; column < right; column++) sum += values[placeOf(input, row, column) + c]!;
        }
        // Halves away from zero, of the integers themselves.
        values[target + c] = Math.sign(sum) * Math.floor((Math.abs(sum) + Math.floor(count / 2)) / count) - zeroPoint;
      }
    });
}

function globalAverage({ factor }: GlobalAverageStep, input: Place, output: Place, values: Int16Array): () => void {
  const { height, width, channels } = input.tensor.extent;
  const { zeroPoint } = output.tensor;
  const real = factorOf(factor);
  return () => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) sum += values[placeOf(input, y, x) + c]!;
      }
      values[placeOf(output, 0, 0) + c] = Math.min(Math.max(requantize(sum, real), -128 - zeroPoint), 127 - zeroPoint);
    }
  };
}

function addition(step: AddStep, [a, b]: readonly [Place, Place], output: Place, kernels: Kernels): () => void {
  const { multipliers, shift, low, high } = step;
  const { zeroPoint, extent } = output.tensor;
  return () => {
    for (let y = 0; y < extent.height; y++) {
      const [fromA, fromB, to] = [a, b, output].map((place) => 2 * placeOf(place, y, 0)) as [number, number, number];
      kernels.add(fromA, fromB, extent.width * extent.channels, ...multipliers, shift, low - zeroPoint, high - zeroPoint, to);
    }
  };
}

function product({ factor }: MultiplyStep, [a, b]: readonly [Place, Place], output: Place, values: Int16Array): () => void {
  const { extent, zeroPoint } = output.tensor;
  const real = factorOf(factor);
  const isVector = b.tensor.extent.height === 1 && b.tensor.extent.width === 1;
  return () => {
    for (let y = 0; y < extent.height; y++) {
      for (let x = 0; x < extent.width; x++) {
        const [fromA, fromB] = [placeOf(a, y, x), isVector ? placeOf(b, 0, 0) : placeOf(b, y, x)];
        const to = placeOf(output, y, x);
        for (let c = 0; c < extent.channels; c++) {
          const value = requantize(values[fromA + c]! * values[fromB + c]!, real);
          values[to + c] = Math.min(Math.max(value, -128 - zeroPoint), 127 - zeroPoint);
        }
      }
    }
  };
}

function concatenation(inputs: readonly Place[], output: Place, values: Int16Array): () => void {
  const { height, width } = output.tensor.extent;
  return () => {
    let first = 0;
    for (const input of inputs) {
      const { channels } = input.tensor.extent;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const [from, to] = [placeOf(input, y, x), placeOf(output, y, x) + first];
          for (let c = 0; c < channels; c++) values[to + c] = values[from + c]!;
        }
      }
      first += channels;
    }
  };
}

function curve({ table }: CurveStep, input: Place, output: Place, values: Int16Array): () => void {
  const centred = Int16Array.from(table, (value) => value - output.tensor.zeroPoint);
  const offset = 128 + input.tensor.zeroPoint;
  return () => {
    for (let y = 0; y < output.tensor.extent.height; y++) {
      const [from, to] = [placeOf(input, y, 0), placeOf(output, y, 0)];
      const length = output.tensor.extent.width * output.tensor.extent.channels;
      for (let i = 0; i < length; i++) values[to + i] = centred[values[from + i]! + offset]!;
    }
  };
}

/** Where the pixel (y, x) of a tensor begins; outside the image it is in the border. */
function placeOf({ start, top, left, rowLength, tensor }: Place, y: number, x: number): number {
  return start + (y + top) * rowLength + (x + left) * tensor.extent.channels;
}

/** The pixels that each pixel of a pool sees: rows from the top to above the bottom, columns from the left to before the right. */
function eachWindow(
  { kernel, stride, padding, input, output }: PoolStep['window'],
  visit: (y: number, x: number, top: number, bottom: number, left: number, right: number) => void,
): void {
  for (let y = 0; y < output[0]; y++) {
    const top = y * stride[0] - padding[0];
    for (let x = 0; x < output[1]; x++) {
      const left = x * stride[1] - padding[1];
      const [bottom, right] = [Math.min(top + kernel[0], input[0]), Math.min(left + kernel[1], input[1])];
      visit(y, x, Math.max(top, 0), bottom, Math.max(left, 0), right);
    }
  }
}
