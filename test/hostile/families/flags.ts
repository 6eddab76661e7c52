/** Command lines: every option of every command with values that it cannot have, options that do not exist, keys that do not exist. */
import type { Command, Option } from 'commander';
import { wholeProgram } from '../../parse-command.ts';
import type { Draw } from '../draw.ts';
import type { Family, Prepared } from '../family.ts';
import { copyFixtures, tinyNetwork } from '../fixtures.ts';
import { hugeCounts, noCounts, noWords } from '../values.ts';

const data = ['--data', 'images:pictures'];
const network = tinyNetwork.flatMap((setting) => ['--set', setting]);

/** A command line of each command that works and takes a moment. Commands that need the network are not among them. */
const valid: Readonly<Record<string, readonly string[]>> = {
  train: ['tuto', ...data, '--steps', '1', '--batch-size', '4', '--threads', '1', ...network],
  eval: ['tuto/1'],
  info: ['tuto'],
  new: ['model', 'net.ts'],
  prune: ['tuto/1', '--sparsity', '0.5', '--steps', '0', '-o', 'out.safetensors'],
  freeze: ['tuto/1', '-o', 'out.onnx'],
  quantize: ['model.onnx', '-o', 'out.onnx', '--images', '4', '--no-evaluate', ...data],
  compress: ['tuto/1', '--operations', '0.9', '--steps', '1', '--rounds', '1', '--max-drop', '100', '-o', 'out.onnx'],
  export: ['device.onnx', '--c', 'out', '--images', '32', '--vectors', '1', '--no-evaluate', ...data],
  label: ['model.onnx', 'pictures/test/a/0.png', '--runs', '1'],
  demo: ['model.onnx', '--port', '0'],
  ui: ['runs', '--port', '0'],
  'bench train': [
    'tuto',
    ...data,
    '--steps',
    '1',
    '--warm-up',
    '1',
    '--repetitions',
    '1',
    '--batch-size',
    '4',
    '--threads',
    '1',
    ...network,
  ],
  'bench infer': ['model.onnx', '--rounds', '1', '--round-ms', '1', '--batch-sizes', '1', '--threads', '1'],
  study: ['study.yaml', '--dry-run'],
  report: ['study.yaml', '--no-latency'],
  'show filters': ['tuto/1', '-o', 'out.png'],
  'show mistakes': ['tuto/1', '-o', 'out.png'],
  'show activations': ['tuto/1', '-o', 'out.png'],
  'runs list': [],
  'runs show': ['tuto/1'],
  'runs compare': ['tuto/1', 'tuto/1', '--no-latency'],
  'data show': ['images:pictures'],
  'data export': ['images:pictures', '-o', 'exported', '--images', '1'],
  doctor: [],
  setup: ['--dry-run'],
};

/** Options whose large values mean a lot of work: legitimate, and not to be waited for. */
const longWork = /^--(steps|rounds|runs|repetitions|warm-up|round-ms|fine-tune|(eval|save|log)-every|seed|jobs)$/;
/** Any number, also a negative one. */
const anyNumber = /^--(seed|max-drop|learning-rate)$/;

const oddPaths = [
  '',
  '/proc/x',
  '/proc/self/status',
  'missing/deeper/still',
  'model.onnx',
  'pictures',
  '.',
  'x'.repeat(300),
  'e\u001b[31mvil',
  '--json',
  'a\nb',
];

const oddAssignments = [
  'conv1.filters=1e9',
  'conv1.filters=0',
  'conv1.filters=-1',
  'conv1.filters=1.5',
  'conv1.kernel=1e6',
  'lrn.depthRadius=1e9',
  '__proto__.learningRate=0.5',
  '__proto__=1',
  'constructor.prototype.steps=1',
  'optimizer.__proto__.momentum=0.5',
  'learningRate=NaN',
  'learningRate=1e400',
  'learningRate={"a":1}',
  'learningRate=[1]',
  'optimizer=null',
  'schedule.type=__proto__',
  'augmentation.contrast=[1]',
  'inputSize=1e9',
  'inputSize=0',
  'batchSize=1e12',
  'keepCheckpoints=1e99',
  'movingAverage.decay=2',
  'nosuchkey=1',
  'model.nosuchkey=1',
  `${'a.'.repeat(20_000)}b=1`,
  '=1',
  'x',
  'x=',
  '\u001b[31m=1',
];

export const flags: Family = (place): Prepared => {
  copyFixtures(place.fixtures, place.folder, 'pictures', 'runs', 'model.onnx', 'device.onnx', 'study.yaml');
  const { draw } = place;
  const name = draw.pick(Object.keys(valid));
  const command = find(name);
  const args = [...name.split(' '), ...valid[name]!];
  const serves = name === 'demo' || name === 'ui';
  switch (draw.below(8)) {
    case 0: {
      const odd = draw.pick([
        '--no-such-option',
        '--learning-rat',
        '-Z',
        '--constructor',
        '--__proto__',
        '--help=1',
        '--\u001b[31m',
      ]);
      return { what: `the option ${JSON.stringify(odd)}`, args: [...args, odd], refused: true };
    }
    case 1: {
      const surplus = draw.pick(['surplus', '', '-', 'x'.repeat(100_000)]);
      return { what: 'a further argument', args: [...args, surplus], serves };
    }
    case 2: {
      if (command.registeredArguments.length === 0) return option(command, args, serves, draw);
      const odd = draw.pick([
        ...noWords,
        ...oddPaths.filter((path) => !path.startsWith('-')),
        'tuto/999',
        'tuto/0',
        'tuto/-1',
        'tuto/1e3',
        'nosuch',
      ]);
      const replaced = [...name.split(' '), odd, ...valid[name]!.slice(1)];
      return { what: `${JSON.stringify(odd).slice(0, 80)} as the first argument`, args: replaced, serves };
    }
    default:
      return option(command, args, serves, draw);
  }
};

function option(command: Command, args: readonly string[], serves: boolean, draw: Draw): Prepared {
  const options = command.options.filter(({ required, optional }) => required || optional);
  if (options.length === 0) return { what: 'an unknown option', args: [...args, '--nothing'], refused: true };
  const chosen = draw.pick(options);
  const { value, refused } = oddValue(chosen, draw);
  const flag = chosen.long!;
  // A list takes everything up to the next option; an option given twice is the last one.
  return { what: `${flag}=${JSON.stringify(value).slice(0, 80)}`, args: [...args, `${flag}=${value}`], refused, serves };
}

function oddValue({ flags: shape, long }: Option, draw: Draw): { readonly value: string; readonly refused: boolean } {
  const [, placeholder = ''] = /[<[]([^>\]]*)[>\]]/.exec(shape) ?? [];
  if (placeholder === 'key=value') return { value: draw.pick(oddAssignments), refused: true };
  if (/^(file|folder)/.test(placeholder)) return { value: draw.pick(oddPaths), refused: false };
  if (/^(n|n,\.\.\.|steps|p|part|rate|points|ms|pixels)$/.test(placeholder)) {
    const huge = draw.below(2) === 0 && !longWork.test(long!);
    const fraction = /^(p|part|rate|points|ms)$/.test(placeholder);
    const value = draw.pick(huge ? hugeCounts : noCounts);
    const legitimate = anyNumber.test(long!) || (fraction && value === '1.5') || placeholder === 'n,...';
    return { value, refused: !huge && !legitimate };
  }
  return { value: draw.pick([...noWords, ...oddPaths]), refused: false };
}

function find(name: string): Command {
  return name.split(' ').reduce<Command>((command, word) => {
    const found = command.commands.find((each) => each.name() === word);
    if (found === undefined) throw new Error(`there is no command ${name}`);
    return found;
  }, wholeProgram());
}

/** The commands for which no valid command line is known here. */
export function uncovered(): string[] {
  const leaves = (command: Command, path: string): string[] =>
    command.commands.length === 0
      ? [path]
      : command.commands.flatMap((each) => leaves(each, path === '' ? each.name() : `${path} ${each.name()}`));
  return leaves(wholeProgram(), '').filter((name) => !Object.hasOwn(valid, name));
}
