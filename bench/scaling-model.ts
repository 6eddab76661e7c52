/**
 * What a cluster would make of the measured step times: a model, not a measurement. Reads docs/results/data-parallel.json and prints the
 * tables of docs/cluster.md; with --write it puts them there, between the marks.
 *
 *     npx tsx bench/scaling-model.ts [--results docs/results/data-parallel.json] [--write] && npx prettier --write docs/cluster.md
 *
 * A machine is one like the measured one, with one process on it. A step of n machines takes
 *
 *     t(n) = compute(part of the batch) + max(last, sum - hidden)
 *
 * sum: an all-reduce of V bytes, 2 (n - 1) / n * V / bandwidth + 2 log2(n) * latency for each part that is sent (Rabenseifner, 2004;
 * Thakur et al., 2005). hidden: the backward pass, during which sums go on; the first part is ready after about a fifth of it. last: the
 * sum of the part that is ready last, which nothing hides; it is counted as a part of the size that parts have.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    results: { type: 'string', default: 'docs/results/data-parallel.json' },
    document: { type: 'string', default: 'docs/cluster.md' },
    write: { type: 'boolean', default: false },
  },
});

interface Results {
  readonly processes: number;
  readonly environment: { readonly cpu: { readonly model: string }; readonly versions: Readonly<Record<string, string>> };
  readonly rounds: number;
  readonly steps: number;
  readonly command: string;
  readonly models: readonly ModelResults[];
}

interface ModelResults {
  readonly model: string;
  readonly batchSize: number;
  readonly gradientBytes: number;
  readonly efficiency: number;
  readonly medians: Readonly<
    Record<'oneProcess' | 'overlapped' | 'notOverlapped' | 'bf16Gradients', { imagesPerSecond: number; gradientWaitMs: number }>
  >;
  /** Step times of one process, for batches of these sizes. */
  readonly parts: readonly { readonly batchSize: number; readonly msPerStep: number; readonly backwardMs: number }[];
}

interface Network {
  readonly name: string;
  /** Of the link, of which protocols leave nine tenths. */
  readonly bytesPerMs: number;
  readonly latencyMs: number;
}

const networks: readonly Network[] = [
  // Kernel TCP on data-centre Ethernet.
  { name: '10 Gb/s, TCP', bytesPerMs: 0.9 * 1.25e6, latencyMs: 0.03 },
  // RDMA.
  { name: '100 Gb/s, RDMA', bytesPerMs: 0.9 * 12.5e6, latencyMs: 0.003 },
];
const machines = [1, 2, 4, 8, 16, 32, 64];
/** Bytes of the parts in which gradients are summed (src/cluster/mpi/collective.ts). */
const partBytes = 2 ** 20;
/** Share of the backward pass during which sums can go on. */
const overlappable = 0.8;
/** Adding machines has stopped paying where doubling them brings less than this. */
const worthwhile = 1.2;

function sumMs(bytes: number, count: number, { bytesPerMs, latencyMs }: Network): number {
  const parts = Math.max(1, Math.ceil(bytes / partBytes));
  return (2 * (count - 1) * bytes) / count / bytesPerMs + parts * 2 * Math.log2(count) * latencyMs;
}

function stepMs({ gradientBytes }: ModelResults, part: ModelResults['parts'][number], count: number, network: Network): number {
  if (count === 1) return part.msPerStep;
  const last = sumMs(Math.min(partBytes, gradientBytes), count, network);
  return part.msPerStep + Math.max(last, sumMs(gradientBytes, count, network) - overlappable * part.backwardMs);
}

interface Row {
  readonly count: number;
  readonly ms: number;
  readonly speedUp: number;
}

/** The batch divided among ever more machines; undefined where no part of that size was measured. */
function divided(results: ModelResults, network: Network): Row[] {
  const whole = results.parts.find(({ batchSize }) => batchSize === results.batchSize)!;
  return machines.flatMap((count) => {
    const part = results.parts.find(({ batchSize }) => batchSize * count === results.batchSize);
    if (part === undefined) return [];
    const ms = stepMs(results, part, count, network);
    return [{ count, ms, speedUp: whole.msPerStep / ms }];
  });
}

/** The batch grows with the machines, each of which keeps the measured batch. */
function grown(results: ModelResults, network: Network): Row[] {
  const whole = results.parts.find(({ batchSize }) => batchSize === results.batchSize)!;
  return machines.map((count) => {
    const ms = stepMs(results, whole, count, network);
    return { count, ms, speedUp: (count * whole.msPerStep) / ms };
  });
}

/** The last number of machines whose doubling from half as many paid. */
function lastThatPays(rows: readonly Row[]): string {
  const stop = rows.findIndex((row, i) => i > 0 && row.speedUp / rows[i - 1]!.speedUp < worthwhile);
  return stop < 0 ? `${rows.at(-1)!.count} or more` : String(rows[stop - 1]!.count);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function measuredTable({ models, processes }: Results): string {
  const speed = ({ imagesPerSecond }: { imagesPerSecond: number }) => imagesPerSecond.toFixed(0);
  const wait = ({ gradientWaitMs }: { gradientWaitMs: number }) => gradientWaitMs.toFixed(2);
  const head = [
    ...['model', `1 process, ${processes} threads (images/s)`, `${processes} processes (images/s)`, 'efficiency'],
    ...['wait overlapped (ms/step)', 'wait not overlapped', 'wait with bf16 gradients'],
  ];
  return table(
    head,
    models.map(({ model, efficiency, medians: { oneProcess, overlapped, notOverlapped, bf16Gradients } }) => [
      ...[model, speed(oneProcess), speed(overlapped), `${(100 * efficiency).toFixed(1)}%`],
      ...[wait(overlapped), wait(notOverlapped), wait(bf16Gradients)],
    ]),
  );
}

function scalingTables({ models }: Results): string {
  return models
    .map((results) => {
      const kinds = networks.flatMap((network) => [
        { title: `batch ${results.batchSize} divided, ${network.name}`, rows: divided(results, network) },
        { title: `batch ${results.batchSize} each, ${network.name}`, rows: grown(results, network) },
      ]);
      const rows = machines.map((count) => [
        String(count),
        ...kinds.map(({ rows: all }) => {
          const row = all.find((each) => each.count === count);
          return row === undefined ? '' : `${row.speedUp.toFixed(1)}x (${row.ms.toFixed(1)} ms)`;
        }),
      ]);
      const pays = kinds.map(({ title, rows: all }) => `- ${title}: ${lastThatPays(all)}`).join('\n');
      const head = ['machines', ...kinds.map(({ title }) => title)];
      const volume = (results.gradientBytes / 2 ** 20).toFixed(1);
      return `**${results.model}**, ${volume} MiB of gradients: images a second against one machine (time of a step)\n\n${table(head, rows)}\n\nMachines up to which doubling them brings at least ${worthwhile}x:\n\n${pays}`;
    })
    .join('\n\n');
}

const results = JSON.parse(readFileSync(options.results, 'utf8')) as Results;
const { cpu, versions } = results.environment;
const origin = `${cpu.model}, ${versions['mpi']}, median of ${results.rounds} rounds of ${results.steps} steps, batch ${results.models[0]!.batchSize} (\`${results.command}\`).`;
const sections = { measured: `${measuredTable(results)}\n\n${origin}`, model: scalingTables(results) };
let document = readFileSync(options.document, 'utf8');
for (const [name, text] of Object.entries(sections)) {
  console.log(`${text}\n`);
  const marks = new RegExp(`(<!-- ${name}: [^\\n]*-->\\n)[^]*?(<!-- end -->)`);
  document = document.replace(marks, (_, begin: string, end: string) => `${begin}\n${text}\n\n${end}`);
}
if (options.write) writeFileSync(options.document, document);
