import { Command, CommanderError } from 'commander';
import { withEngines } from './engine.ts';
import { reportError } from './errors.ts';
import { requireValues } from './options.ts';
import { write } from './output.ts';
import { packageVersion } from '../util/package.ts';

/** Adds a command, with its options, to the program. */
export type AddCommand = (program: Command) => void;

/**
 * The commands in the order of the help. A command's file holds its options and prints its result; what is heavy is imported when
 * the command runs, so that help and wrong usage answer at once.
 */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  train: async () => (await import('./commands/train.ts')).addTrainCommand,
  eval: async () => (await import('./commands/eval.ts')).addEvalCommand,
  info: async () => (await import('./commands/info.ts')).addInfoCommand,
  new: async () => (await import('./commands/new.ts')).addNewCommand,
  prune: async () => (await import('./commands/prune.ts')).addPruneCommand,
  freeze: async () => (await import('./commands/freeze.ts')).addFreezeCommand,
  quantize: async () => (await import('./commands/quantize.ts')).addQuantizeCommand,
  compress: async () => (await import('./commands/compress.ts')).addCompressCommand,
  export: async () => (await import('./commands/export.ts')).addExportCommand,
  label: async () => (await import('./commands/label.ts')).addLabelCommand,
  demo: async () => (await import('./commands/demo.ts')).addDemoCommand,
  bench: async () => (await import('./commands/bench.ts')).addBenchCommand,
  study: async () => (await import('./commands/study.ts')).addStudyCommand,
  report: async () => (await import('./commands/report.ts')).addReportCommand,
  runs: async () => (await import('./commands/runs.ts')).addRunsCommand,
  show: async () => (await import('./commands/show.ts')).addShowCommand,
  ui: async () => (await import('./commands/ui.ts')).addUiCommand,
  data: async () => (await import('./commands/data.ts')).addDataCommand,
  doctor: async () => (await import('./commands/doctor.ts')).addDoctorCommand,
  setup: async () => (await import('./commands/setup.ts')).addSetupCommand,
};

/** The command that the arguments begin with, alone: the files of all take longer to load than many commands to run. Else all. */
export async function loadCommands([first = '']: readonly string[] = []): Promise<readonly AddCommand[]> {
  const loaders = Object.hasOwn(commands, first) ? [commands[first]!] : Object.values(commands);
  return Promise.all(loaders.map((load) => load()));
}

export function buildProgram(added: readonly AddCommand[]): Command {
  const program = new Command('ablate')
    .description('A lab for small convolutional networks: trains fast on a plain CPU, and says what each change buys.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    // Descriptions are wrapped beside long terms, too.
    .configureHelp({ minWidthToWrap: 20 })
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
  for (const add of added) add(program);
  return program;
}

/**
 * Runs one command line (without `node` and the script's name), reporting errors on stderr.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted (after saving).
 */
export async function run(args: readonly string[]): Promise<number> {
  const program = buildProgram(await loadCommands(args));
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
