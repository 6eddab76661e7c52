/**
 * Where Winograd's convolution beats the direct one: oneDNN's float32 kernels for filters of 3x3, stride 1, padding 1, over a grid of
 * channels, filters, image sizes and batches, each pass with both algorithms in turns. The rule in src/engine/onednn/lowerings/winograd.ts
 * comes from the result, docs/results/winograd.json: `costs` are its constants, `summary` says how well it does. Also recorded is how far the
 * two algorithms' results are apart. Wants a quiet machine whose processor has AVX-512.
 *
 *     npx tsx bench/winograd.ts [--channels 16,32,64,192] [--filters 16,32,64,192] [--sizes 3,5,6,7,8,12,15,24] [--batches 16,128] [--rounds 5]
 *                               [--threads 1] [--out docs/results/winograd.json]
 */
import { parseArgs } from 'node:util';
import { winogradSpeedup } from '../src/engine/onednn/lowerings/winograd.ts';
import type { LayerOf } from '../src/nn/layer.ts';
import { NetworkBuilder } from '../src/nn/network.ts';
import type { ArgumentName, ConvolutionAlgorithm, Dnnl, Memory, MemoryDescriptor, Primitive } from '../src/engine/onednn/dnnl.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { allocateAligned, loadLibrary } from '../src/engine/onednn/native.ts';
import { openDnnl } from '../src/engine/onednn/open.ts';
import { asFloat32 } from '../src/engine/onednn/program.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { percentile } from '../src/util/percentile.ts';
import { streamKey, uniform } from '../src/util/random.ts';

const { values: options } = parseArgs({
  options: {
    channels: { type: 'string', default: '16,32,64,192' },
    filters: { type: 'string', default: '16,32,64,192' },
    sizes: { type: 'string', default: '3,5,6,7,8,12,15,24' },
    batches: { type: 'string', default: '16,128' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs/results/winograd.json' },
  },
});

const passes = ['forward', 'backwardData', 'backwardWeights'] as const;
type PassName = (typeof passes)[number];

interface Shape {
  readonly channels: number;
  readonly filters: number;
  readonly size: number;
  readonly batch: number;
}

interface Kernel {
  readonly run: () => void;
  /** The result in plain layout. */
  readonly result: () => Float32Array;
}

interface Row extends Shape {
  readonly pass: PassName;
  readonly directMs: number;
  readonly winogradMs: number;
  /** Root mean square of the results' difference over that of the direct result. */
  readonly difference: number;
}

const engine = createOnednnEngine({ threads: Number(options.threads) });
const geometry = { strides: [1, 1], padding: [1, 1, 1, 1] } as const;

function primitives(dnnl: Dnnl, algorithm: ConvolutionAlgorithm, { channels, filters, size, batch }: Shape) {
  const [x, w, y] = [
    [batch, channels, size, size],
    [filters, channels, 3, 3],
    [batch, filters, size, size],
  ].map((dims) => dnnl.any(dims, 'f32')) as [MemoryDescriptor, MemoryDescriptor, MemoryDescriptor];
  const how = { algorithm, ...geometry };
  const forward = dnnl.primitive({ kind: 'convolution', training: true, src: x, weights: w, bias: undefined, dst: y, ...how });
  if (forward === undefined) return undefined;
  const backwardData = dnnl.primitive(
    { kind: 'convolutionBackwardData', diffSrc: x, weights: w, diffDst: y, ...how },
    { forward },
  );
  const backwardWeights = dnnl.primitive(
    { kind: 'convolutionBackwardWeights', src: x, diffWeights: w, diffBias: undefined, diffDst: y, ...how },
    { forward },
  );
  return { forward, backwardData, backwardWeights };
}

const operands: Readonly<Record<PassName, readonly [ArgumentName, ArgumentName, ArgumentName]>> = {
  forward: ['src', 'weights', 'dst'],
  backwardData: ['diffDst', 'weights', 'diffSrc'],
  backwardWeights: ['src', 'diffDst', 'diffWeights'],
};

/** Deterministic values around 0. */
function fill(values: Float32Array, key: number): void {
  for (let i = 0; i < values.length; i++) values[i] = uniform(key, i) - 0.5;
}

function prepare(dnnl: Dnnl, primitive: Primitive, pass: PassName): Kernel {
  const args = new Map<ArgumentName, Memory>();
  const [first, second, target] = operands[pass];
  const memoryOf = (descriptor: MemoryDescriptor) => {
    const bytes = allocateAligned(descriptor.sizeBytes, 64);
    return { bytes, memory: dnnl.memory(descriptor, bytes) };
  };
  const reorder = (
    from: { descriptor: MemoryDescriptor; memory: Memory },
    to: { descriptor: MemoryDescriptor; memory: Memory },
  ) => {
    const kernel = dnnl.primitive({ kind: 'reorder', src: from.descriptor, dst: to.descriptor })!;
    dnnl.execution(
      kernel,
      new Map<ArgumentName, Memory>([
        ['src', from.memory],
        ['dst', to.memory],
      ]),
    )();
  };
  for (const name of [first, second]) {
    const descriptor = primitive.descriptor(name as 'src');
    const plain = dnnl.plain(descriptor.dims, 'f32');
    const source = memoryOf(plain);
    fill(asFloat32(source.bytes), streamKey(1, name));
    const { memory } = memoryOf(descriptor);
    reorder({ descriptor: plain, memory: source.memory }, { descriptor, memory });
    args.set(name, memory);
  }
  const descriptor = primitive.descriptor(target as 'dst');
  const { memory } = memoryOf(descriptor);
  args.set(target, memory);
  const scratchpad = primitive.descriptor('scratchpad');
  if (scratchpad.sizeBytes > 0) args.set('scratchpad', memoryOf(scratchpad).memory);
  return {
    run: dnnl.execution(primitive, args),
    result: () => {
      const plain = dnnl.plain(descriptor.dims, 'f32');
      const read = memoryOf(plain);
      reorder({ descriptor, memory }, { descriptor: plain, memory: read.memory });
      return asFloat32(read.bytes);
    },
  };
}

function measure(shape: Shape): Row[] {
  const dnnl = openDnnl(loadLibrary().library, engine.libraryVersion, engine.threads);
  try {
    const [direct, winograd] = [primitives(dnnl, 'direct', shape), primitives(dnnl, 'winograd', shape)];
    return passes.flatMap((pass) => {
      const [a, b] = [direct?.[pass], winograd?.[pass]];
      if (a === undefined || b === undefined) return [];
      return [compare(shape, pass, prepare(dnnl, a, pass), prepare(dnnl, b, pass))];
    });
  } finally {
    dnnl.dispose();
  }
}

function compare(shape: Shape, pass: PassName, direct: Kernel, winograd: Kernel): Row {
  const times = { direct: [] as number[], winograd: [] as number[] };
  // The first round warms up.
  for (let round = 0; round <= Number(options.rounds); round++) {
    for (const [name, kernel] of [
      ['direct', direct],
      ['winograd', winograd],
    ] as const) {
      const before = performance.now();
      kernel.run();
      if (round > 0) times[name].push(performance.now() - before);
    }
  }
  const [directMs, winogradMs] = [percentile(times.direct, 0.5), percentile(times.winograd, 0.5)];
  const [expected, actual] = [direct.result(), winograd.result()];
  const difference = rms(expected.map((value, i) => value - actual[i]!)) / rms(expected);
  return { ...shape, pass, directMs, winogradMs, difference };
}

function rms(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** A shape's three passes together. */
interface Step extends Shape {
  readonly ratio: number;
  /** What winogradSpeedup says. */
  readonly predicted: number;
}

/** @param rows those of one shape */
function stepOf(rows: readonly Row[]): Step {
  const { channels, filters, size, batch } = rows[0]!;
  const total = (time: 'directMs' | 'winogradMs') => rows.reduce((sum, row) => sum + row[time], 0);
  const predicted = winogradSpeedup(convolution({ channels, filters, size, batch }), batch);
  return { channels, filters, size, batch, ratio: total('directMs') / total('winogradMs'), predicted };
}

function convolution({ channels, filters, size }: Shape): LayerOf<'conv'> {
  const b = new NetworkBuilder('one', [channels, size, size]);
  return b.build(b.conv('c', b.input, { kernel: 3, filters })).layers[0] as LayerOf<'conv'>;
}

/**
 * The constants of the rule, by least squares of relative errors: saved / ratio = multiplication + tileTransform (1 / channels + 1 / filters) +
 * filterTransform / (batch tiles), where `saved` is how many times fewer multiplications Winograd needs.
 */
function fitCosts(steps: readonly Step[]): { multiplication: number; tileTransform: number; filterTransform: number } {
  const equations = steps.map(({ channels, filters, size, batch, ratio }) => {
    const tiles = Math.ceil(size / 4) ** 2;
    const weight = ratio / (size ** 2 / (4 * tiles));
    return { terms: [weight, weight * (1 / channels + 1 / filters), weight / (batch * tiles)], right: 1 };
  });
  const normal = [0, 1, 2].map((i) => [
    ...[0, 1, 2].map((k) => equations.reduce((sum, { terms }) => sum + terms[i]! * terms[k]!, 0)),
    equations.reduce((sum, { terms, right }) => sum + terms[i]! * right, 0),
  ]);
  const [multiplication, tileTransform, filterTransform] = solve(normal) as [number, number, number];
  return { multiplication, tileTransform, filterTransform };
}

/** Gauss and Jordan's elimination of a well-conditioned system whose right side is the last column. */
function solve(rows: number[][]): number[] {
  return rows
    .reduce((system, _, pivot) => {
      const head = system[pivot]!.map((value) => value / system[pivot]![pivot]!);
      return system.map((row, i) => (i === pivot ? head : row.map((value, k) => value - row[pivot]! * head[k]!)));
    }, rows)
    .map((row) => row.at(-1)!);
}

function summarize(steps: readonly Step[]) {
  const taken = steps.filter(({ predicted }) => predicted > 1.1).map(({ ratio }) => ratio);
  return {
    shapes: steps.length,
    faster: steps.filter(({ ratio }) => ratio > 1).length,
    taken: { shapes: taken.length, median: percentile(taken, 0.5), least: Math.min(...taken), most: Math.max(...taken) },
  };
}

const list = (text: string): number[] => text.split(',').map(Number);
const rows: Row[] = [];
const steps: Step[] = [];
for (const batch of list(options.batches))
  for (const size of list(options.sizes))
    for (const channels of list(options.channels))
      for (const filters of list(options.filters)) {
        const measured = measure({ channels, filters, size, batch });
        rows.push(...measured);
        if (measured.length > 0) steps.push(stepOf(measured));
        const text = measured.map(({ pass, directMs, winogradMs }) => `${pass} ${(directMs / winogradMs).toFixed(2)}`).join('  ');
        process.stdout.write(
          `batch ${batch}, ${channels} to ${filters} channels, ${size}x${size}: ${text || 'no Winograd kernel'}\n`,
        );
      }

const columns = ['channels', 'filters', 'size', 'batch', 'pass', 'directMs', 'winogradMs', 'difference'] as const;
const record = {
  what: 'Float32 convolutions of 3x3, stride 1, padding 1: milliseconds of oneDNN’s direct and Winograd kernels, medians of interleaved rounds',
  command: `npx tsx bench/winograd.ts ${process.argv.slice(2).join(' ')}`.trim(),
  rounds: Number(options.rounds),
  environment: {
    ...describeEnvironment({ threads: engine.threads, libraries: { onednn: engine.libraryVersion } }),
    commandLine: undefined,
  },
  costs: fitCosts(steps),
  summary: summarize(steps),
  columns,
  rows: '',
};
// A line for each row.
const lines = rows.map((row) => JSON.stringify(columns.map((name) => rounded(row[name])))).join(',\n    ');
writeFileAtomic(
  options.out,
  `${JSON.stringify(record, undefined, 2).replace('"rows": ""', () => `"rows": [\n    ${lines}\n  ]`)}\n`,
);

function rounded(value: number | string): number | string {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
