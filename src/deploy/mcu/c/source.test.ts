/**
 * Every character that source.ts and example.ts write for three small plans, which together have every kind of step, is that of a file in golden/.
 * code.test.ts says whether such code computes what it should. After a change that is meant,
 * `npx vitest run src/deploy/mcu/c/source.test.ts -u` writes the files: read what became of them.
 */
import { expect, test } from 'vitest';
import { resolveWindow, type Padding, type Window2d } from '../../../nn/shape.ts';
import { elementsOf, type Clamp, type Extent } from '../graph.ts';
import { planMemory } from '../memory.ts';
import type { Plan, PlanTensor, Step } from '../plan.ts';
import { createTwin } from '../twin.ts';
import { mainFile, makefile, testVectorsFile } from './example.ts';
import { kernelText } from './kernels.ts';
import { headerFile, kernelsOf, numberLines, sourceFile, type CodeOptions } from './source.ts';

type Pair = readonly [number, number];

interface ConvSettings {
  readonly filters: number;
  readonly kernel: Pair;
  readonly stride?: Pair;
  readonly padding?: Padding;
  readonly groups?: number;
  readonly clamp?: Clamp;
  readonly zeroPoint?: number;
}

/** Steps, and the tensors that they make. */
class PlanBuilder {
  readonly #tensors = new Map<string, PlanTensor>();
  readonly #steps: Step[] = [];
  readonly image: PlanTensor;

  constructor(side: number) {
    const extent = { height: side, width: side, channels: 3 };
    this.image = { name: 'image', extent, scale: 1 / 64, zeroPoint: -5 };
    this.#tensors.set(this.image.name, this.image);
  }

  add(step: Step, extent: Extent, zeroPoint: number): PlanTensor {
    const tensor = { name: step.name, extent, scale: 1 / 16, zeroPoint };
    this.#tensors.set(step.name, tensor);
    this.#steps.push(step);
    return tensor;
  }

  /** Weights, biases and factors are functions of their indices. */
  conv(name: string, x: PlanTensor, settings: ConvSettings): PlanTensor {
    const { filters, kernel, stride = [1, 1], padding = 'same', groups = 1, clamp = null, zeroPoint = 0 } = settings;
    const window = windowOf(x, kernel, stride, padding);
    const length = (kernel[0] * kernel[1] * x.extent.channels) / groups;
    // The more products, the smaller the factor, so that logits depend on the image.
    const shift = 5 + Math.ceil(length / 16);
    const step: Step = {
      ...{ kind: 'conv', name, inputs: [x.name], window, groups, clamp },
      weights: Int8Array.from({ length: filters * length }, (_, i) => ((i * 37) % 199) - 99),
      weightScales: new Float32Array(filters).fill(1),
      bias: Int32Array.from({ length: filters }, (_, filter) => 1000 - 700 * filter),
      factors: Array.from({ length: filters }, (_, filter) => ({
        multiplier: 2 ** 30 + 128e6 * filter,
        shift: shift + (filter % 2),
      })),
      low: clamp === null ? -128 : zeroPoint,
      high: clamp === 'relu6' ? 96 : 127,
    };
    return this.add(step, outputOf(window, filters), zeroPoint);
  }

  dense(name: string, x: PlanTensor, settings: Pick<ConvSettings, 'filters' | 'clamp' | 'zeroPoint'>): PlanTensor {
    const { height, width } = x.extent;
    return this.conv(name, x, { ...settings, kernel: [height, width], padding: 'valid' });
  }

  pool(kind: 'maxPool' | 'avgPool', name: string, x: PlanTensor, kernel: Pair): PlanTensor {
    const window = windowOf(x, kernel, [1, 1], 'same');
    return this.add({ kind, name, inputs: [x.name], window }, outputOf(window, x.extent.channels), x.zeroPoint);
  }

  concat(name: string, ...parts: readonly PlanTensor[]): PlanTensor {
    const { extent, zeroPoint } = parts[0]!;
    const channels = parts.reduce((sum, part) => sum + part.extent.channels, 0);
    return this.add({ kind: 'concat', name, inputs: parts.map((part) => part.name) }, { ...extent, channels }, zeroPoint);
  }

  multiply(name: string, a: PlanTensor, b: PlanTensor): PlanTensor {
    const factor = { multiplier: 3 * 2 ** 29, shift: 4 };
    return this.add({ kind: 'multiply', name, inputs: [a.name, b.name], factor }, a.extent, 2);
  }

  build(output: PlanTensor): Plan {
    return { input: this.image, output, tensors: this.#tensors, steps: this.#steps, multiplyAdds: 0 };
  }
}

function windowOf({ extent: { height, width } }: PlanTensor, kernel: Pair, stride: Pair, padding: Padding): Window2d {
  return resolveWindow([height, width], kernel, stride, padding)!;
}

function outputOf({ output: [height, width] }: Window2d, channels: number): Extent {
  return { height, width, channels };
}

function everyStep(): Plan {
  const b = new PlanBuilder(4);
  const stem = b.conv('stem', b.image, { filters: 2, kernel: [1, 3], clamp: 'relu', zeroPoint: -5 });
  const joined = b.concat('joined', b.image, stem);
  const halved = b.conv('halved', joined, { filters: 4, kernel: [2, 2], stride: [2, 2], clamp: 'relu6', zeroPoint: -20 });
  const depthwise = b.conv('depthwise', halved, { filters: 4, kernel: [3, 3], groups: 4, zeroPoint: 7 });
  const groups = b.conv('groups', halved, { filters: 2, kernel: [1, 1], groups: 2, zeroPoint: 3 });
  const wide = b.conv('wide', groups, { filters: 4, kernel: [1, 1] });
  const terms = { inputs: [depthwise.name, wide.name], multipliers: [1_000_000, 1_500_000], shift: 20 } as const;
  const sum = b.add({ kind: 'add', name: 'sum', ...terms, clamp: 'relu', low: -30, high: 127 }, depthwise.extent, -30);
  const pools = b.concat('pools', b.pool('maxPool', 'largest', sum, [3, 3]), b.pool('avgPool', 'mean', sum, [1, 2]));
  const one = b.conv('part/one', pools, { filters: 3, kernel: [1, 1] });
  const two = b.conv('part-one', pools, { filters: 2, kernel: [2, 1] });
  const parts = b.concat('parts', one, two);
  const table = Int8Array.from({ length: 256 }, (_, i) => (i < 128 ? Math.round((i - 128) / 4) : i - 128));
  const activation = { type: 'leakyRelu', slope: 0.25 } as const;
  const curve = b.add({ kind: 'curve', name: 'curve', inputs: [parts.name], activation, table }, parts.extent, 0);
  const factor = { multiplier: 2 ** 30, shift: 3 };
  const vector = { height: 1, width: 1, channels: 5 };
  const average = b.add({ kind: 'globalAverage', name: 'average', inputs: [curve.name], factor }, vector, 40);
  const gate = b.dense('gate', average, { filters: 5, clamp: 'unit', zeroPoint: -128 });
  const scaled = b.multiply('scaled', curve, gate);
  const square = b.multiply('square', scaled, scaled);
  const rows = b.conv('rows', square, { filters: 3, kernel: [2, 1], stride: [2, 1] });
  return b.build(b.dense('logits', rows, { filters: 6, zeroPoint: -9 }));
}

/** Without a window. */
function denseLayer(): Plan {
  const b = new PlanBuilder(2);
  return b.build(b.dense('logits', b.image, { filters: 2 }));
}

/** Without the block: from the caller's image to the caller's logits. */
function oneConvolution(): Plan {
  const b = new PlanBuilder(2);
  return b.build(b.conv('logits', b.image, { filters: 2, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 0, 0] }));
}

function optionsOf(name: string, plan: Plan, classes: readonly string[]): CodeOptions {
  const origin = [`Made of a*/b/*3 (${name}) by ablate's export.`, 'Its accuracy was not measured.'];
  return { name, plan, memory: planMemory(plan), classes, origin };
}

const awkward = ['plain ~', 'a "quoted" word', 'back\\slash', 'what??=', 'Vögel', 'tab\t1, delete\x7f2'];
const animals = ['cat', 'dog'];

/** The functions that kernels.ts holds are only named. */
function ownPart(options: CodeOptions): string {
  const kernels = kernelsOf(options);
  return sourceFile(options).replace(kernelText(kernels), `/* The text of kernels.ts for: ${[...kernels].join(', ')} */`);
}

test.each([
  ['every_step', everyStep, awkward],
  ['dense', denseLayer, animals],
  ['one_convolution', oneConvolution, animals],
] as const)('the code of %s', async (name, plan, classes) => {
  const options = optionsOf(name, plan(), classes);
  await expect(ownPart(options)).toMatchFileSnapshot(`golden/${name}.c`);
  await expect(headerFile(options)).toMatchFileSnapshot(`golden/${name}.h`);
});

test.each([
  [1, '1.0f'],
  [1e-7, '1e-7f'],
  [1 / 16, '0.0625f'],
])('the scale %d of the logits is a constant of C', (scale, text) => {
  const plan = oneConvolution();
  const header = headerFile(optionsOf('scaled', { ...plan, output: { ...plan.output, scale } }, animals));
  expect(header).toContain(`#define SCALED_LOGIT_SCALE ${text}\n`);
});

test('a grey image is one byte for each pixel', () => {
  const plan = oneConvolution();
  const input = { ...plan.input, extent: { ...plan.input.extent, channels: 1 } };
  expect(headerFile(optionsOf('grey', { ...plan, input }, animals))).toContain('2 rows of 2 pixels of 1 byte, grey.');
});

test('what goes beside the code', async () => {
  const options = optionsOf('dense', denseLayer(), animals);
  const { plan } = options;
  const [length, classes] = [elementsOf(plan.input.extent), plan.output.extent.channels];
  const images = Uint8Array.from({ length: 2 * length }, (_, i) => (i * 83) % 256);
  const logits = new Int8Array(2 * classes);
  const twin = createTwin(plan);
  twin.run(images.subarray(0, length), logits.subarray(0, classes));
  twin.run(images.subarray(length), logits.subarray(classes));
  await expect(testVectorsFile(options, { images, logits, count: 2 })).toMatchFileSnapshot('golden/dense_test_vectors.h');
  await expect(mainFile(options)).toMatchFileSnapshot('golden/main.c');
  await expect(makefile(options)).toMatchFileSnapshot('golden/Makefile');
});

test('lines of numbers have 120 characters at most', () => {
  // Indentation, 38 numbers with a space behind each, and a last one.
  const full = `    ${'1, '.repeat(38)}1,`;
  expect(full).toHaveLength(120);
  expect(numberLines(new Int8Array(39).fill(1))).toBe(full);
  expect(numberLines(new Int8Array(40).fill(1))).toBe(`${full}\n    1,`);
  expect(numberLines([12, -3], '  ')).toBe('  12, -3,');
});
