/** Figures in sentences and in tables that are written by hand are those of their records under docs/results/ and docs/studies/. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cores } from '../src/deploy/mcu/cores.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const record = (name: string) => JSON.parse(read(`docs/results/${name}.json`)) as unknown;

/** The cells of a table: of the first in the page whose header begins so. */
function table(page: string, header: string): readonly (readonly string[])[] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.startsWith('|') && line.replaceAll(/ +/g, ' ').startsWith(header));
  expect(start, header).toBeGreaterThan(-1);
  const rest = lines.slice(start + 2);
  const rows = rest.slice(
    0,
    rest.findIndex((line) => !line.startsWith('|')),
  );
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

interface Shipped {
  readonly flashBytes: { readonly weights: number };
  readonly accuracy: { readonly mean: number };
}

const units: Readonly<Record<string, number>> = { '%': 0.01, kB: 1e3, MB: 1e6, M: 1e6 };

/** Whether a cell, `1.09 MB` or `81.56%`, is this number, rounded to the digits that it shows. */
function expectShown(cell: string | undefined, value: number, what: string): void {
  const [, number, unit = ''] = /^([-+]?[\d,.]+)\s*(%|kB|MB|M|)/.exec(cell ?? '') ?? [];
  expect(number, `${what}: ${cell}`).toBeDefined();
  const scaled = value / (units[unit] ?? 1);
  const decimals = number!.split('.')[1]?.length ?? 0;
  const shown = Number(number!.replaceAll(',', ''));
  expect(Math.abs(shown - scaled), `${what}: ${cell} for ${value}`).toBeLessThanOrEqual(0.5000001 * 10 ** -decimals);
}

const readme = read('README.md');
const compression = read('docs/compression.md');

describe('README', () => {
  test('a step beside PyTorch', () => {
    interface Peer {
      readonly version: string;
      readonly precision: string;
      readonly ratio: { readonly median: number };
    }
    const { rows } = record('step-comparison') as { rows: readonly { precision: string; pytorch: readonly Peer[] }[] };
    const [, version, low, high] = /same precision, PyTorch ([\d.]+) takes ([\d.]+) to ([\d.]+) times as long/.exec(readme)!;
    // Its best setting in each row.
    const best = rows.flatMap(({ precision, pytorch }) => {
      const peers = pytorch.filter((peer) => peer.version.startsWith(`${version}.`) && peer.precision === precision);
      return peers.length === 0 ? [] : [Math.min(...peers.map(({ ratio }) => ratio.median))];
    });
    expect(best.length).toBeGreaterThan(20);
    expectShown(low, Math.min(...best), 'least');
    expectShown(high, Math.max(...best), 'most');
  });

  test('what integers cost', () => {
    const points = /five trained networks lose at most ([\d.]+) points/.exec(readme)![1];
    const files = quantizedFiles(['quantization', 'quantization-vnni']).filter(({ variant }) => variant === 'int8, mse');
    expect(new Set(files.map(({ model }) => model)).size).toBe(5);
    expectShown(points, Math.max(...files.map(({ floatAccuracy, accuracy }) => 100 * (floatAccuracy - accuracy))), 'points');
  });

  test('the smallest network', () => {
    const { int8 } = (record('smallest') as Smallest).quantize;
    expectShown(/keeps 87% takes (\d+ kB)/.exec(readme)![1], int8.bytes, 'bytes');
    expect(int8.test.accuracy).toBeGreaterThanOrEqual(0.87);
    const [small] = (record('mlperf-tiny') as { classes: readonly Shipped[] }).classes;
    expectShown(/and (\d+ kB) of a microcontroller/.exec(readme)![1], small!.flashBytes.weights, 'flash');
    expect(small!.accuracy.mean).toBeGreaterThanOrEqual(0.87);
  });

  test('four changes of the study', () => {
    interface Effect {
      readonly name: string;
      readonly correctedPValue: number;
      readonly difference: number;
      readonly low: number;
      readonly high: number;
    }
    const { effects } = JSON.parse(read('docs/studies/tutorial-model/report.json')) as { effects: readonly Effect[] };
    expect(readme).toContain(`Four of its ${effects.length} changes`);
    const rows = table(readme, '| change | points |');
    expect(rows).toHaveLength(4);
    for (const [change, points, interval = '', verdict] of rows) {
      const effect = effects.find(({ name }) => name === change)!;
      const [low, high] = interval.split(' to ');
      expectShown(points, 100 * effect.difference, change!);
      expectShown(low, 100 * effect.low, change!);
      expectShown(high, 100 * effect.high, change!);
      const resolved = effect.difference > 0 ? 'better' : 'worse';
      expect(verdict, change).toBe(effect.correctedPValue < 0.05 ? resolved : 'unresolved');
    }
  });
});

interface QuantizedFile {
  readonly model: string;
  readonly variant: string;
  readonly floatBytes: number;
  readonly bytes: number;
  readonly floatAccuracy: number;
  readonly accuracy: number;
  readonly agreement: number;
}

function quantizedFiles(names: readonly string[]): readonly QuantizedFile[] {
  return names.flatMap((name) => (record(name) as { results: readonly QuantizedFile[] }).results);
}

interface Latency {
  readonly model: string;
  readonly threads: number;
  readonly float32: { readonly latencyMs: { readonly p50: number }; readonly imagesPerSecond: number };
  readonly int8: { readonly latencyMs: { readonly p50: number }; readonly imagesPerSecond: number };
  readonly timesAsFast: { readonly latency: number; readonly batch: number };
}

interface Smallest {
  readonly prune: { readonly before: Cost; readonly after: Cost };
  readonly quantize: Readonly<
    Record<
      'int8' | 'int8, weights of 8 bits',
      { readonly bytes: number; readonly sourceBytes: number; readonly test: { readonly accuracy: number } }
    >
  >;
}

interface Cost {
  readonly parameters: number;
  readonly operations: number;
  readonly evaluation: { readonly accuracy: number };
}

describe('docs/compression.md', () => {
  test('what quantization costs', () => {
    const files = quantizedFiles(['quantization']);
    const models = ['tuto', 'alex4', 'squeeze1', 'air94'];
    const rows = table(compression, '| quantized | tuto | accuracy | same | alex4 |');
    expect(rows).toHaveLength(7);
    for (const [variant = '', ...cells] of rows) {
      models.forEach((model, i) => {
        const [bytes, accuracy, same] = cells.slice(3 * i, 3 * i + 3);
        const what = `${model}, ${variant}`;
        const file = files.find((each) => each.model === model && (variant === 'float32' || each.variant === variant))!;
        expect(file, what).toBeDefined();
        if (variant === 'float32') {
          expectShown(bytes, file.floatBytes, what);
          expectShown(accuracy, file.floatAccuracy, what);
        } else {
          expectShown(bytes, file.bytes, what);
          expectShown(accuracy, file.accuracy, what);
          expectShown(same, file.agreement, what);
        }
      });
    }
    const sevenBits = quantizedFiles(['quantization', 'quantization-vnni']).filter(({ variant }) =>
      /mse$|min|perc/.test(variant),
    );
    expect(compression).toContain('at most a quarter of a point, however ranges are found');
    for (const { floatAccuracy, accuracy } of sevenBits) expect(floatAccuracy - accuracy).toBeLessThanOrEqual(0.0025);
  });

  test('weights of 8 bits with VNNI', () => {
    const files = quantizedFiles(['quantization-vnni']).filter(({ variant }) => variant.endsWith('weights of 8 bits'));
    const sentence = /With VNNI nothing saturates: .*/.exec(compression)![0];
    expect(files).toHaveLength(5);
    for (const { model, accuracy } of files) expect(sentence).toContain(`${model} ${(100 * accuracy).toFixed(2)}%`);
  });

  test('what pruned filters save in time', () => {
    const { results } = record('structured-latency') as { results: readonly Latency[] };
    const rows = table(compression, '| network | operations | one image, float32 |');
    expect(rows).toHaveLength(results.length);
    rows.forEach(([network, , ...cells], row) => {
      const { float32, int8 } = results[row]!;
      [float32.latencyMs.p50, int8.latencyMs.p50, float32.imagesPerSecond, int8.imagesPerSecond].forEach((value, i) =>
        expectShown(cells[i], value, network!),
      );
    });
  });

  test('what pruning costs', () => {
    interface Pruned {
      readonly network: string;
      readonly n: number;
      readonly runs: readonly { readonly accuracy: number }[];
      readonly lost: { readonly mean: number; readonly low95: number | null; readonly high95: number | null };
    }
    const rows = [...table(compression, '| network | training | before | after | points'), ...filterRows()];
    const { results } = record('pruning') as { results: readonly Pruned[] };
    expect(rows).toHaveLength(results.length);
    for (const { network, n, runs, lost } of results) {
      const model = network.replace(/^.*\/(\w+)\..*$/, '$1');
      const mean = lost.mean.toFixed(2);
      const told = [
        ...[mean, `${mean} points less`, `${mean} (${lost.low95?.toFixed(2)} to ${lost.high95?.toFixed(2)})`],
        runs.map(({ accuracy }) => `${(100 * accuracy).toFixed(2)}%`).join(' and '),
      ];
      const row = rows.filter(([name = '']) => name.startsWith(model)).find((cells) => cells.some((cell) => told.includes(cell)));
      expect(row, `${network}: ${told.join(' or ')}`).toBeDefined();
      expect(row, network).toContain(String(n));
    }
  });

  /** Of networks that lost filters. */
  const filterRows = () => table(compression, '| network | training | before | after | seeds');

  test('the smallest network', () => {
    const { prune, quantize } = record('smallest') as Smallest;
    const whole = quantizedFiles(['quantization']).find(({ model }) => model === 'squeeze1')!;
    const rows = table(compression, '| network | parameters | operations | file | accuracy |');
    const files = [
      { ...prune.before, bytes: whole.floatBytes, accuracy: prune.before.evaluation.accuracy },
      { ...prune.after, bytes: quantize.int8.sourceBytes, accuracy: prune.after.evaluation.accuracy },
      { bytes: quantize.int8.bytes, accuracy: quantize.int8.test.accuracy },
      { bytes: quantize['int8, weights of 8 bits'].bytes, accuracy: quantize['int8, weights of 8 bits'].test.accuracy },
    ];
    expect(rows).toHaveLength(files.length);
    rows.forEach(([network = '', parameters, operations, bytes, accuracy], i) => {
      const file = files[i]!;
      if ('parameters' in file) {
        expectShown(parameters, file.parameters, network);
        expectShown(operations, file.operations, network);
      }
      expectShown(bytes, file.bytes, network);
      expectShown(accuracy, file.accuracy, network);
    });
  });
});

interface Interval {
  readonly mean: number;
  readonly low95: number;
  readonly high95: number;
}

describe('docs/microcontrollers.md', () => {
  interface Network {
    readonly network: string;
    readonly accuracy: number;
    readonly floatAccuracy: number;
    readonly flashBytes: { readonly weights: number; readonly code: number };
    readonly ramBytes: { readonly activations: number };
    readonly multiplyAdds: number;
    readonly qemu: Readonly<Record<string, { readonly instructionsPerImage: number }>>;
    readonly c: Readonly<Record<string, Agreement>>;
    readonly tensorflowLite: { readonly default: Agreement; readonly reference: Agreement; readonly micro: Agreement | string };
  }
  interface Agreement {
    readonly images: number;
    readonly sameLabel: number;
    readonly sameLogits: number;
    readonly largestDifference: number;
  }
  const page = read('docs/microcontrollers.md');
  const { networks } = record('microcontrollers') as { networks: readonly Network[] };
  const named = (name: string) => networks.find(({ network }) => network === name.toLowerCase().replace('-', ''))!;

  test('what trained networks take', () => {
    const rows = table(page, '| network | accuracy, integers |');
    expect(rows).toHaveLength(networks.length);
    for (const [name = '', ...cells] of rows) {
      const { accuracy, floatAccuracy, flashBytes, ramBytes, multiplyAdds, qemu } = named(name);
      [
        ...[accuracy, floatAccuracy, flashBytes.weights, flashBytes.code, ramBytes.activations, multiplyAdds],
        ...['cortex-m3', 'cortex-m4', 'cortex-m7'].map((core) => qemu[core]!.instructionsPerImage),
      ].forEach((value, i) => expectShown(cells[i], value, name));
    }
  });

  test('how far others agree', () => {
    const rows = table(page, "| network | LiteRT's usual kernels: images |");
    expect(rows).toHaveLength(networks.length);
    for (const [name = '', ...cells] of rows) {
      const { c, tensorflowLite } = named(name);
      expect(Object.values(c).every(({ sameLogits }) => sameLogits === 1)).toBe(true);
      const { micro, reference } = tensorflowLite;
      if (typeof micro !== 'string') expect(micro).toEqual(reference);
      const shown = [tensorflowLite.default, reference].flatMap(({ images, sameLabel, sameLogits, largestDifference }) => [
        images.toLocaleString('en'),
        ...[sameLabel, sameLogits].map((share) => `${(100 * share).toFixed(2)}%`),
        `${largestDifference} ${largestDifference === 1 ? 'unit' : 'units'}`,
      ]);
      expect(cells, name).toEqual(shown);
    }
  });

  test('beside TensorFlow Lite Micro', () => {
    const { instructionsPerImage, arenaBytes } = record('tflm') as { instructionsPerImage: number; arenaBytes: number };
    const { ramBytes, qemu } = named('resnet8');
    const text = page.replaceAll('\n', ' ');
    const [, theirs, arena] = /takes ([\d.]+M) instructions for an image .*? and ([\d.]+ kB) of RAM/.exec(text)!;
    expectShown(theirs, instructionsPerImage, 'instructions');
    expectShown(arena, arenaBytes, 'arena');
    const [, instructions, ram] = /takes (\d+%) fewer instructions and (\d+%) less RAM/.exec(text)!;
    expectShown(instructions, 1 - qemu['cortex-m4']!.instructionsPerImage / instructionsPerImage, 'instructions');
    // Its image is the caller's here, and in the arena there.
    expectShown(ram, 1 - (ramBytes.activations + 32 * 32 * 3) / arenaBytes, 'RAM');
  });

  test('instructions for each multiply-add', () => {
    const [, least, most] = /air94 takes (\d+) to (\d+%) fewer instructions for each multiply-add than ResNet-8/.exec(page)!;
    const forEach = (name: string, core: string) => named(name).qemu[core]!.instructionsPerImage / named(name).multiplyAdds;
    const fewer = Object.keys(named('air94').qemu).map((core) => 1 - forEach('air94', core) / forEach('resnet8', core));
    expectShown(`${least}%`, Math.min(...fewer), 'least');
    expectShown(most, Math.max(...fewer), 'most');
  });

  test('the cores and their cycles', () => {
    const rows = table(page, '| core (`--device`) |');
    expect(rows).toEqual(
      cores.map(({ name, title, instructionSet, cyclesPerInstruction, usualClockMHz }) => [
        `${title} (\`${name}\`)`,
        { dsp: 'DSP instructions', plain: 'plain C, no Helium', thumb1: 'plain C, Thumb-1' }[instructionSet],
        cyclesPerInstruction.toFixed(2),
        `${usualClockMHz} MHz`,
      ]),
    );
  });
});

test("docs/deploy.md's latencies", () => {
  interface Row {
    readonly model: string;
    readonly runtime: string;
    readonly threads: number;
    readonly latencyMs: { readonly p50: number };
    readonly ms2017: number;
  }
  const { rows: measured } = record('inference-latency') as { rows: readonly Row[] };
  const rows = table(read('docs/deploy.md'), '| model | frozen file in ONNX Runtime |');
  expect(rows).toHaveLength(4);
  for (const [model = '', ...cells] of rows) {
    ['onnxruntime', 'ablate', 'pytorch eager', 'pytorch optimized'].forEach((runtime, i) => {
      const row = measured.find((each) => each.model === model && each.runtime === runtime && each.threads === 1)!;
      expectShown(cells[i], row.latencyMs.p50, `${model}, ${runtime}`);
      expectShown(cells[4], row.ms2017, model);
    });
  }
});

test('sentences of docs/performance.md', () => {
  const page = read('docs/performance.md').replaceAll('\n', ' ');
  const { ratio } = record('trainer-overhead') as { ratio: { median: number } };
  expectShown(/takes (\d+%) longer \(alex2\)/.exec(page)![1], ratio.median - 1, 'trainer');
  const { results } = record('precision-accuracy') as { results: readonly { difference: Interval }[] };
  expect(results).toHaveLength(1);
  const { mean, low95, high95 } = results[0]!.difference;
  const [, points, low, high] = /differs by ([\d.]+) points \(95% interval: (-[\d.]+) to (\+[\d.]+);/.exec(page)!;
  expectShown(points, mean, 'bf16');
  expectShown(low, low95, 'bf16');
  expectShown(high, high95, 'bf16');
  const { rows } = record('winograd') as { rows: readonly (readonly (number | string)[])[] };
  const most = Number(/differ by at most ([\de-]+) of their size/.exec(page)![1]);
  expect(Math.max(...rows.map((row) => Number(row.at(-1))))).toBeLessThanOrEqual(most);
});
