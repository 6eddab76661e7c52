/** Valid input of every kind, from which the bad input is made: made once, by the commands themselves. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { runCli } from '../run-cli.ts';

export interface Fixtures {
  /** Holds `pictures`, `runs/tuto/1`, `model.onnx`, `device.onnx`, `study.yaml` and `killed.yaml`. */
  readonly folder: string;
  readonly weights: Uint8Array;
  readonly frozen: Uint8Array;
  /** A frozen file that can be exported for a device. */
  readonly device: Uint8Array;
  readonly picture: Uint8Array;
  readonly study: string;
}

/** A network of a thousand parameters. */
export const tinyNetwork: readonly string[] = ['conv1.filters=4', 'conv2.filters=4', 'dense1=false', 'dense2=false'];
export const checkpointName = 'step-000000004.safetensors';

const study = `name: odd
dataset: images:pictures
baseline: { model: tuto, recipe: '2017', steps: 4, batchSize: 4, model.conv1.filters: 4, model.conv2.filters: 4, model.dense1: false, model.dense2: false }
design: one-at-a-time
factors:
  - { name: no LRN, set: { model.lrn: false } }
  - name: rate
    levels:
      - { label: low, set: { learningRate: 0.01 } }
      - { label: high, set: { learningRate: 0.1 } }
seeds: [1]
`;

/** A study of four runs that save every other step. */
const studyOfSaves = `name: killed
dataset: images:pictures
baseline: { model: tuto, recipe: '2017', steps: 40, batchSize: 4, saveEvery: 2, logEvery: 2, model.conv1.filters: 4, model.conv2.filters: 4, model.dense1: false, model.dense2: false }
design: one-at-a-time
factors:
  - { name: no LRN, set: { model.lrn: false } }
seeds: [1, 2]
`;

const network = tinyNetwork.flatMap((setting) => ['--set', setting]);
const training = ['--data', 'images:pictures', '--steps', '4', '--batch-size', '4', '--threads', '1', '--save-every', '2'];

/** Makes `pictures`, `runs/tuto/1`, `study.yaml` and `killed.yaml` in the folder. */
export async function makeFirstFixtures(folder: string): Promise<Pick<Fixtures, 'folder'>> {
  await makePictures(join(folder, 'pictures'));
  writeFileSync(join(folder, 'study.yaml'), study);
  writeFileSync(join(folder, 'killed.yaml'), studyOfSaves);
  await succeed(folder, 'train', 'tuto', ...training, ...network);
  return { folder };
}

export async function makeFixtures(folder: string): Promise<Fixtures> {
  await makeFirstFixtures(folder);
  await succeed(folder, 'freeze', 'tuto/1', '-o', 'model.onnx');
  const device = ['lrn=false', 'standardization=channel'].flatMap((setting) => ['--set', setting]);
  await succeed(folder, 'train', 'tuto', ...training, ...network, ...device, '--runs-dir', 'device');
  await succeed(folder, 'freeze', 'tuto/1', '--runs-dir', 'device', '-o', 'device.onnx');
  const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
  return {
    folder,
    weights: read(`runs/tuto/1/checkpoints/${checkpointName}`),
    frozen: read('model.onnx'),
    device: read('device.onnx'),
    picture: read('pictures/train/a/0.png'),
    study,
  };
}

/** Copies parts of the fixtures into the folder of a case. */
export function copyFixtures(fixtures: Pick<Fixtures, 'folder'>, folder: string, ...names: readonly string[]): void {
  for (const name of names) cpSync(join(fixtures.folder, name), join(folder, name), { recursive: true });
}

async function makePictures(folder: string): Promise<void> {
  for (const split of ['train', 'test']) {
    for (const [label, name] of ['a', 'b'].entries()) {
      mkdirSync(join(folder, split, name), { recursive: true });
      for (let i = 0; i < (split === 'train' ? 20 : 4); i++) {
        const pixels = Buffer.from(Array.from({ length: 32 * 32 * 3 }, (_, at) => (at * (7 + 90 * label) + 31 * i) % 256));
        await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
          .png()
          .toFile(join(folder, split, name, `${i}.png`));
      }
    }
  }
}

async function succeed(folder: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCli(args, { cwd: folder, ownProcess: true });
  if (code !== 0) throw new Error(`ablate ${args.join(' ')}: exit code ${code ?? '?'}\n${stderr}`);
}
