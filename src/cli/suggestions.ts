/** What helps where a command line is not understood: what other tools call it, and where it is here. */
import type { Command, CommanderError } from 'commander';
import { ConfigurationError } from '../util/errors.ts';
import { keyMeantBy, plainName } from '../train/config-names.ts';
import { closest } from '../util/suggest.ts';

/** Options by the names that other tools have for them (lower case, without separators). */
const optionsElsewhere: Readonly<Record<string, string>> = {
  lr: 'learning-rate',
  maxlr: 'learning-rate',
  bs: 'batch-size',
  batch: 'batch-size',
  iterations: 'steps',
  iters: 'steps',
  maxsteps: 'steps',
  maxiter: 'steps',
  numsteps: 'steps',
  nsteps: 'steps',
  dataset: 'data',
  images: 'data',
  datapath: 'data-dir',
  dataroot: 'data-dir',
  root: 'data-dir',
  randomseed: 'seed',
  dtype: 'precision',
  amp: 'precision',
  bf16: 'precision',
  fp16: 'precision',
  f16: 'precision',
  half: 'precision',
  validation: 'val',
  device: 'engine',
  backend: 'engine',
  accelerator: 'engine',
  numthreads: 'threads',
  nthreads: 'threads',
  cores: 'threads',
  checkpoint: 'resume',
  resumefrom: 'resume',
  continue: 'resume',
  pretrained: 'init',
  weights: 'init',
  distill: 'teacher',
  epoch: 'epochs',
  numepochs: 'epochs',
  maxepochs: 'epochs',
  nepochs: 'epochs',
  out: 'output',
  outdir: 'output',
  outputdir: 'output',
  outputfile: 'output',
  topk: 'top',
  k: 'top',
  parallel: 'jobs',
  workers: 'jobs',
  numworkers: 'jobs',
  size: 'input',
  imagesize: 'input',
  folder: 'runs-dir',
  logdir: 'runs-dir',
  rundir: 'runs-dir',
};

const devices: ReadonlySet<string> = new Set(['device', 'gpu', 'gpus', 'cuda', 'nocuda', 'cpu', 'accelerator', 'mps']);
const loudness: ReadonlySet<string> = new Set(['verbose', 'quiet', 'silent']);

/** The commands whose --set changes keys of the configuration: that of the others is for settings of models. */
export const configuringCommands: readonly string[] = ['train', 'prune', 'compress', 'bench train'];

/** Commands by the names that other tools have for them. */
const commandsElsewhere: Readonly<Record<string, string>> = {
  compare: 'runs compare <run> <run>',
  list: 'runs list',
  ls: 'runs list',
  show: 'runs show <run>',
  fetch: 'data fetch',
  download: 'data fetch',
  verify: 'data verify',
  evaluate: 'eval <run>',
  test: 'eval <run>',
  validate: 'eval <run>',
  predict: 'label <model.onnx> <image>',
  classify: 'label <model.onnx> <image>',
  infer: 'label <model.onnx> <image>',
  export: 'freeze <run>',
  convert: 'freeze <run>',
  serve: 'demo <model.onnx>',
  web: 'demo <model.onnx>',
  fit: 'train <model>',
  resume: 'train --resume <run>',
  continue: 'train --resume <run>',
  finetune: 'train <model> --init <run>',
  distill: 'train <model> --teacher <run>',
  models: 'info',
  summary: 'info <model>',
  benchmark: 'bench train <model>',
  profile: 'bench train <model>',
  sweep: 'study <study.yaml>',
  search: 'study <study.yaml>',
  tune: 'study <study.yaml>',
  version: '--version',
};

/** Every command that is suggested, for the test that they all are ones. */
export const suggestedCommands: readonly string[] = Object.values(commandsElsewhere);

/**
 * Commander's error as one of ours, with what helps as its fix.
 *
 * @param args the command line, without `node` and the script's name
 */
export function usageError({ code, message }: CommanderError, program: Command, args: readonly string[]): ConfigurationError {
  const command = commandOf(program, args);
  const [, name = ''] = /unknown (?:option|command) '([^]*?)'/.exec(message) ?? [];
  const advice =
    code === 'commander.unknownOption'
      ? adviceOnOption(name, command)
      : code === 'commander.unknownCommand'
        ? adviceOnCommand(name, command)
        : undefined;
  const help = `${command === program ? 'ablate' : pathOf(command)} --help lists the options`;
  // With better advice at hand, the name that happens to be spelt alike only misleads.
  const [first = '', ...more] = message.replace(/^error: /, '').split('\n');
  return new ConfigurationError(advice === undefined ? [first, ...more].join('\n') : first, { fix: advice ?? help });
}

/** The command that the arguments name, as far as they name one. */
function commandOf(program: Command, args: readonly string[]): Command {
  const next = program.commands.find((each) => each.name() === args[0]);
  return next === undefined ? program : commandOf(next, args.slice(1));
}

/** `ablate runs compare` */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function adviceOnOption(flag: string, command: Command): string | undefined {
  const [given = ''] = flag.replace(/^-+/, '').split('=');
  const plain = plainName(given);
  const has = (name: string) => command.options.find((option) => option.long === `--${name}`);
  const elsewhere = Object.hasOwn(optionsElsewhere, plain) ? has(optionsElsewhere[plain]!) : undefined;
  if (devices.has(plain) && pathOf(command) === 'ablate compress') {
    return '--engine says what computes; a microcontroller is named with its limit: --latency 100ms@m4';
  }
  if (elsewhere !== undefined) return `it is called ${elsewhere.flags} here`;
  if (loudness.has(plain)) return 'leave it out: 2> /dev/null hides the progress';
  if (devices.has(plain)) return adviceOnDevice(has('engine') !== undefined, has('threads') !== undefined);
  const near = closest(
    given,
    command.options.flatMap(({ long }) => long?.slice(2) ?? []),
  );
  const configures = configuringCommands.some((name) => pathOf(command) === `ablate ${name}`);
  const key = configures ? keyMeantBy(given) : undefined;
  return near !== undefined || key === undefined ? undefined : `it is set with --set ${key}=<value>`;
}

function adviceOnDevice(hasEngine: boolean, hasThreads: boolean): string | undefined {
  if (hasEngine) {
    const threads = hasThreads ? ', with as many threads as --threads says' : '';
    return `use --engine: onednn computes on the processor${threads}, webgpu on a graphics card`;
  }
  return hasThreads ? 'leave it out: this command computes on the processor, with as many threads as --threads says' : undefined;
}

function adviceOnCommand(name: string, command: Command): string | undefined {
  const path = pathOf(command);
  if (command.parent === null && Object.hasOwn(commandsElsewhere, plainName(name))) {
    return `ablate ${commandsElsewhere[plainName(name)]!}`;
  }
  const names = command.commands.map((each) => each.name());
  if (closest(name, names) !== undefined) return undefined;
  const listed = names.filter((each) => each !== 'help');
  return `the commands of ${path} are: ${listed.join(', ')}`;
}
