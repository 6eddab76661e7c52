/** What 8-bit integers save in time: the table of docs/compression.md. `npm run results` writes it, and a test keeps it true. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../../src/report/markdown-parts.ts';
import { formatCount } from '../../src/util/format.ts';
import { withTable } from './results-table.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const compressionPath = `${root}docs/compression.md`;
const markers = { start: '<!-- latencies: written by npm run results -->', end: '<!-- end of latencies -->' };

interface Speed {
  readonly latencyMs: { readonly p50: number };
  readonly imagesPerSecond: number;
}

/** A row of quantized-latency.json. */
export interface QuantizedLatency {
  readonly model: string;
  readonly threads: number;
  readonly float32: Speed;
  readonly int8: Speed;
  /** Of int8, of float32's. */
  readonly timesAsFast: { readonly latency: number; readonly batch: number };
}

/** Of a processor without VNNI and of one with it. The first has all networks. */
export function readLatencies(name: 'quantized-latency' | 'quantized-latency-vnni'): readonly QuantizedLatency[] {
  return (JSON.parse(readFileSync(`${root}docs/results/${name}.json`, 'utf8')) as { results: QuantizedLatency[] }).results;
}

/** docs/compression.md with the table of the records in it. @throws Error if there is no place for it */
export async function withLatencyTable(page: string): Promise<string> {
  const vnni = readLatencies('quantized-latency-vnni');
  const ms = ({ latencyMs }: Speed) => `${latencyMs.p50.toFixed(2)} ms`;
  const rate = ({ imagesPerSecond }: Speed) => formatCount(Math.round(imagesPerSecond));
  const times = (value: number | undefined) => value?.toFixed(2) ?? '';
  const rows = [...readLatencies('quantized-latency')].sort((a, b) => a.threads - b.threads);
  const table = markdownTable({
    header: [
      ...['network', 'threads', 'one image, float32', 'int8', 'times as fast'],
      ...['128 at a time, float32', 'int8', 'times as fast', 'with VNNI: one', '128'],
    ],
    alignments: ['left', ...Array.from({ length: 9 }, () => 'right' as const)],
    rows: rows.map(({ model, threads, float32, int8, timesAsFast }) => {
      const other = vnni.find((each) => each.model === model && each.threads === threads)?.timesAsFast;
      return [
        ...[model, String(threads), ms(float32), ms(int8), times(timesAsFast.latency)],
        ...[`${rate(float32)} images/s`, rate(int8), times(timesAsFast.batch), times(other?.latency), times(other?.batch)],
      ];
    }),
  });
  return await withTable(page, markers, table);
}
