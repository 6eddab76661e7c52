/** FIFOs, devices, folders, loops and absurd sizes in every place where a command takes a path. */
import { join } from 'node:path';
import type { Family } from '../family.ts';
import { checkpointName, copyFixtures } from '../fixtures.ts';
import { makeSpecial, specialKinds, type SpecialKind } from '../special-file.ts';

const data = ['--data', 'images:pictures'];
const short = ['--steps', '1', '--batch-size', '4', '--threads', '1'];

interface Position {
  /** Where the special file is. */
  readonly at: string;
  readonly args: readonly string[];
  /** Whether any kind of it must be refused. */
  readonly refused: boolean;
}

const read = (at: string, ...args: readonly string[]): Position => ({ at, args, refused: true });
const either = (at: string, ...args: readonly string[]): Position => ({ at, args, refused: false });

const positions: readonly Position[] = [
  read('odd.onnx', 'label', 'odd.onnx', 'pictures/test/a/0.png'),
  read('odd.onnx', 'demo', 'odd.onnx', '--port', '0'),
  read('odd.onnx', 'bench', 'infer', 'odd.onnx', '--rounds', '1', '--round-ms', '1'),
  read('odd.onnx', 'quantize', 'odd.onnx', '-o', 'out.onnx', '--images', '4', ...data),
  read('odd.png', 'label', 'model.onnx', 'odd.png', '--runs', '1'),
  either('pictures/test/a/odd.png', 'label', 'model.onnx', 'pictures/test/a', '--runs', '1'),
  either('pictures/train/a/odd.png', 'data', 'show', 'images:pictures'),
  either('pictures/train/b/1.png', 'train', 'tuto', ...data, ...short),
  read('pictures/train', 'data', 'show', 'images:pictures'),
  either('pictures/train/odd', 'data', 'show', 'images:pictures'),
  read('odd', 'data', 'show', 'images:odd'),
  read('odd.safetensors', 'eval', 'odd.safetensors', ...data),
  read('odd.safetensors', 'freeze', 'odd.safetensors', '-o', 'out.onnx'),
  read(
    'odd.safetensors.gz',
    'prune',
    'odd.safetensors.gz',
    '--sparsity',
    '0.5',
    '--steps',
    '0',
    '-o',
    'out.safetensors',
    ...data,
  ),
  read('odd.safetensors', 'train', 'tuto', '--init', 'odd.safetensors', ...data, ...short),
  read('odd.safetensors', 'train', 'tuto', '--teacher', 'odd.safetensors', ...data, ...short),
  read('odd.yaml', 'study', 'odd.yaml', '--dry-run'),
  read('odd.yaml', 'report', 'odd.yaml'),
  either('runs', 'train', 'tuto', ...data, ...short),
  either('runs', 'runs', 'list'),
  either('runs', 'study', 'study.yaml', '--dry-run'),
  either('runs/tuto', 'runs', 'list'),
  either('runs/tuto/1', 'runs', 'list'),
  either('runs/tuto/2', 'runs', 'list'),
  either('runs/odd', 'study', 'study.yaml', '--dry-run'),
  read('runs/tuto/1/config.json', 'runs', 'show', 'tuto/1'),
  either('runs/tuto/1/config.json', 'train', '--resume', 'tuto/1', '--steps', '5'),
  either('runs/tuto/1/status.json', 'runs', 'list'),
  either('runs/tuto/1/status.json', 'runs', 'show', 'tuto/1'),
  either('runs/tuto/1/metrics.jsonl', 'runs', 'show', 'tuto/1'),
  either('runs/tuto/1/metrics.jsonl', 'train', '--resume', 'tuto/1', '--steps', '5'),
  either('runs/tuto/1/evaluation.json', 'runs', 'compare', 'tuto/1', 'tuto/1'),
  either('runs/tuto/1/environment.json', 'runs', 'show', 'tuto/1'),
  either(`runs/tuto/1/checkpoints/${checkpointName}`, 'eval', 'tuto/1'),
  either('runs/tuto/1/checkpoints', 'eval', 'tuto/1'),
  either('runs/tuto/1/lock-1', 'train', '--resume', 'tuto/1', '--steps', '5'),
  either('runs/.index.json', 'runs', 'list'),
  either('runs/.studies/odd/state.json', 'study', 'study.yaml', '--dry-run'),
  read('no-data/data_batch_1.bin', 'data', 'verify'),
  read('no-data/cifar-10-batches-bin/test_batch.bin', 'data', 'show', 'cifar10'),
  read('no-data', 'train', 'tuto', ...short),
  either('out.onnx', 'freeze', 'tuto/1', '-o', 'out.onnx'),
  either('out.png', 'data', 'show', 'images:pictures', '-o', 'out.png', '--rows', '1'),
  either('out', 'runs', 'compare', 'tuto/1', 'tuto/1', '-o', 'out', '--no-latency'),
];

/** Kinds that a folder may be. */
const folderKinds: readonly SpecialKind[] = ['a folder', 'a link to the folder above'];

export const specialFiles: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures', 'runs', 'model.onnx', 'study.yaml');
  const { at, args, refused } = draw.pick(positions);
  const kind = draw.pick(specialKinds);
  makeSpecial(kind, join(folder, at));
  return {
    what: `${kind} as ${at}`,
    args,
    refused: refused && !folderKinds.includes(kind),
    serves: args[0] === 'demo',
    mayChange: changes(args, at, kind),
  };
};

function changes(args: readonly string[], at: string, kind: SpecialKind): RegExp {
  if (args.includes('--resume')) return /^runs\/tuto\/1\/(?!checkpoints|config)/;
  // A result takes the place of a link, never of a device.
  return at.startsWith('out') && kind.startsWith('a link') ? /^out/ : /^runs\/\.index\.json$/;
}
