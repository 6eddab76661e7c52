/**
 * How many instructions the C code of a plan takes for an image: a model, for GCC with -O2. The loops of c/kernels.ts are counted, and each passage
 * costs what was measured in QEMU.
 */
import type { Window2d } from '../../nn/shape.ts';
import { elementsOf, isDense, isDepthwise, pixelsOf, type Extent } from './graph.ts';
import { isWrittenInPlace, type Memory } from './memory.ts';
import type { ConvStep, Plan, Step } from './plan.ts';

/** `dsp`: two products an instruction (Armv7E-M, Armv8-M with DSP); `plain`: Thumb-2 without; `thumb1`: Armv6-M, without long products and division. */
export type InstructionSet = 'dsp' | 'plain' | 'thumb1';

/**
 * Instructions for one passage of each loop. `node --import tsx bench/instructions.ts` counts them in QEMU (docs/results/instructions.json) and
 * prints this table.
 */
const costs = {
  copiedRow: { dsp: 79.9, plain: 86.6, thumb1: 116 },
  copiedByte: { dsp: 0.517, plain: 0.682, thumb1: 1.28 },
  flippedByte: { dsp: 10.5, plain: 9.98, thumb1: 6.84 },
  pairFour: { dsp: 12.8, plain: 0, thumb1: 0 },
  dotsFour: { dsp: 19.7, plain: 0, thumb1: 0 },
  fourActivations: { dsp: 175, plain: 168, thumb1: 382 },
  pairRow: { dsp: 53.4, plain: 0, thumb1: 0 },
  depthwiseFour: { dsp: 14, plain: 0, thumb1: 0 },
  activation: { dsp: 41, plain: 41.6, thumb1: 109 },
  depthwiseTap: { dsp: 7.39, plain: 7.55, thumb1: 11.3 },
  depthwiseSingle: { dsp: 11.5, plain: 1.57, thumb1: 36.8 },
  groupTap: { dsp: 14.9, plain: 12.9, thumb1: 14.6 },
  groupFour: { dsp: 13, plain: 0, thumb1: 0 },
  groupByte: { dsp: 6.47, plain: 5.28, thumb1: 7.22 },
  denseFour: { dsp: 10.4, plain: 0, thumb1: 0 },
  denseByte: { dsp: 8.41, plain: 4.95, thumb1: 6.86 },
  poolPixel: { dsp: 77.2, plain: 79.2, thumb1: 128 },
  poolTap: { dsp: 15, plain: 14.7, thumb1: 16.3 },
  maximum: { dsp: 7.03, plain: 7.05, thumb1: 7.31 },
  averageRow: { dsp: 19.3, plain: 22.6, thumb1: 22.6 },
  averageTap: { dsp: 4.19, plain: 3.54, thumb1: 4.61 },
  average: { dsp: 4.85, plain: 0.484, thumb1: 61.8 },
  globalTap: { dsp: 6.03, plain: 6.03, thumb1: 7.03 },
  globalAverage: { dsp: 23.8, plain: 23.9, thumb1: 78.6 },
  sum: { dsp: 17, plain: 16, thumb1: 22 },
  productPixel: { dsp: 28.7, plain: 28.7, thumb1: 27.2 },
  product: { dsp: 25.6, plain: 25.6, thumb1: 85.4 },
  copiedPixel: { dsp: 28.1, plain: 27.2, thumb1: 37.3 },
  lookUp: { dsp: 5.02, plain: 5.01, thumb1: 6.02 },
  imageByte: { dsp: 5, plain: 5.02, thumb1: 6.02 },
  dotsByte: { dsp: 0, plain: 9.83, thumb1: 28 },
} as const satisfies Readonly<Record<string, Readonly<Record<InstructionSet, number>>>>;

export type Passage = keyof typeof costs;

/** What a step does, how many times. */
export type Work = readonly (readonly [Passage, number])[];

export function instructionsOf(plan: Plan, memory: Memory, set: InstructionSet): number {
  const image: Work = memory.copiesImage ? [['imageByte', elementsOf(plan.input.extent)]] : [];
  const work = plan.steps.flatMap((step) => {
    const inputs = step.inputs.map((name) => plan.tensors.get(name)!.extent);
    const placed = step.inputs.filter((name) => step.kind === 'concat' && isWrittenInPlace(memory, step.name, name));
    const copied = inputs.filter((_, i) => !placed.includes(step.inputs[i]!));
    const fromImage = memory.storages.get(step.inputs[0]!)!.where === 'image';
    return workOf(step, { inputs: step.kind === 'concat' ? copied : inputs, fromImage, set });
  });
  return costOf([...image, ...work], set);
}

export function costOf(work: Work, set: InstructionSet): number {
  return work.reduce((sum, [passage, count]) => sum + count * costs[passage][set], 0);
}

interface Surroundings {
  /** Of a concat those alone that it copies. */
  readonly inputs: readonly Extent[];
  /** Whether the bytes of an image are read, which are flipped first. */
  readonly fromImage: boolean;
  readonly set: InstructionSet;
}

export function workOf(step: Step, surroundings: Surroundings): Work {
  const [input] = surroundings.inputs;
  switch (step.kind) {
    case 'conv':
      return convolutionWork(step, input!, surroundings);
    case 'maxPool': {
      const { pixels, taps } = seen(step.window);
      return [
        ['poolPixel', pixels],
        ['poolTap', taps],
        ['maximum', taps * input!.channels],
      ];
    }
    case 'avgPool': {
      const { pixels, rows, taps } = seen(step.window);
      return [
        ['poolPixel', pixels],
        ['averageRow', rows * input!.channels],
        ['averageTap', taps * input!.channels],
        ['average', pixels * input!.channels],
      ];
    }
    case 'globalAverage':
      return [
        ['globalTap', elementsOf(input!)],
        ['globalAverage', input!.channels],
      ];
    case 'add':
      return [['sum', elementsOf(input!)]];
    case 'multiply':
      return [
        ['productPixel', pixelsOf(input!)],
        ['product', elementsOf(input!)],
      ];
    case 'curve':
      return [['lookUp', elementsOf(input!)]];
    case 'concat':
      return surroundings.inputs.flatMap((extent): Work => [
        ['copiedPixel', pixelsOf(extent)],
        ['copiedByte', elementsOf(extent)],
      ]);
    default:
      return step satisfies never;
  }
}

function convolutionWork(step: ConvStep, { channels }: Extent, { fromImage, set }: Surroundings): Work {
  const { kernel, output } = step.window;
  const [pixels, taps, filters] = [output[0] * output[1], kernel[0] * kernel[1], step.bias.length];
  const length = step.weights.length / filters;
  const hasPairs = set === 'dsp';
  /** Sums of products of bytes that lie one after the other. */
  const dots = (four: Passage, byte: Passage, count: number, bytes: number): Work => {
    const fours = hasPairs ? Math.floor(bytes / 4) : 0;
    return [
      [four, count * fours],
      [byte, count * (bytes - 4 * fours)],
    ];
  };
  const copies = (windows: number): Work => [
    ['copiedRow', windows * kernel[0]],
    ['copiedByte', windows * taps * channels],
    ['flippedByte', fromImage ? windows * taps * channels : 0],
  ];
  if (isDense(step)) return [...dots('denseFour', 'denseByte', filters, length), ['activation', filters]];
  if (isDepthwise(step)) {
    const fours = hasPairs && channels === filters ? Math.floor(filters / 4) : 0;
    const singles = filters - 4 * fours;
    return [
      ...copies(pixels),
      ['depthwiseFour', pixels * fours * taps],
      ['depthwiseTap', pixels * singles * taps],
      ['depthwiseSingle', pixels * singles],
      ['activation', pixels * filters],
    ];
  }
  if (step.groups > 1) {
    const sums = pixels * filters;
    return [
      ...copies(pixels),
      ['groupTap', sums * taps],
      ...dots('groupFour', 'groupByte', sums * taps, length / taps),
      ['activation', sums],
    ];
  }
  // Two pixels and two filters at a time; the last of an odd number counts twice.
  const [windows, sums] = [even(pixels), even(pixels) * even(filters)];
  const isCopied = !hasPairs || fromImage || channels % 4 !== 0;
  const fours = hasPairs ? Math.ceil(length / 4) : 0;
  return [
    ...(isCopied ? copies(windows) : []),
    ['pairRow', hasPairs && !isCopied ? windows * kernel[0] : 0],
    ['pairFour', windows * fours],
    ['dotsFour', (sums / 4) * fours],
    ['dotsByte', hasPairs ? 0 : (sums / 4) * length],
    ['fourActivations', sums / 4],
  ];
}

function even(count: number): number {
  return count + (count % 2);
}

/** Of a pool: the pixels that it makes, the rows that their windows see of the image, and the pixels there. */
function seen({ kernel, stride, padding, input, output }: Window2d): { pixels: number; rows: number; taps: number } {
  const along = (axis: 0 | 1): number => {
    let sum = 0;
    for (let i = 0; i < output[axis]; i++) {
      const start = i * stride[axis] - padding[axis];
      sum += Math.min(start + kernel[axis], input[axis]) - Math.max(start, 0);
    }
    return sum;
  };
  const rows = along(0);
  return { pixels: output[0] * output[1], rows: rows * output[1], taps: rows * along(1) };
}
