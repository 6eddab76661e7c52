/**
 * Counts the instructions of the C code's loops (src/deploy/mcu/c/kernels.ts), compiled with -O2, in QEMU, fits the table of
 * src/deploy/mcu/instructions.ts to them, and prints it. Networks that are named are counted as a whole, to compare. Writes
 * docs/results/instructions.json. Nothing here needs a quiet machine: instructions are counted, not time.
 *
 *     node --import tsx bench/instructions.ts [resnet8 squeeze1 ./own.ts ...]
 *
 * Code for the Cortex-M0+ runs on the Cortex-M3, which has all its instructions.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { kernelText } from '../src/deploy/mcu/c/kernels.ts';
import type { Extent } from '../src/deploy/mcu/graph.ts';
import { workOf, instructionsOf, type InstructionSet, type Passage, type Work } from '../src/deploy/mcu/instructions.ts';
import type { Step } from '../src/deploy/mcu/plan.ts';

const machines: Readonly<Record<InstructionSet, readonly [core: string, board: string]>> = {
  dsp: ['cortex-m4', 'mps2-an386'],
  plain: ['cortex-m3', 'mps2-an385'],
  thumb1: ['cortex-m0plus', 'mps2-an385'],
};
const sets = Object.keys(machines) as InstructionSet[];
const cortex = resolve(import.meta.dirname, '../test/cortex-m');
const output = resolve(import.meta.dirname, '../docs/results/instructions.json');

interface Case {
  readonly step: Step;
  readonly inputs: readonly Extent[];
  readonly fromImage: boolean;
  /** The elements of its table in C. */
  readonly numbers: readonly (number | string)[];
}

interface Shape {
  readonly side: number;
  readonly channels: number;
  readonly filters?: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly fromImage?: boolean;
  readonly padded?: boolean;
}

function extent(side: number, channels: number): Extent {
  return { height: side, width: side, channels };
}

function windowOf({ side, kernel = 3, stride = 1, padded = true }: Shape) {
  const start = padded ? Math.floor((kernel - 1) / 2) : 0;
  const out = Math.ceil(padded ? side / stride : (side - kernel + 1) / stride);
  return {
    kernel: [kernel, kernel],
    stride: [stride, stride],
    padding: [start, start, start, start],
    input: [side, side],
    output: [out, out],
  } as const;
}

/** The numbers are those of `convolution`. Sums of random bytes become activations of all sizes by these factors. */
function conv(shape: Shape): Case {
  const { side, channels, filters = channels, groups = 1, fromImage = false } = shape;
  const window = windowOf(shape);
  const length = (window.kernel[0] * window.kernel[1] * channels) / groups;
  const step = {
    kind: 'conv',
    name: 'conv',
    inputs: ['x'],
    window,
    groups,
    weights: new Int8Array(filters * length),
    weightScales: new Float32Array(filters),
    bias: new Int32Array(filters),
    factors: [],
    clamp: null,
    low: -128,
    high: 127,
  } as const;
  const numbers = [
    ...[side, side, channels, ...window.output, filters],
    ...[...window.kernel, ...window.stride, window.padding[0], window.padding[1]],
    ...[groups, filters, fromImage ? -128 : 0, 0, 0, -128, 127, 'weights', 'bias', 'multipliers', 'shifts'],
  ];
  return { step, inputs: [extent(side, channels)], fromImage, numbers };
}

function pool(kind: 'maxPool' | 'avgPool', shape: Shape): Case {
  const { side, channels } = shape;
  const window = windowOf(shape);
  const numbers = [
    ...window.input,
    channels,
    ...window.output,
    ...window.kernel,
    ...window.stride,
    ...window.padding.slice(0, 2),
  ];
  return { step: { kind, name: 'pool', inputs: ['x'], window }, inputs: [extent(side, channels)], fromImage: false, numbers };
}

/** What has no shape but its sizes. */
function sized(kind: Step['kind'], sizes: readonly (readonly [side: number, channels: number])[]): readonly Case[] {
  return sizes.map(([side, channels]) => ({
    // Only the kind is looked at.
    step: { kind, name: kind, inputs: ['x'] } as unknown as Step,
    inputs: [extent(side, channels)],
    fromImage: false,
    numbers: [side * side, channels],
  }));
}

const sizes = [
  [16, 8],
  [8, 32],
  [5, 24],
  [12, 3],
] as const;

/** By function: the type of the table, the call with `each` an element of it, and the cases. */
const functions: Readonly<Record<string, { type: string; call: string; cases: readonly Case[] }>> = {
  convolve: {
    type: 'convolution',
    call: 'convolve(each, in, out, windows)',
    cases: [
      conv({ side: 12, channels: 3, filters: 16, fromImage: true }),
      conv({ side: 12, channels: 3, filters: 8, stride: 2, fromImage: true }),
      conv({ side: 12, channels: 1, filters: 8, kernel: 5, fromImage: true }),
      conv({ side: 8, channels: 16, filters: 16 }),
      conv({ side: 8, channels: 16, filters: 32, stride: 2 }),
      conv({ side: 6, channels: 32, filters: 32 }),
      conv({ side: 7, channels: 8, filters: 9 }),
      conv({ side: 8, channels: 10, filters: 12 }),
      conv({ side: 8, channels: 5, filters: 8, kernel: 5 }),
      conv({ side: 8, channels: 16, filters: 32, kernel: 1 }),
      conv({ side: 8, channels: 32, filters: 8, kernel: 1 }),
      conv({ side: 8, channels: 24, filters: 48, kernel: 1, stride: 2 }),
      conv({ side: 8, channels: 9, filters: 12, kernel: 1 }),
      conv({ side: 4, channels: 64, filters: 64, kernel: 1 }),
      conv({ side: 8, channels: 12, filters: 10, kernel: 2, padded: false }),
    ],
  },
  convolve_depthwise: {
    type: 'convolution',
    call: 'convolve_depthwise(each, in, out, windows)',
    cases: [
      conv({ side: 10, channels: 8, groups: 8 }),
      conv({ side: 10, channels: 32, groups: 32 }),
      conv({ side: 10, channels: 32, groups: 32, stride: 2 }),
      conv({ side: 10, channels: 16, groups: 16, kernel: 5 }),
      conv({ side: 10, channels: 6, groups: 6 }),
      conv({ side: 10, channels: 9, groups: 9, kernel: 5 }),
      conv({ side: 10, channels: 3, groups: 3, kernel: 1, fromImage: true }),
      conv({ side: 10, channels: 8, filters: 16, groups: 8 }),
      conv({ side: 10, channels: 15, filters: 30, groups: 15, kernel: 5 }),
      conv({ side: 10, channels: 24, groups: 24, kernel: 1 }),
    ],
  },
  convolve_groups: {
    type: 'convolution',
    call: 'convolve_groups(each, in, out, windows)',
    cases: [
      conv({ side: 8, channels: 16, filters: 16, groups: 2 }),
      conv({ side: 8, channels: 16, filters: 16, groups: 4 }),
      conv({ side: 8, channels: 16, filters: 32, groups: 8 }),
      conv({ side: 8, channels: 32, filters: 32, groups: 2, kernel: 1 }),
      conv({ side: 8, channels: 15, filters: 15, groups: 3 }),
      conv({ side: 8, channels: 12, filters: 12, groups: 2, kernel: 5 }),
    ],
  },
  dense: {
    type: 'convolution',
    call: 'dense(each, in, out)',
    cases: [
      conv({ side: 1, channels: 64, filters: 40, kernel: 1 }),
      conv({ side: 1, channels: 24, filters: 96, kernel: 1 }),
      conv({ side: 1, channels: 101, filters: 20, kernel: 1 }),
      conv({ side: 1, channels: 7, filters: 60, kernel: 1 }),
      conv({ side: 4, channels: 24, filters: 10, kernel: 4, padded: false }),
    ],
  },
  max_pool: {
    type: 'pool',
    call: 'max_pool(each, in, out)',
    cases: [
      pool('maxPool', { side: 12, channels: 16, kernel: 2, stride: 2, padded: false }),
      pool('maxPool', { side: 12, channels: 16, kernel: 3, stride: 2 }),
      pool('maxPool', { side: 12, channels: 32, kernel: 3, stride: 1 }),
      pool('maxPool', { side: 12, channels: 5, kernel: 3, stride: 2 }),
    ],
  },
  average_pool: {
    type: 'pool',
    call: 'average_pool(each, in, out)',
    cases: [
      pool('avgPool', { side: 12, channels: 16, kernel: 2, stride: 2, padded: false }),
      pool('avgPool', { side: 12, channels: 16, kernel: 3, stride: 2 }),
      pool('avgPool', { side: 12, channels: 32, kernel: 3, stride: 1 }),
      pool('avgPool', { side: 12, channels: 5, kernel: 4, stride: 4, padded: false }),
    ],
  },
  global_average: {
    type: 'size',
    call: 'global_average(in, each->pixels, each->channels, addends.zeros[0], factors.multiplier, factors.shift, 1, out)',
    cases: sized('globalAverage', [...sizes, [3, 64], [2, 128]]),
  },
  add: {
    type: 'size',
    call: 'add(&addends, in, in + 8192, each->pixels * each->channels, out)',
    cases: sized('add', sizes),
  },
  multiply: {
    type: 'size',
    call: 'multiply(&factors, in, in + 8192, each->pixels, each->channels, 0, out)',
    cases: sized('multiply', sizes),
  },
  copy_channels: {
    type: 'size',
    call: 'copy_channels(in, each->pixels, each->channels, out, each->channels + 8)',
    cases: sized('concat', sizes),
  },
  look_up: { type: 'size', call: 'look_up(weights, in, each->pixels * each->channels, out)', cases: sized('curve', sizes) },
};
const imageCases = sized('add', sizes);

const rounds = 2;

function program(): string {
  const tables = Object.entries({
    ...functions,
    copy_image: {
      type: 'size',
      call: 'copy_image((const uint8_t *)in, each->pixels * each->channels, out)',
      cases: imageCases,
    },
  });
  return `#include <stdint.h>
#include <stdio.h>
#include <string.h>

${notInlined(kernelText(['convolve', 'convolveDepthwise', 'convolveGroups', 'dense', 'maxPool', 'averagePool', 'globalAverage', 'add', 'multiply', 'copyChannels', 'lookUp', 'copyImage']))}

typedef struct {
    int pixels, channels;
} size;

static int8_t in[16384], out[16384], weights[65536];
static int32_t windows[4096], bias[256], multipliers[256];
static uint8_t shifts[256];
addition addends = {{3, -5}, {1500000, 900000}, 21, 1, -128, 127};
product factors = {{3, -5}, 1 << 30, 6, 1};
${tables.map(([name, { type, cases }]) => `static const ${type} of_${name}[] = {\n${cases.map(({ numbers }) => `    {${numbers.join(', ')}},`).join('\n')}\n};`).join('\n')}

${timer}
int main(void)
{
    uint32_t random = 1, ticks, sum = 0;
    unsigned i, round;
    for (i = 0; i < sizeof in + sizeof weights; i++) {
        random = random * 1664525u + 1013904223u;
        (i < sizeof in ? in : weights - sizeof in)[i] = (int8_t)(random >> 24);
    }
    for (i = 0; i < 256; i++) {
        multipliers[i] = 1 << 30;
        shifts[i] = 8;
    }
    RELOAD = VALUE = 0xffffffffu;
    CONTROL = 1;
${tables
  .map(
    ([name, { type, call }]) => `    for (i = 0; i < sizeof of_${name} / sizeof of_${name}[0]; i++) {
        const ${type} *each = &of_${name}[i];
        ticks = 0;
        for (round = 0; round < ${rounds}; round++) {
            const uint32_t before = VALUE;
            __asm__ volatile("" : "+r"(each) : : "memory");
            ${call};
            __asm__ volatile("" : : : "memory");
            ticks += before - VALUE;
        }
        printf("%lu\\n", (unsigned long)ticks);
    }`,
  )
  .join('\n')}
    for (i = 0; i < sizeof out; i++) sum += (uint32_t)out[i];
    return sum == 1;
}
`;
}

/** A network calls most of its functions several times. */
function notInlined(text: string): string {
  const names = [...Object.keys(functions), 'copy_image'].join('|');
  return text.replace(new RegExp(`^static void (${names})\\(`, 'gm'), 'static __attribute__((noinline)) void $1(');
}

/** Timer 0 of the boards has 25 MHz, and under -icount shift=0 an instruction takes a nanosecond: 40 instructions a tick. */
const timer = `#define CONTROL (*(volatile uint32_t *)0x40000000u)
#define VALUE (*(volatile uint32_t *)0x40000004u)
#define RELOAD (*(volatile uint32_t *)0x40000008u)
`;
const instructionsOfTick = 40;

const folder = mkdtempSync(join(tmpdir(), 'ablate-instructions-'));

/** Ticks that a program prints, one in a line. */
function printed(set: InstructionSet, files: readonly string[]): readonly number[] {
  const [core, board] = machines[set];
  const flags = ['-std=c99', '-O2', '-w', `-mcpu=${core}`, '-mthumb', '--specs=rdimon.specs', '-nostartfiles'];
  const sources = [join(cortex, 'startup.c'), ...files];
  const elf = `${files[0]!}-${set}.elf`;
  execFileSync('arm-none-eabi-gcc', [...flags, '-T', join(cortex, 'link.ld'), ...sources, '-o', elf], { cwd: folder });
  const options = ['-nographic', '-icount', 'shift=0', '-semihosting-config', 'enable=on,target=native'];
  const text = execFileSync('qemu-system-arm', ['-M', board, ...options, '-kernel', elf], { cwd: folder, encoding: 'utf8' });
  return text.trim().split('\n').map(Number);
}

/** What counts of each row are, in the order of the rows of `features`, as sums of non-negative costs: least squares of relative errors. */
function fitted(features: readonly Work[], counts: readonly number[]): ReadonlyMap<Passage, number> {
  const passages = [...new Set(features.flatMap((work) => work.filter(([, n]) => n > 0).map(([passage]) => passage)))];
  const rows = features.map((work, i) =>
    passages.map((passage) => work.reduce((sum, [each, n]) => sum + (each === passage ? n : 0), 0) / counts[i]!),
  );
  const normal = passages.map((_, a) => passages.map((__, b) => rows.reduce((sum, row) => sum + row[a]! * row[b]!, 0)));
  const right = passages.map((_, a) => rows.reduce((sum, row) => sum + row[a]!, 0));
  const costs = passages.map(() => 0);
  for (let sweep = 0; sweep < 20_000; sweep++) {
    for (const a of passages.keys()) {
      const rest = normal[a]!.reduce((sum, value, b) => sum + (a === b ? 0 : value * costs[b]!), 0);
      costs[a] = Math.max((right[a]! - rest) / normal[a]![a]!, 0);
    }
  }
  return new Map(passages.map((passage, i) => [passage, costs[i]!]));
}

const cases = Object.entries(functions).flatMap(([name, each]) => each.cases.map((one) => ({ name, ...one })));
writeFileSync(join(folder, 'loops.c'), program());
const counted = Object.fromEntries(
  sets.map((set) => [set, printed(set, ['loops.c']).map((ticks) => Math.round((ticks * instructionsOfTick) / rounds))]),
) as Record<InstructionSet, number[]>;
const worksOf = (set: InstructionSet): readonly Work[] => [
  ...cases.map(({ step, inputs, fromImage }) => workOf(step, { inputs, fromImage, set })),
  ...imageCases.map(({ inputs: [image] }): Work => [['imageByte', image!.height * image!.width * image!.channels]]),
];
const fits = new Map(sets.map((set) => [set, fitted(worksOf(set), counted[set])]));
const passages = [...new Set([...fits.values()].flatMap((fit) => [...fit.keys()]))];
for (const passage of passages) {
  const costs = sets.map((set) => `${set}: ${Number((fits.get(set)!.get(passage) ?? 0).toPrecision(3))}`);
  console.log(`  ${passage}: { ${costs.join(', ')} },`);
}
const rows = [
  ...cases.map(({ name, numbers }) => ({ name, numbers })),
  ...imageCases.map(({ numbers }) => ({ name: 'copy_image', numbers })),
];
for (const set of sets) {
  const errors = worksOf(set).map((work, i) => {
    const cost = work.reduce((sum, [passage, n]) => sum + (n > 0 ? n * fits.get(set)!.get(passage)! : 0), 0);
    return `${rows[i]!.name} ${rows[i]!.numbers.slice(0, 13).join(',')}: ${counted[set][i]!} ${((cost / counted[set][i]! - 1) * 100).toFixed(0)}%`;
  });
  console.error(`${set}\n  ${errors.join('\n  ')}`);
}

/** Weights are left out: they are no matter to the count, and long to compile. */
async function countNetwork(reference: string) {
  const { buildModel } = await import('../src/models/registry.ts');
  const { loadModel } = await import('../src/user/model-file.ts');
  const { untrainedPlan, usualStandardization } = await import('../src/deploy/mcu/figures.ts');
  const { planMemory } = await import('../src/deploy/mcu/memory.ts');
  const { headerFile, sourceFile } = await import('../src/deploy/mcu/c/source.ts');
  const { definition } = await loadModel(reference, {});
  const network = buildModel(definition, { input: definition.defaultInputSize });
  const plan = untrainedPlan({ network, preprocessing: { standardization: usualStandardization(network.inputShape[0]!) } });
  const memory = planMemory(plan);
  const classes = Array.from({ length: plan.output.extent.channels }, (_, i) => `class ${i}`);
  const code = { name: 'network', plan, memory, classes, origin: [] };
  const source = sourceFile(code).replace(/static const int8_t (\w+_weights\[\d+\]) = \{[^}]*\}/g, 'int8_t $1');
  const main = `#include "network.h"
#include <stdio.h>
${timer}
int main(void)
{
    static uint8_t image[NETWORK_HEIGHT * NETWORK_WIDTH * NETWORK_CHANNELS];
    int8_t logits[NETWORK_CLASSES];
    uint32_t before;
    RELOAD = VALUE = 0xffffffffu;
    CONTROL = 1;
    before = VALUE;
    network_classify(image, logits);
    printf("%lu\\n", (unsigned long)(before - VALUE));
    return 0;
}
`;
  for (const [file, text] of [
    ['network.c', source],
    ['network.h', headerFile(code)],
    ['main.c', main],
  ] as const)
    writeFileSync(join(folder, file), text);
  const counts = sets.map((set) => [set, printed(set, ['main.c', 'network.c'])[0]! * instructionsOfTick] as const);
  const predicted = sets.map((set) => [set, Math.round(instructionsOf(plan, memory, set))] as const);
  const row = { network: definition.name, multiplyAdds: plan.multiplyAdds, instructions: Object.fromEntries(counts) };
  console.error(JSON.stringify({ ...row, predicted: Object.fromEntries(predicted) }));
  return row;
}

const networks = [];
for (const reference of process.argv.slice(2)) networks.push(await countNetwork(reference));
rmSync(folder, { recursive: true });
const versions = ['arm-none-eabi-gcc', 'qemu-system-arm'].map((tool) => [
  tool,
  execFileSync(tool, ['--version'], { encoding: 'utf8' }).split('\n')[0]!,
]);
const command = `node --import tsx bench/instructions.ts ${process.argv.slice(2).join(' ')}`.trim();
const loops = rows.map(({ name, numbers }, i) => ({
  function: name,
  numbers: numbers.filter((each) => typeof each === 'number').join(' '),
  ...Object.fromEntries(sets.map((set) => [set, counted[set][i]!])),
}));
writeFileSync(
  output,
  `${JSON.stringify({ command, tools: Object.fromEntries(versions) as Readonly<Record<string, string>>, loops, networks }, null, 2)}\n`,
);
