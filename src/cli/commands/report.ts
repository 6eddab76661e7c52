import type { Command } from 'commander';
import { existsSync, statSync } from 'node:fs';
import { jsonOption, runsDirOption } from '../options.ts';
import type { StudyFile } from '../../study/study-file.ts';
import { messageOf } from '../../util/errors.ts';
import { quoted } from '../../util/shell.ts';
import { note, print, printJson, printTable } from '../output.ts';
import { describeReport, reportOptions, makeStudyReport, printReport, type ReportOptions } from '../study-report.ts';

interface Options extends ReportOptions {
  readonly json?: true;
}

export function addReportCommand(program: Command): void {
  const command = program
    .command('report')
    .description('write the report of a study, finished or not: HTML, Markdown, figures, CSV and JSON')
    .argument('[study]', 'its name, or the study file; without one, the studies of the folder are listed')
    .option('-o, --output <folder>', 'folder of the report (default: reports/<name of the study>)')
    .option(...runsDirOption);
  for (const option of reportOptions) command.option(...option);
  command.option(...jsonOption).action(report);
}

async function report(study: string | undefined, options: Options): Promise<void> {
  if (study === undefined) {
    await listStudies(options);
    return;
  }
  const file = await fileOf(study);
  const made = await makeStudyReport(file?.source.name ?? study, options);
  if (file !== undefined && file.text !== made.state.file.text) {
    note(
      `${study} has changed since the study was run: this is the report of what was run; ablate study ${quoted(study)} runs what it is now`,
    );
  }
  if (options.json === true) printJson(describeReport(made.data, made.report));
  else await printReport(made.data, made.report);
}

async function listStudies({ runsDir, json }: Options): Promise<void> {
  const { readStudyState, studyNames } = await import('../../study/study-state.ts');
  const studies = studyNames(runsDir).flatMap((name) => {
    try {
      const { runs, updatedAt } = readStudyState(runsDir, name)!;
      const count = (...states: readonly string[]) => runs.filter(({ state }) => states.includes(state)).length;
      return [{ name, runs: runs.length, finished: count('finished'), failed: count('failed', 'diverged'), updatedAt }];
    } catch (error) {
      note(messageOf(error));
      return [];
    }
  });
  if (json === true) printJson(studies);
  else if (studies.length === 0) print(`no studies in ${runsDir}`);
  else {
    const rows = studies.map(({ name, runs, finished, failed, updatedAt }) => [
      ...[name, String(runs), String(finished), failed === 0 ? '' : String(failed)],
      updatedAt.slice(0, 16).replace('T', ' '),
    ]);
    printTable([['study', 'runs', 'finished', 'failed', 'updated'], ...rows], ['left', 'right', 'right', 'right', 'left']);
  }
}

/** Undefined for the name of a study. */
async function fileOf(study: string): Promise<StudyFile | undefined> {
  const isFile = existsSync(study) && statSync(study).isFile();
  if (!isFile && !/\.ya?ml$/.test(study)) return undefined;
  const { readStudyFile } = await import('../../study/study-file.ts');
  return readStudyFile(study);
}
