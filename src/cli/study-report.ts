/** Making and printing the report of a comparison; shared by `ablate study`, `ablate report` and `ablate runs compare`. */
import { join } from 'node:path';
import type { ReportData } from '../report/report-data.ts';
import type { WrittenReport } from '../report/report-files.ts';
import { verdictOf } from '../study/verdict.ts';
import type { StudyState } from '../study/study-state.ts';
import { devicesOf } from './device.ts';
import { claimReport } from './output-file.ts';
import { note, print, printTable, styles } from './output.ts';
import { shortPath } from './training-display.ts';

export interface ReportOptions {
  readonly runsDir: string;
  readonly output?: string;
  /** Undefined: unless there are many different networks. */
  readonly latency?: boolean;
  readonly force?: true;
  /** Cores, as they were written. */
  readonly device?: string;
}

/** The options of every command that writes such a report, beside `-o`. */
export const reportOptions: readonly (readonly [flags: string, description: string])[] = [
  ['--force', 'replace a report of something else in the folder'],
  ['--latency', 'measure the latency of the frozen files, however many there are'],
  ['--no-latency', 'leave the latency out'],
  ['--device <core@MHz,...>', 'also the predicted cost on microcontrollers: m0+, m4, m33, m7, m85, or m4@168'],
];

export interface Report {
  /** What it is the report of. */
  readonly state: StudyState;
  readonly data: ReportData;
  readonly report: WrittenReport;
}

/** Where the report of a study goes. @throws AblateError if it would take the place of something else */
export function claimStudyReport(name: string, { output, force }: ReportOptions): string {
  const folder = output ?? join('reports', name);
  claimReport(folder, { record: 'report.json', key: 'name', of: name, force: force === true });
  return folder;
}

/** Gathers what is recorded of a study and writes its report. Throws DataError if the study was never run. */
export async function makeStudyReport(name: string, options: ReportOptions): Promise<Report> {
  const { gatherStudy, requireStudyState } = await import('../report/study-report.ts');
  const state = requireStudyState(options.runsDir, name);
  const folder = claimStudyReport(name, options);
  const { writeReport } = await import('../report/write-report.ts');
  const { parseStudyFile } = await import('../study/study-file.ts');
  const { loadStudyModels } = await import('../study/study-models.ts');
  // Only of networks that were never started the code is needed.
  const isRecorded = state.runs.every(({ run }) => run !== undefined);
  const file = parseStudyFile(state.file.text, state.file.path);
  const models = isRecorded ? undefined : await loadStudyModels(file, { runsFolder: options.runsDir, watched: true });
  const data = await measureAsAsked(gatherStudy(state, options.runsDir, models), options);
  return { state, data, report: await writeReport(data, folder) };
}

/**
 * Adds the latency of one image in the variants' files, unless there are many different ones or it is not wanted, and what they take on
 * microcontrollers, if any are named.
 */
export async function measureAsAsked(data: ReportData, options: Pick<ReportOptions, 'latency' | 'device'>): Promise<ReportData> {
  return await withLatenciesAsAsked(await withDevicesAsAsked(data, options), options);
}

async function withDevicesAsAsked(data: ReportData, { device }: Pick<ReportOptions, 'device'>): Promise<ReportData> {
  if (device === undefined) return data;
  const { withDeviceCosts } = await import('../report/device-costs.ts');
  return withDeviceCosts(data, await devicesOf(device));
}

async function withLatenciesAsAsked(data: ReportData, { latency }: Pick<ReportOptions, 'latency'>): Promise<ReportData> {
  if (latency === false) return data;
  const { countFiles, filesMeasuredUnasked, withLatencies } = await import('../report/latency.ts');
  if (latency === undefined && countFiles(data.variants) > filesMeasuredUnasked) {
    note(`latencies are left out, as there are more than ${filesMeasuredUnasked} different networks; --latency measures them`);
    return data;
  }
  return await withLatencies(data);
}

/** The tables on stdout, and where the report is. */
export async function printReport(data: ReportData, report: WrittenReport | undefined): Promise<void> {
  const { terminalTables } = await import('../report/tables.ts');
  print(data.title);
  for (const line of data.notes) print(line);
  for (const { title, table, note: below } of terminalTables(data)) {
    if (table.rows.length === 0) continue;
    print('');
    if (title !== undefined) print(styles(process.stdout).bold(title));
    printTable([table.header, ...table.rows], table.alignments);
    if (below !== undefined) print(below);
  }
  for (const line of data.costNotes) print(line);
  if (report === undefined) return;
  print('');
  print(`report: ${shortPath(report.html)}`);
}

/** The result for `--json`. */
export function describeReport(data: ReportData, report: WrittenReport | undefined) {
  const runs = data.variants.flatMap(({ name, runs: each }) =>
    each.map(({ run, seed, state, step, accuracy, loss, trainingSeconds, reason }) => ({
      ...{ variant: name, seed, run: run ?? null, status: state, step, accuracy: accuracy ?? null, loss: loss ?? null },
      ...{ trainingSeconds: trainingSeconds ?? null, reason: reason ?? null },
    })),
  );
  const effects = data.effects.map((effect) => {
    const { name, kind, factor, level, reference, difference, low, high, pValue, correctedPValue, seeds, seedsForHalfPoint } =
      effect;
    return {
      ...{ name, kind, factor, level, reference, difference, low: low ?? null, high: high ?? null, pValue: pValue ?? null },
      ...{
        correctedPValue: correctedPValue ?? null,
        verdict: verdictOf(effect),
        seeds,
        seedsForHalfPoint: seedsForHalfPoint ?? null,
      },
    };
  });
  const variants = data.variants.map(({ name, accuracy, cost, changes }) => ({
    name,
    accuracy: accuracy ?? null,
    ...cost,
    changes,
  }));
  const hypotheses = (data.hypotheses ?? []).map(({ changes, ...judged }) => ({
    ...judged,
    changes: changes.map(({ name, answer, seedsNeeded }) => ({ name, answer, seedsNeeded: seedsNeeded ?? null })),
  }));
  const { notes, uncompared = [] } = data;
  return {
    study: data.name,
    notes,
    runs,
    variants,
    effects,
    uncompared,
    hypotheses,
    report: report === undefined ? null : report.html,
  };
}
