/** The tables of a report as cells, for the terminal, Markdown and HTML alike. */
import { formatBytes, formatCount, formatCounted, formatDuration, formatOperations, formatPredicted } from '../util/format.ts';
import { verdictOf } from '../study/verdict.ts';
import type { JudgedChange, JudgedHypothesis } from '../study/hypotheses.ts';
import { formatInterval, formatPercent, formatPoints, formatPValue } from './format.ts';
import type { Cost, ReportData, ReportVariant } from './report-data.ts';

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly alignments: readonly ('left' | 'right')[];
}

/** A hypothesis with what the study says of it, and a row for each of its changes. */
export interface HypothesisTable {
  /** `Augmentation is key: holds` */
  readonly title: string;
  /** When it holds, in words. */
  readonly criterion: string;
  readonly table: Table;
}

/** What the effects say of each hypothesis, beside what the network costs with its changes. */
export function hypothesisTables({ hypotheses = [], variants }: ReportData): readonly HypothesisTable[] {
  const costOf = (name: string | undefined) => variants.find((variant) => variant.name === name)?.cost;
  return hypotheses.map(({ hypothesis, answer, expected, within, changes }) => {
    const table: Table = {
      header: ['change', 'points', '95% interval', 'answer', 'parameters', 'operations'],
      rows: changes.map((change) => {
        const { name, effect } = change;
        const [cost, reference] = [costOf(name), costOf(effect?.reference)];
        const ratio = (key: 'parameters' | 'operations') =>
          cost === undefined || reference === undefined ? '' : `x ${(cost[key] / reference[key]).toFixed(2)}`;
        const points = effect === undefined ? '' : formatPoints(effect.difference);
        const interval = formatInterval(effect?.low, effect?.high);
        return [name, points, interval, describeAnswer(change), ratio('parameters'), ratio('operations')];
      }),
      alignments: ['left', 'right', 'right', 'left', 'right', 'right'],
    };
    const isSame = (column: string) => ['', 'x 1.00'].includes(commonCell(table, column) ?? '-');
    return {
      title: `${hypothesis}: ${answer}`,
      criterion: `Expected of ${changes.length === 1 ? 'this change' : 'each of these changes'}: ${criteria[expected]}${expected === 'same' ? ` ${within} ${within === 1 ? 'point' : 'points'}` : ''}.`,
      table: withoutColumns(table, ['parameters', 'operations'].filter(isSame)),
    };
  });
}

const criteria = {
  better: 'more accuracy',
  worse: 'less accuracy',
  same: 'an accuracy that differs by less than',
} as const satisfies Record<JudgedHypothesis['expected'], string>;

function describeAnswer({ answer, effect, seedsNeeded }: JudgedChange): string {
  if (effect === undefined) return `${answer} (not compared)`;
  return seedsNeeded === undefined ? answer : `${answer} (would take ${formatCount(seedsNeeded)} seeds)`;
}

/** What each change buys; in the end those that cannot be compared. Empty for searches. */
export function effectsTable({ effects, uncompared = [], reference }: ReportData): Table {
  const others = new Set([...effects, ...uncompared].map((effect) => effect.reference));
  const withReference = others.size > 1 || (others.size === 1 && !others.has(reference ?? ''));
  const header = ['change', 'points', '95% interval', 'p (Holm)', 'verdict', 'seeds', 'seeds for 0.5'];
  const rows = effects.map((effect) => {
    const { name, difference, low, high, correctedPValue, seeds, seedsForHalfPoint } = effect;
    const interval =
      low === undefined ? `no interval: ${seeds.length === 1 ? 'one seed' : 'all seeds alike'}` : formatInterval(low, high);
    const needed = effect.deviation === undefined ? '' : seedsForHalfPoint === undefined ? '?' : formatCount(seedsForHalfPoint);
    const against = withReference ? [effect.reference] : [];
    return [
      name,
      ...against,
      formatPoints(difference),
      interval,
      formatPValue(correctedPValue),
      verdictOf(effect),
      String(seeds.length),
      needed,
    ];
  });
  const without = uncompared.map(({ name, reference: against, state }) => [
    ...[name, ...(withReference ? [against] : [])],
    ...['', '', '', state, '0', ''],
  ]);
  return {
    header: withReference ? ['change', 'against', ...header.slice(1)] : header,
    rows: [...rows, ...without],
    alignments: [
      ...(withReference ? (['left', 'left'] as const) : (['left'] as const)),
      'right',
      'right',
      'right',
      'left',
      'right',
      'right',
    ],
  };
}

/** What each variant reaches and costs; for searches the best first. */
export function variantsTable({ variants, reference, cores = [] }: ReportData): Table {
  const extra = extraCosts(variants, cores);
  const ranked = reference === undefined ? byAccuracy(variants) : variants;
  return {
    header: [
      'variant',
      'accuracy %',
      '± sd',
      'runs',
      'parameters',
      'operations',
      'bytes',
      'training',
      ...extra.map(({ title }) => title),
    ],
    rows: ranked.map(({ name, accuracy, cost, runs }) => [
      name,
      formatPercent(accuracy?.mean),
      accuracy?.deviation === undefined ? '' : (100 * accuracy.deviation).toFixed(2),
      accuracy?.count === runs.length ? String(runs.length) : `${accuracy?.count ?? 0} of ${runs.length}`,
      formatCount(cost.parameters),
      formatOperations(cost.operations),
      formatBytes(cost.bytes),
      cost.trainingSeconds === undefined ? '' : formatDuration(cost.trainingSeconds),
      ...extra.map(({ cell }) => cell(cost)),
    ]),
    alignments: ['left', ...Array.from({ length: 7 + extra.length }, () => 'right' as const)],
  };
}

export interface TerminalTable {
  /** Above it. */
  readonly title?: string;
  readonly table: Table;
  /** Below it. */
  readonly note: string | undefined;
}

/**
 * The tables for a terminal, within 80 letters where names are short: the mean accuracy with its deviation as one column, and without what is the same in all
 * rows (how many seeds) or follows from the rest (bytes of parameters in float32). A line below says what was left out.
 */
export function terminalTables(data: ReportData): readonly TerminalTable[] {
  const effects = effectsTable(data);
  const variants = variantsTable(data);
  const seeds = commonCell(effects, 'seeds');
  const runs = commonCell(variants, 'runs');
  const inFiles = data.variants.some(({ quantization }) => quantization !== undefined);
  const hypotheses = hypothesisTables(data).map(({ title, criterion, table }) => ({
    title,
    table: withoutColumns(table, ['parameters', 'operations']),
    note: criterion,
  }));
  return [
    ...hypotheses,
    {
      table: seeds === undefined ? effects : withoutColumns(effects, ['seeds']),
      note: seeds && `${formatCounted(Number(seeds), 'seed')} each`,
    },
    {
      table: withDeviations(withoutColumns(variants, [...(runs === undefined ? [] : ['runs']), ...(inFiles ? [] : ['bytes'])])),
      note: noteOfRuns(runs),
    },
  ];
}

/** @param runs that are finished of each variant, as the table says it; undefined where they differ */
function noteOfRuns(runs: string | undefined): string | undefined {
  if (runs === undefined || runs === '1') return runs && 'mean of 1 run each';
  return runs.startsWith('0 ') ? 'no run is finished' : `mean of ${runs} runs each, ± standard deviation`;
}

/** What a column has in all rows; undefined if they differ, or there is no row. */
function commonCell({ header, rows }: Table, column: string): string | undefined {
  const cells = new Set(rows.map((row) => row[header.indexOf(column)]));
  return cells.size === 1 ? [...cells][0] : undefined;
}

function withoutColumns({ header, rows, alignments }: Table, names: readonly string[]): Table {
  const isKept = (_: unknown, column: number) => !names.includes(header[column]!);
  return {
    header: header.filter(isKept),
    rows: rows.map((row) => row.filter(isKept)),
    alignments: alignments.filter(isKept),
  };
}

/** `81.42 ± 0.30` in the place of two columns. */
function withDeviations(table: Table): Table {
  const at = table.header.indexOf('accuracy %');
  const deviation = table.header.indexOf('± sd');
  const rows = table.rows.map((row) =>
    row.map((cell, column) => (column === at && row[deviation] !== '' ? `${cell} ± ${row[deviation]!}` : cell)),
  );
  return withoutColumns({ ...table, rows }, ['± sd']);
}

/** Those that were asked for, and are known of any variant. */
function extraCosts(
  variants: readonly ReportVariant[],
  cores: readonly string[],
): readonly { readonly title: string; readonly cell: (cost: Cost) => string }[] {
  const bytes = (value: number | undefined) => (value === undefined ? '' : formatBytes(value));
  const withLatency = variants.some(({ cost }) => cost.latencyMs !== undefined);
  const withDevice = variants.some(({ cost }) => cost.device !== undefined);
  return [
    ...(withLatency ? [{ title: 'latency ms', cell: ({ latencyMs }: Cost) => latencyMs?.toFixed(2) ?? '' }] : []),
    ...(withDevice
      ? [
          { title: 'flash', cell: ({ device }: Cost) => bytes(device?.flashBytes) },
          { title: 'RAM', cell: ({ device }: Cost) => bytes(device?.ramBytes) },
          ...cores.map((core, i) => ({
            title: `${core} ms`,
            cell: ({ device }: Cost) => (device === undefined ? '' : formatPredicted(device.ms[i]!)),
          })),
        ]
      : []),
  ];
}

/** Every run, with the reason of those that did not finish. */
export function runsTable({ variants }: ReportData): Table {
  return {
    header: ['variant', 'seed', 'run', 'state', 'step', 'accuracy %', 'loss', 'training', ''],
    rows: variants.flatMap(({ name, runs }) =>
      runs.map(({ seed, run, state, step, accuracy, loss, trainingSeconds, reason }) => [
        name,
        String(seed),
        run ?? '',
        state,
        formatCount(step),
        formatPercent(accuracy),
        loss?.toFixed(4) ?? '',
        trainingSeconds === undefined ? '' : formatDuration(trainingSeconds),
        reason ?? '',
      ]),
    ),
    alignments: ['left', 'right', 'left', 'left', 'right', 'right', 'right', 'right', 'left'],
  };
}

/** Best first; behind them those that diverged or were stopped with any seed, whatever the others reached; those without a finished run last. */
export function byAccuracy(variants: readonly ReportVariant[]): readonly ReportVariant[] {
  const rank = ({ accuracy, runs }: ReportVariant) =>
    accuracy === undefined ? -2 : accuracy.mean - (runs.some(({ state }) => state === 'diverged' || state === 'stopped') ? 1 : 0);
  return [...variants].sort((a, b) => rank(b) - rank(a));
}
