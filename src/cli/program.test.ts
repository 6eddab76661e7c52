import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { commandNames } from './invocation.ts';
import { buildProgram, loadCommands, run } from './program.ts';

let written = { stdout: '', stderr: '' };

beforeEach(() => {
  written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[stream] += String(text);
      return true;
    });
  }
});

afterEach(() => {
  vi.mocked(process.stdout.write).mockRestore();
  vi.mocked(process.stderr.write).mockRestore();
});

describe('wrong usage ends with code 2, says what is wrong, and prints no stack', () => {
  test.each([
    [['trian'], /unknown command 'trian'\n\(Did you mean train\?\)/],
    [['train', 'tuto', '--learning-rat', '1'], /unknown option '--learning-rat'\n\(Did you mean --learning-rate\?\)/],
    [['info', 'tuto', 'alex2'], /too many arguments/],
    [['info', 'tutoo'], /there is no model "tutoo"\. Did you mean "tuto"\?\nThe models are: tuto/],
    [['info', 'tuto', '--set', 'lrn=maybe'], /lrn \(=maybe\) must be true or false for model "tuto"/],
    [['train', 'tuto', '--steps', 'ten'], /argument 'ten' is invalid\. It must be a number/],
    [['train', 'tuto', '--batch-size', '0'], /batchSize \(=0\) must be a positive integer/],
    [['train', 'tuto', '--set', 'seed=3', '--seed', '4'], /seed is given twice/],
    [['train', 'tuto', '--precision', 'f8'], /precision \(=f8\) must be one of f32, bf16, f16/],
    [
      ['train', 'tuto', '--precision', 'f16', '--engine', 'reference', '--data', 'synthetic'],
      /precision \(="f16"\) must be "f32" .*\n--precision f32/,
    ],
    [['eval', 'tuto', '--precision', 'f8'], /argument 'f8' is invalid\. It must be one of f32, bf16, f16\./],
    [['eval', 'tuto', '--tta', 'turned'], /argument 'turned' is invalid\. It must be one of none, mirror, mirror\+shift\./],
    [['train'], /the model to train is missing/],
    [
      ['data', 'show', 'cifar101'],
      /data set \(=cifar101\) must be one of cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder>/,
    ],
    [['runs', 'list', '--sort', 'name'], /argument 'name' is invalid\. It must be one of run, accuracy, step, updated\./],
    [['runs', 'list', '--runs-dir', ''], /^error: the value of --runs-dir is empty\ngive a value/],
    [['freeze', ''], /^error: <run\|file> is empty/],
    [['train', 'tuto', '--set', 'lr=0.1'], /there is no key "lr"\. Did you mean "learningRate"\?/],
    [['train', 'tuto', '\u001b[31m'], /too many arguments|there is no model/],
    [['train', '\u001b[31mtuto'], /there is no model "\\u001b\[31mtuto"/],
    [
      ['data', 'show', tmpdir()],
      new RegExp(
        `one of cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder>, or a file \\(data\\.ts\\)\\.\nfor the pictures in that folder: images:${tmpdir()}\n`,
      ),
    ],
    ...['train', 'eval', 'prune', 'quantize', 'compress', 'study', 'bench train', 'bench infer'].map(
      (command) =>
        [[...command.split(' '), 'tuto', '--threads', '100000'], /must be an integer from 1 to \d+ on this machine/] as const,
    ),
    ...['train', 'eval', 'prune', 'quantize', 'compress', 'freeze', 'study', 'bench train', 'bench infer'].map(
      (command) =>
        [
          [...command.split(' '), 'tuto', '--engine', 'cuda'],
          /engine \(=cuda\) must be one of auto, onednn, .*\n--engine webgpu computes on a graphics card/,
        ] as const,
    ),
    [['label', 'tuto.onnx', 'photo.jpg', '--threads', '4294967296'], /must be an integer from 1 to \d+ on this machine/],
    [['train', 'tuto', '--set', 'threads=100000'], /threads \(=100000\) must be an integer from 1 to \d+/],
    [['study', 'x.yaml', '--jobs', '1000000000'], /must be an integer from 1 to \d+ on this machine/],
    [['label', 'tuto.onnx', 'photo.jpg', '--runs', '1e12'], /must be an integer from 1 to 1000000/],
    [['bench', 'infer', 'tuto.onnx', '--batch-sizes', '1,1000000000'], /must be an integer from 1 to 10000/],
    [['bench', 'train', 'tuto', '--steps', '1e15'], /must be an integer from 1 to 1000000/],
    [['info', 'tuto', '--input', '4294967296'], /must be a number of pixels from 1 to 65536/],
    [
      ['info', 'tuto', '--set', 'conv1.filters=1e300'],
      /layer "conv1" of network "tuto" is too large to be counted \(\d\.\de\+30\d\)/,
    ],
    [['info', 'xception', '--set', 'stage1.repeats=1e9'], /stage1\.repeats \(=1000000000\) must be an integer in \[0, 100\]/],
    [['data', 'show', 'synthetic', '-o', 'sheet.png', '--rows', '2147483647'], /rows \(=2147483647\) must be at most \d+/],
    [
      ['bench', 'train', 'tuto', '--batch-size', '1e9'],
      /network "tuto" in batches of 1000000000 needs at least \d+\.\d [TP]B of memory/,
    ],
    [
      ['bench', 'train', 'tuto', '--set', 'conv1.filters=1e9'],
      /network "tuto" in batches of 128 needs at least \d+\.\d [TP]B of memory/,
    ],
    [['compress', 'tuto', '--bytes', '5 apples'], /It must be a number of bytes/],
  ] as const)('ablate %j', async (args, message) => {
    expect(await run(args)).toBe(2);
    expect(written.stderr).toMatch(message);
    expect(written.stderr).not.toMatch(/^\s+at /m);
    expect(written.stderr).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(written.stdout).toBe('');
  });

  test('without a command, that is the help', async () => {
    expect(await run([])).toBe(2);
    expect(written.stderr).toMatch(/^Usage: ablate /);
    expect(written.stdout).toBe('');
  });
});

describe('a run where a frozen file is wanted', () => {
  test.each([
    ['label', 'a run/1', 'photo.jpg'],
    ['label', tmpdir(), 'photo.jpg'],
    ['demo', 'a run/1'],
  ])('ablate %s %s', async (...args) => {
    expect(await run(args)).toBe(1);
    const word = args[1] === tmpdir() ? tmpdir() : "'a run/1'";
    expect(written.stderr.split('\n')).toEqual([
      `error: ${args[1]} is no frozen file (.onnx)`,
      expect.stringMatching(
        new RegExp(`ablate freeze ${word} -o model\\.onnx    \\(if it is a run; then give model\\.onnx\\)$`),
      ) as string,
      '',
    ]);
  });
});

test.each(commandNames.filter((name) => name !== 'help'))('a command line of %s loads that command alone', async (name) => {
  expect(buildProgram(await loadCommands([name, '--help'])).commands.map((command) => command.name())).toEqual([name]);
});
