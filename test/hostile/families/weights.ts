/** Files of weights: the header's length, the header and its metadata, the tensors' places and values. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Draw } from '../draw.ts';
import type { Family, Prepared } from '../family.ts';
import { checkpointName, copyFixtures } from '../fixtures.ts';
import { anotherFile, flipped, truncated } from '../mutate-bytes.ts';
import { mutateJson, short } from '../mutate-json.ts';
import { oddJson } from '../values.ts';

interface Mutated {
  readonly bytes: Uint8Array;
  readonly what: string;
  readonly refused: boolean;
}

type Header = Record<string, { dtype: unknown; shape: unknown; data_offsets: unknown }> & {
  __metadata__: Record<string, string>;
};

const data = ['--data', 'images:pictures'];

/** Command lines that read a file of weights. */
const commands: readonly (readonly string[])[] = [
  ['eval', 'odd.safetensors', ...data],
  ['freeze', 'odd.safetensors', '-o', 'out.onnx'],
  ['prune', 'odd.safetensors', '--sparsity', '0.5', '--steps', '0', '-o', 'out.safetensors', ...data],
  ['prune', 'odd.safetensors', '--structured', '--filters', '0.5', '--steps', '0', '-o', 'out.safetensors', ...data],
  ['quantize', 'odd.safetensors', '-o', 'out.onnx', '--images', '4', '--no-evaluate', ...data],
  ['train', 'tuto', '--init', 'odd.safetensors', '--steps', '1', '--batch-size', '4', '--threads', '1', ...data],
  ['train', 'tuto', '--teacher', 'odd.safetensors', '--steps', '1', '--batch-size', '4', '--threads', '1', ...data],
];

/** Command lines that read the newest checkpoint of a run. */
const runCommands: readonly (readonly string[])[] = [
  ['eval', 'tuto/1'],
  ['train', '--resume', 'tuto/1', '--steps', '5'],
  ['freeze', 'tuto/1', '-o', 'out.onnx'],
  ['runs', 'show', 'tuto/1'],
];

export const weights: Family = ({ folder, fixtures, draw }): Prepared => {
  copyFixtures(fixtures, folder, 'pictures');
  const mutated = mutate(fixtures.weights, draw);
  if (draw.below(4) === 0) {
    copyFixtures(fixtures, folder, 'runs');
    writeFileSync(join(folder, 'runs/tuto/1/checkpoints', checkpointName), mutated.bytes);
    const args = draw.pick(runCommands);
    // A damaged newest checkpoint may be passed over for the one before.
    return { what: `a checkpoint: ${mutated.what}`, args, mayChange: /^runs\/tuto\/1\/(?!checkpoints|config)/ };
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'odd.safetensors'), mutated.bytes);
  return { what: `weights: ${mutated.what}`, args: draw.pick(commands), refused: mutated.refused };
};

function mutate(bytes: Uint8Array, draw: Draw): Mutated {
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as Header;
  const tensors = bytes.subarray(8 + headerBytes);
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  switch (draw.below(10)) {
    case 0:
      return { ...truncated(bytes, draw, [0, 1, 8, 9, 8 + headerBytes, bytes.length - 1]), refused: true };
    case 1:
      return { ...anotherFile(draw), refused: true };
    case 2:
      return { ...flipped(bytes, draw, 0, 8), refused: false };
    case 3: {
      const lengths = [0n, 1n, 7n, BigInt(bytes.length), 2n ** 31n, 2n ** 32n, 99_999_999n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
      const length = draw.pick(lengths);
      const copy = Uint8Array.from(bytes);
      new DataView(copy.buffer).setBigUint64(0, length, true);
      return { bytes: copy, what: `a header of ${length} bytes`, refused: true };
    }
    case 4: {
      const key = draw.pick(['config', 'classifier', 'step', 'dataset', 'model', 'format', 'final']);
      const odd = draw.pick(oddJson);
      header.__metadata__[key] = draw.below(2) === 0 || typeof odd !== 'string' ? JSON.stringify(odd) : odd;
      return { bytes: encode(header, tensors), what: `${key} = ${short(odd)} in the metadata`, refused: false };
    }
    case 5:
    case 6: {
      const key = draw.pick(['config', 'classifier', 'classifier']);
      const { value, what } = mutateJson(JSON.parse(header.__metadata__[key]!), draw);
      header.__metadata__[key] = JSON.stringify(value);
      return { bytes: encode(header, tensors), what: `${key}: ${what}`, refused: false };
    }
    case 7: {
      const name = draw.pick(names);
      const field = draw.pick(['dtype', 'shape', 'data_offsets'] as const);
      const odd = draw.pick([
        ...oddJson,
        [-1, 4],
        [2 ** 53, 2 ** 53],
        [0, 1e9],
        [4, 0],
        [1e9, 1e9, 1e9],
        ['4'],
        'F64',
        'I8',
        [0, 0],
      ]);
      header[name]![field] = odd;
      return { bytes: encode(header, tensors), what: `${field} of ${name} = ${short(odd)}`, refused: true };
    }
    case 8: {
      const name = draw.pick(names);
      const view = Uint8Array.from(tensors);
      const [begin] = header[name]!.data_offsets as [number];
      const odd = draw.pick([NaN, Infinity, -Infinity]);
      new DataView(view.buffer).setFloat32(begin, odd, true);
      return { bytes: encode(header, view), what: `${odd} in ${name}`, refused: false };
    }
    default: {
      const name = draw.pick(names);
      const to = draw.pick([undefined, 'surplus', '__proto__', '\u001b[31m', 'ema.ema.x', 'opt.x', 'mask.conv1.weight']);
      const renamed = Object.entries(header).map(([key, value]) => [key === name ? to : key, value] as const);
      const entries = renamed.filter((entry): entry is [string, Header[string]] => entry[0] !== undefined);
      const bytesNow = to === undefined ? withoutTensor(header, name, tensors) : encode(Object.fromEntries(entries), tensors);
      const zipped = draw.below(3) === 0;
      const what = to === undefined ? `${name} left out` : `${name} called ${JSON.stringify(to)}`;
      return { bytes: zipped ? gzipSync(bytesNow) : bytesNow, what, refused: false };
    }
  }
}

function encode(header: object, tensors: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + tensors.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(tensors, 8 + json.length);
  return bytes;
}

/** Without a tensor and its bytes, the others moved up. */
function withoutTensor(header: Header, name: string, tensors: Uint8Array): Uint8Array {
  const [begin, end] = header[name]!.data_offsets as [number, number];
  const rest = Object.entries(header).filter(([key]) => key !== name);
  const moved = rest.map(([key, value]) => {
    if (key === '__metadata__') return [key, value];
    const offsets = (value.data_offsets as number[]).map((offset) => (offset >= end ? offset - (end - begin) : offset));
    return [key, { ...value, data_offsets: offsets }];
  });
  return encode(Object.fromEntries(moved) as object, Buffer.concat([tensors.subarray(0, begin), tensors.subarray(end)]));
}
