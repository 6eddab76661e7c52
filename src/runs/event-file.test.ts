import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentVariable } from '../util/env.ts';
import { openEvents } from './event-file.ts';
import { imageGrid } from './image-grid.ts';
import { integerField, message } from './protobuf.ts';
import { skippable } from '../../test/skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-events-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('integers of protobuf: seven bits a byte, beyond 32 bits too', () => {
  expect([...message([integerField(1, 150)])]).toEqual([0x08, 0x96, 0x01]);
  expect([...message([integerField(16, 2 ** 35)])]).toEqual([0x80, 0x01, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
  expect(() => integerField(1, -1)).toThrow(RangeError);
});

test('files of the same second have different names', () => {
  const writers = [1, 2, 3].map(() => openEvents(join(folder, 'names')));
  for (const writer of writers) writer.close();
  expect(new Set(writers.map(({ path }) => path)).size).toBe(3);
  for (const name of readdirSync(join(folder, 'names'))) expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
  expect(writers[0]!.path).toContain(hostname());
});

test('a place that cannot be written is named', () => {
  writeFileSync(join(folder, 'plain'), '');
  expect(() => openEvents(join(folder, 'plain', 'run'))).toThrow(/cannot create .*plain\/run\/events.out.tfevents/);
});

const python = environmentVariable('ABLATE_TENSORBOARD_PYTHON') ?? 'python3';
const whyNoTensorboard =
  spawnSync(python, ['-c', 'import tensorboard']).status === 0
    ? undefined
    : `${python} has no tensorboard (pip install tensorboard)`;

describe.skipIf(whyNoTensorboard)(skippable('TensorBoard reads', whyNoTensorboard), () => {
  interface Reading {
    readonly scalars: Readonly<Record<string, readonly (readonly [step: number, value: number])[]>>;
    readonly images: readonly {
      readonly step: number;
      readonly width: number;
      readonly height: number;
      readonly signature: string;
    }[];
    readonly hyperparameters: Readonly<Record<string, unknown>>;
    readonly status: string;
    readonly records: number;
  }
  let reading: Reading;

  beforeAll(() => {
    const logs = join(folder, 'logs');
    const first = openEvents(logs);
    first.hyperparameters({ learningRate: 0.1, model: 'tuto', augment: true });
    for (const step of [10, 20, 30]) first.scalars(step, { 'train/loss': 1 / step, 'test/accuracy': step / 100 });
    first.image(
      10,
      'train/inputs',
      imageGrid(
        Float32Array.from({ length: 2 * 3 * 24 * 24 }, (_, i) => i % 97),
        [2, 3, 24, 24],
      ),
    );
    first.close();
    const resumed = openEvents(logs, 20);
    resumed.scalars(30, { 'train/loss': 7, 'test/accuracy': NaN });
    resumed.scalars(3_000_000_000, { 'train/loss': 8 });
    resumed.ended('finished');
    resumed.close();
    reading = JSON.parse(
      execFileSync(python, ['-c', reader, logs], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
    ) as Reading;
  });

  test('all records, whose checks are right', () => expect(reading.records).toBe(1 + 1 + 3 + 1 + (1 + 1 + 2 + 1)));

  test('scalars, and of steps done again the later', () => {
    const values = reading.scalars['train/loss']!;
    expect(values.map(([step]) => step)).toEqual([10, 20, 30, 3_000_000_000]);
    [0.1, 0.05, 7, 8].forEach((value, index) => expect(values[index]![1]).toBeCloseTo(value, 6));
    expect(reading.scalars['test/accuracy']!.slice(0, 2).map(([step]) => step)).toEqual([10, 20]);
  });

  test('images', () => expect(reading.images).toEqual([{ step: 10, width: 49, height: 24, signature: '89504e470d0a1a0a' }]));

  test('hyperparameters, and how the run ended', () => {
    expect(reading.hyperparameters).toEqual({ learningRate: 0.1, model: 'tuto', augment: true });
    expect(reading.status).toBe('STATUS_SUCCESS');
  });
});

/** Prints what TensorBoard finds in a folder as JSON. */
const reader = `
import glob, json, struct, sys
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import api_pb2, metadata

folder = sys.argv[1]
# TensorBoard stops silently at a wrong check, so they are checked here, with its own function.
records = 0
for path in sorted(glob.glob(folder + '/*')):
    data = open(path, 'rb').read()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from('<Q', data, at)
        assert struct.unpack_from('<I', data, at + 8)[0] == masked_crc32c(data[at:at + 8])
        body = data[at + 12:at + 12 + length]
        assert struct.unpack_from('<I', data, at + 12 + length)[0] == masked_crc32c(body)
        at += 16 + length
        records += 1

events = event_accumulator.EventAccumulator(folder, size_guidance={'scalars': 0, 'images': 0, 'tensors': 0})
events.Reload()
content = lambda tag: events.SummaryMetadata(tag).plugin_data.content
start = metadata.parse_session_start_info_plugin_data(content(metadata.SESSION_START_INFO_TAG))
end = metadata.parse_session_end_info_plugin_data(content(metadata.SESSION_END_INFO_TAG))
print(json.dumps({
    'records': records,
    'scalars': {tag: [[e.step, e.value if e.value == e.value else None] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']},
    'images': [{'step': e.step, 'width': e.width, 'height': e.height, 'signature': e.encoded_image_string[:8].hex()} for e in events.Images('train/inputs')],
    'hyperparameters': {name: getattr(value, value.WhichOneof('kind')) for name, value in start.hparams.items()},
    'status': api_pb2.Status.Name(end.status),
}))
`;
