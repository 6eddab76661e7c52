import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { freezeUntrained } from '../../test/freeze-untrained.ts';
import { parseDevice } from '../deploy/mcu/cores.ts';
import { decodeModel } from '../deploy/onnx/schema.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { describeNetwork } from '../nn/description.ts';
import { createClassifier } from '../train/classifier.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { sampleReport } from '../../test/report-data.ts';
import { withDeviceCosts } from './device-costs.ts';
import { efficiencyFigure } from './figures/efficiency.ts';
import { countFiles, withLatencies } from './latency.ts';
import type { ReportData, ReportVariant } from './report-data.ts';
import { variantsTable } from './tables.ts';

const sample = sampleReport(2);
const small = { model: 'squeeze0', 'conv1.filters': 4, inputSize: 16 };

function variant(name: string, keys: ConfigOverrides, quantization?: ReportVariant['quantization']): ReportVariant {
  const config = resolveConfig({ ...small, ...keys });
  const { network } = createClassifier(config, sample);
  return { ...sample.variants[0]!, name, config, network: describeNetwork(network), quantization };
}

/** The operators and the shapes of the constants of a file. */
function contentOf(bytes: Uint8Array) {
  const { graph } = decodeModel(bytes)!;
  return [graph.node.map(({ opType }) => opType), graph.initializer.map(({ dims, dataType }) => [dims.join('x'), dataType])];
}

const report: ReportData = {
  ...sample,
  variants: [
    variant('as it is', {}),
    variant('other seed', { seed: 2 }),
    variant('constants', { standardization: 'channel' }),
    variant('int8', { standardization: 'channel' }, { scheme: 'int8', calibration: 'min-max', weightBits: 7 } as const),
    variant('float', {}, { scheme: 'none' }),
  ],
};

test('what is timed is what ablate freeze writes, each file once; quantized ones too', async () => {
  const contents: (ReturnType<typeof contentOf> | string)[] = [];
  const measured = await withLatencies(report, ({ files, ...how }) => {
    expect(how).toMatchObject({ threads: [1], runtimes: ['onnxruntime'], batchSizes: [] });
    contents.push(...files.map(({ path }) => contentOf(readFileSync(path))));
    return Promise.resolve(files.map(({ name }, i) => ({ file: name, latencyMs: { p50: i + 1, p95: 99, p99: 99 } })));
  });
  expect(countFiles(report.variants)).toBe(3);
  expect(measured.variants.map(({ cost }) => cost.latencyMs)).toEqual([1, 1, 2, 3, 1]);
  const [plain, constants, quantized] = contents;
  expect(plain).toEqual(contentOf((await freezeUntrained(referenceEngine, small)).encode(null)));
  const frozen = await freezeUntrained(referenceEngine, { ...small, standardization: 'channel' });
  expect(constants).toEqual(contentOf(frozen.encode(null)));
  expect(quantized![0]).toContain('QuantizeLinear');
  expect(measured.costNotes).toEqual([expect.stringMatching(/^Latency: median .* ONNX Runtime 1\.\d+\.\d+ with one thread/)]);
});

test('no more than twenty processes at a time', async () => {
  const variants = Array.from({ length: 23 }, (_, i) => variant(`v${i}`, { 'conv1.filters': i + 1 }));
  const sizes: number[] = [];
  await withLatencies({ ...report, variants }, ({ files }) => {
    sizes.push(files.length);
    return Promise.resolve([]);
  });
  expect(sizes).toEqual([20, 3]);
});

describe('on microcontrollers', () => {
  const costs = withDeviceCosts(report, [parseDevice('m4@100'), parseDevice('m7')]);

  test('flash, RAM and times; none where integers cannot be', () => {
    expect(costs.cores).toEqual(['m4@100', 'm7@280']);
    const [perImage, , constants, int8] = costs.variants.map(({ cost }) => cost.device);
    expect(perImage).toBeUndefined();
    expect(constants!.flashBytes).toBeGreaterThan(10_000);
    expect(constants!.ms).toHaveLength(2);
    expect(constants!.ms[0]! / constants!.ms[1]!).toBeCloseTo(((1.25 / 100) * 280) / 0.85);
    expect(int8).toEqual(constants);
    expect(costs.costNotes.join('\n')).toMatch(
      /Not for a microcontroller: as it is, other seed, float \(the network standardizes /,
    );
  });

  test('axes of the figure', () => {
    const wide = variant('wide', { standardization: 'channel', 'conv1.filters': 64 });
    const withWide = withDeviceCosts({ ...report, variants: [...report.variants, wide] }, [parseDevice('m4')]);
    const titles = JSON.stringify(efficiencyFigure(withWide)!.spec).match(/"title":"[^"]*(microcontroller|m4)[^"]*"/g);
    expect(titles).toEqual([
      '"title":"bytes of flash on a microcontroller"',
      '"title":"bytes of RAM on a microcontroller"',
      '"title":"predicted time of one image on m4@120, ms"',
    ]);
  });

  test('columns of the table', () => {
    const { header, rows } = variantsTable(costs);
    expect(header.slice(-4)).toEqual(['flash', 'RAM', 'm4@100 ms', 'm7@280 ms']);
    expect(rows[0]!.slice(-4)).toEqual(['', '', '', '']);
    expect(rows[2]!.at(-2)).toMatch(/^\d{1,2}(\.\d+)?$/);
  });
});
