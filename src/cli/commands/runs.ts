import type { Command } from 'commander';
import type { RunChoices } from '../../report/run-choices.ts';
import { listedStates, type ListedState, type RunSummary } from '../../runs/run-list.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { formatAccuracy, formatBytes } from '../../util/format.ts';
import { clipped } from '../../util/text-table.ts';
import { statIfReachable } from '../../util/regular-file.ts';
import { jsonOption, oneOf, runsDirOption } from '../options.ts';
import { claimReport } from '../output-file.ts';
import { print, printTable, printJson, write } from '../output.ts';
import { describeReport, reportOptions, printReport, type ReportOptions } from '../study-report.ts';

interface ListOptions {
  readonly runsDir: string;
  readonly model?: string;
  readonly status?: ListedState;
  readonly sort: keyof typeof orders;
  readonly json?: true;
}

export function addRunsCommand(program: Command): void {
  const runs = program.command('runs').description('list, show and compare training runs');
  runs
    .command('list')
    .description('all runs: how far they are and how accurate')
    .option('--model <name>', 'only runs of this model')
    .option('--status <status>', `only runs with this status: ${listedStates.join(', ')}`, oneOf(listedStates))
    .option('--sort <key>', `order: ${orderNames.join(', ')}`, oneOf(orderNames), 'run')
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(listRuns);
  runs
    .command('show')
    .description('everything recorded about a run')
    .argument('<run>', 'its folder, <model>/<number>, or <model> for its newest run')
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(showRun);
  const compare = runs
    .command('compare')
    .description('compare runs with the first one; runs that differ only in their seed are taken together')
    .argument('<runs...>', 'two or more runs: folders, <model>/<number>, or <model> for its newest run')
    .option('-o, --output <folder>', 'also write a report there, as ablate report does')
    .option('--csv', 'print the runs as comma-separated values')
    .option(...runsDirOption);
  for (const option of reportOptions) compare.option(...option);
  compare.option(...jsonOption).action(compareRuns);
}

/** Best and newest first, where there is a best or newest. */
const orders = {
  run: () => 0,
  accuracy: (a, b) => (b.accuracy ?? -1) - (a.accuracy ?? -1),
  step: (a, b) => b.step - a.step,
  updated: (a, b) => b.updatedAt.localeCompare(a.updatedAt),
} satisfies Readonly<Record<string, (a: RunSummary, b: RunSummary) => number>>;

const orderNames = Object.keys(orders) as (keyof typeof orders)[];

async function listRuns(options: ListOptions): Promise<void> {
  const { listRuns: list } = await import('../../runs/run-list.ts');
  const { choicesOfRuns } = await import('../../report/run-choices.ts');
  const { model, status, runsDir, sort } = options;
  const filter = { ...(model !== undefined && { model }), ...(status !== undefined && { status }) };
  const runs = list(runsDir, filter).sort(orders[sort]);
  const choices = choicesOfRuns(runs);
  const listed = runs.map((run, i) => ({ run, choices: choices[i] }));
  if (options.json === true) printJson(listed.map(({ run, choices }) => ({ ...run, ...choices })));
  else if (runs.length === 0)
    print(
      `no runs${model === undefined ? '' : ` of ${model}`} in ${runsDir}${status === undefined ? '' : ` with status ${status}`}`,
    );
  else await printRuns(listed);
}

interface ListedRun {
  readonly run: RunSummary;
  readonly choices: RunChoices | undefined;
}

/** Widest of what was chosen for a run, where no terminal is narrower; `runs show` has all of it. */
const choicesWidth = 72;

async function printRuns(runs: readonly ListedRun[]): Promise<void> {
  const { describeChoices } = await import('../../report/run-choices.ts');
  const { shownState } = await import('../../runs/run-status.ts');
  const header = ['run', 'status', 'step', 'of', 'accuracy', 'updated', 'data set', 'recipe, and what differs from it'];
  const rows = runs.map(({ run: { reason = '-', ...run }, choices }) => [
    run.run,
    shownState(run),
    String(run.step),
    String(run.steps),
    // Not to be compared with those on test images.
    `${formatAccuracy(run.accuracy)}${choices?.changes['val'] === 'true' && run.accuracy !== undefined ? ' val' : ''}`,
    run.status === 'unreadable' ? '-' : run.updatedAt.slice(0, 16).replace('T', ' '),
    choices?.dataset ?? '-',
    clipped(choices === undefined ? reason : describeChoices(choices), choicesWidth),
  ]);
  printTable([header, ...rows], ['left', 'left', 'right', 'right', 'right', 'right', 'left', 'left']);
}

async function showRun(reference: string, options: { readonly runsDir: string; readonly json?: true }): Promise<void> {
  const { findRun, metricsPath, readConfig, readEnvironment, runName } = await import('../../runs/run-folder.ts');
  const { listCheckpoints } = await import('../../runs/checkpoint.ts');
  const { readMetrics } = await import('../../runs/metrics.ts');
  const { readStatus, shownState } = await import('../../runs/run-status.ts');
  const found = findRun(options.runsDir, reference);
  const { status, diverged = false, step, steps, accuracy, reason, updatedAt } = readStatus(found);
  const metrics = readMetrics(metricsPath(found));
  const latest: Record<string, number> = {};
  for (const record of metrics) Object.assign(latest, record.metrics);
  const checkpoints = listCheckpoints(found).map((file) => ({
    ...file,
    bytes: statIfReachable(file.path)?.size ?? 0,
  }));
  const shown = {
    run: runName(found),
    path: found.path,
    model: found.model,
    ...{ status, diverged, step, steps, accuracy: accuracy ?? null, reason: reason ?? null, updatedAt },
    latest,
    checkpoints,
    config: readConfig(found),
    environment: readEnvironment(found),
  };
  if (options.json === true) {
    printJson(shown);
    return;
  }
  print(
    `${shown.run}  ${shownState({ status, diverged })}${reason === undefined ? '' : ` (${reason})`}, step ${step} of ${steps}, accuracy ${formatAccuracy(accuracy)}`,
  );
  print(found.path);
  printGroup('latest metrics', shown.latest);
  printGroup(
    'checkpoints',
    Object.fromEntries(checkpoints.map((file) => [`step ${file.step}`, `${formatBytes(file.bytes)}  ${file.path}`])),
  );
  printGroup('configuration', shown.config);
  printGroup('environment', shown.environment);
}

function printGroup(title: string, group: unknown): void {
  print('');
  print(title);
  for (const [key, value] of Object.entries(group as Readonly<Record<string, unknown>>)) {
    print(`  ${key.padEnd(24)} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  }
}

interface CompareOptions extends ReportOptions {
  readonly csv?: true;
  readonly json?: true;
}

async function compareRuns(references: readonly string[], options: CompareOptions): Promise<void> {
  if (options.csv === true && options.json === true) throw new ConfigurationError('--csv and --json do not go together');
  const { gatherRuns } = await import('../../report/compare-runs.ts');
  const data = gatherRuns(references, options.runsDir);
  const { output } = options;
  const { measureAsAsked } = await import('../study-report.ts');
  if (output !== undefined) {
    claimReport(output, { record: 'report.json', key: 'name', of: data.name, force: options.force === true });
  }
  const measured = await measureAsAsked(data, options);
  const report =
    output === undefined ? undefined : await (await import('../../report/write-report.ts')).writeReport(measured, output);
  if (options.json === true) printJson(describeReport(measured, report));
  else if (options.csv === true) write('stdout', (await import('../../report/csv.ts')).runsCsv(measured));
  else await printReport(measured, report);
}
