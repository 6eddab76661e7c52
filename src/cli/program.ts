import { Command, CommanderError } from 'commander';
import { addBenchCommand } from './commands/bench.ts';
import { addCompressCommand } from './commands/compress.ts';
import { addDataCommand } from './commands/data.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEvalCommand } from './commands/eval.ts';
import { addExportCommand } from './commands/export.ts';
import { addFreezeCommand } from './commands/freeze.ts';
import { addInfoCommand } from './commands/info.ts';
import { addLabelCommand } from './commands/label.ts';
import { addNewCommand } from './commands/new.ts';
import { addPruneCommand } from './commands/prune.ts';
import { addQuantizeCommand } from './commands/quantize.ts';
import { addReportCommand } from './commands/report.ts';
import { addRunsCommand } from './commands/runs.ts';
import { addSetupCommand } from './commands/setup.ts';
import { addShowCommand } from './commands/show.ts';
import { addStudyCommand } from './commands/study.ts';
import { addTrainCommand } from './commands/train.ts';
import { addUiCommand } from './commands/ui.ts';
import { withEngines } from './engine.ts';
import { reportError } from './errors.ts';
import { requireValues } from './options.ts';
import { write } from './output.ts';
import { packageVersion } from '../util/package.ts';

/**
 * The commands in the order of the help. A command's file holds its options and prints its result; what is heavy is imported when
 * the command runs, so that help and wrong usage answer at once.
 */
const commands: readonly ((program: Command) => void)[] = [
  addTrainCommand,
  addEvalCommand,
  addInfoCommand,
  addNewCommand,
  addPruneCommand,
  addFreezeCommand,
  addQuantizeCommand,
  addCompressCommand,
  addExportCommand,
  addLabelCommand,
  addDemoCommand,
  addBenchCommand,
  addStudyCommand,
  addReportCommand,
  addRunsCommand,
  addShowCommand,
  addUiCommand,
  addDataCommand,
  addDoctorCommand,
  addSetupCommand,
];

export function buildProgram(): Command {
  const program = new Command('ablate')
    .description('A lab for small convolutional networks: trains fast on a plain CPU, and says what each change buys.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureOutput({
      writeOut: (text) => {
        write('stdout', text);
      },
      writeErr: (text) => {
        write('stderr', text);
      },
      // Reported by `run`, with what helps.
      outputError: () => undefined,
    })
    .hook('preAction', (_, command) => {
      requireValues(command);
    })
    .exitOverride();
  for (const add of commands) add(program);
  return program;
}

/**
 * Runs one command line (without `node` and the script's name), reporting errors on stderr.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted (after saving).
 */
export async function run(args: readonly string[]): Promise<number> {
  const program = buildProgram();
  try {
    await withEngines(() => program.parseAsync(args, { from: 'user' }));
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error);
    // Help and version end with 0; help where a command is missing is wrong usage, and has been printed too.
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') return 2;
    const { usageError } = await import('./suggestions.ts');
    return reportError(usageError(error, program, args));
  }
}
