import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { parsed, wholeProgram } from '../../test/parse-command.ts';
import { configuringCommands, suggestedCommands, usageError } from './suggestions.ts';

/** What is said of a wrong command line. */
function said(...args: readonly string[]): readonly [message: string, fix: string | undefined] {
  try {
    parsed(args);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const { message, fix, exitCode } = usageError(error, wholeProgram(), args);
    expect(exitCode).toBe(2);
    return [message, fix];
  }
  throw new Error('it was understood');
}

test.each([
  [['train', 'tuto', '--lr', '0.1'], "unknown option '--lr'", 'it is called --learning-rate <rate> here'],
  [
    ['train', 'tuto', '--batch_size', '8'],
    "unknown option '--batch_size'\n(Did you mean --batch-size?)",
    'ablate train --help lists the options',
  ],
  [['train', 'tuto', '--bs=8'], "unknown option '--bs=8'", 'it is called --batch-size <n> here'],
  [['train', 'tuto', '--dataset', 'x'], "unknown option '--dataset'", 'it is called --data <name> here'],
  [['train', 'tuto', '--momentum', '0.9'], "unknown option '--momentum'", 'it is set with --set optimizer.momentum=<value>'],
  [['train', 'tuto', '--weight-decay', '0'], "unknown option '--weight-decay'", 'it is set with --set weightDecay=<value>'],
  [['train', 'tuto', '--max-epochs', '3'], "unknown option '--max-epochs'", 'it is called --epochs <n> here'],
  [['train', 'tuto', '--device', 'cuda'], "unknown option '--device'", 'it is called --engine <name> here'],
  [
    ['label', 'x.onnx', 'y.png', '--device', 'cuda'],
    "unknown option '--device'",
    'leave it out: this command computes on the processor, with as many threads as --threads says',
  ],
  [
    ['train', 'tuto', '--gpu'],
    "unknown option '--gpu'",
    'use --engine: onednn computes on the processor, with as many threads as --threads says, webgpu on a graphics card',
  ],
  [
    ['compress', 'tuto', '--device', 'm4'],
    "unknown option '--device'",
    '--engine says what computes; a microcontroller is named with its limit: --latency 100ms@m4',
  ],
  [['info', 'tuto', '--gpu'], "unknown option '--gpu'", 'ablate info --help lists the options'],
  [['train', 'tuto', '--quiet'], "unknown option '--quiet'", 'leave it out: 2> /dev/null hides the progress'],
  // Their --set takes settings of models alone.
  [['export', 'tuto', '--steps', '5'], "unknown option '--steps'", 'ablate export --help lists the options'],
  [['info', 'tuto', '--momentum', '0.9'], "unknown option '--momentum'", 'ablate info --help lists the options'],
  [['eval', 'tuto', '--weight-decay', '0'], "unknown option '--weight-decay'", 'ablate eval --help lists the options'],
  [['prune', 'tuto', '--weight-decay', '0'], "unknown option '--weight-decay'", 'it is set with --set weightDecay=<value>'],
  [
    ['bench', 'train', 'tuto', '--momentum', '0'],
    "unknown option '--momentum'",
    'it is set with --set optimizer.momentum=<value>',
  ],
  [['label', 'x.onnx', 'y.png', '--topk', '3'], "unknown option '--topk'", 'it is called --top <n> here'],
  [['runs', 'list', '--lr', '1'], "unknown option '--lr'", 'ablate runs list --help lists the options'],
  [['compare', 'tuto/1', 'tuto/2'], "unknown command 'compare'", 'ablate runs compare <run> <run>'],
  [['list'], "unknown command 'list'", 'ablate runs list'],
  [['predict', 'photo.jpg'], "unknown command 'predict'", 'ablate label <model.onnx> <image>'],
  [['trian'], "unknown command 'trian'\n(Did you mean train?)", 'ablate --help lists the options'],
  [['runs', 'delete'], "unknown command 'delete'", 'the commands of ablate runs are: list, show, compare'],
  [['constructor'], "unknown command 'constructor'", /^the commands of ablate are: train, eval, /],
  [
    ['info', 'tuto', 'alex2'],
    "too many arguments for 'info'. Expected 1 argument but got 2.",
    'ablate info --help lists the options',
  ],
  [
    ['train', 'tuto', '--steps', 'ten'],
    "option '--steps <n>' argument 'ten' is invalid. It must be a number.",
    'ablate train --help lists the options',
  ],
])('%j', (args, message, fix) => {
  const [saidMessage, saidFix] = said(...args);
  expect(saidMessage).toBe(message);
  if (typeof fix === 'string') expect(saidFix).toBe(fix);
  else expect(saidFix).toMatch(fix);
});

test.each(configuringCommands)('%s has --set for the configuration', (name) => {
  const words = name.split(' ');
  const command = words.reduce((at, word) => at.commands.find((each) => each.name() === word)!, wholeProgram());
  expect(command.options.find(({ long }) => long === '--set')?.description).toMatch(/key of the configuration/);
});

test.each(suggestedCommands)('ablate %s is a command', (command) => {
  // What stands for the user's own words is replaced by some.
  const args = command.replaceAll(/<([^>]*)>/g, '$1').split(' ');
  if (command === '--version') return;
  expect(parsed(args)).toBeDefined();
});
