import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { told } from '../../test/told.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
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
  expect([...message([integerField(1, 0)])]).toEqual([0x08, 0x00]);
  expect([...message([integerField(1, 127), integerField(1, 128)])]).toEqual([0x08, 0x7f, 0x08, 0x80, 0x01]);
  for (const value of [-1, 0.5, NaN, 2 ** 53]) {
    expect(() => integerField(1, value)).toThrow(new RangeError(`value (=${value}) must be an integer, at least 0`));
  }
});

test('a file is named after a later second than all before, also where the clock is set back', () => {
  const names = join(folder, 'names');
  const now = 1_700_000_000;
  const clock = vi.spyOn(Date, 'now');
  const opened = [now, now, now - 3600, now + 1.9, now + 60, now - 1e6].map((seconds) => {
    clock.mockReturnValue(seconds * 1000);
    const writer = openEvents(names);
    writer.close();
    return basename(writer.path);
  });
  clock.mockRestore();
  expect(opened).toEqual([0, 1, 2, 3, 60, 61].map((later) => `events.out.tfevents.${now + later}.${hostname()}`));
  writeFileSync(join(names, 'events.out.tfevents.9999999999'), '');
  writeFileSync(join(names, 'old-events.out.tfevents.9999999998.host'), '');
  vi.spyOn(Date, 'now').mockReturnValue(now * 1000);
  expect(basename(openEvents(names).path)).toBe(`events.out.tfevents.${now + 62}.${hostname()}`);
  vi.restoreAllMocks();
});

test('the file is framed as TensorFlow frames it', () => {
  const writer = openEvents(join(folder, 'frames'));
  writer.scalars(150, { 'train/loss': 0.5 });
  writer.close();
  const bytes = readFileSync(writer.path);
  // Every event file that TensorFlow writes begins so: 24 bytes, the masked check of that length, and field 1, a double.
  expect(bytes.subarray(0, 13).toString('hex')).toBe('1800000000000000a37f4b2209');
  // Field 3: the version.
  expect(bytes.subarray(21, 36)).toEqual(Buffer.from('\x1a\x0dbrain.Event:2'));
  const first = bytes.subarray(12, 36);
  expect(bytes.readUInt32LE(36)).toBe(maskedCheck(first));
  const length = Number(bytes.readBigUInt64LE(40));
  expect(bytes.readUInt32LE(48)).toBe(maskedCheck(bytes.subarray(40, 48)));
  const event = bytes.subarray(52, 52 + length);
  expect(bytes.readUInt32LE(52 + length)).toBe(maskedCheck(event));
  expect(bytes.length).toBe(56 + length);
  expect([event[0], Math.abs(event.readDoubleLE(1) - Date.now() / 1000) < 60]).toEqual([0x09, true]);
  // Step 150; a summary of 19 bytes; its value of 17: the tag of 10, and the float 0.5.
  expect(event.subarray(9).toString('hex')).toBe(`1096012a130a110a0a${Buffer.from('train/loss').toString('hex')}150000003f`);
});

/** Bit by bit, from RFC 3720 (CRC-32C) and the definition of TFRecord's mask. */
function maskedCheck(bytes: Uint8Array): number {
  let check = 0xffffffffn;
  for (const byte of bytes) {
    check ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) check = check & 1n ? (check >> 1n) ^ 0x82f63b78n : check >> 1n;
  }
  check ^= 0xffffffffn;
  return Number((((check >> 15n) | (check << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

test('after a resume, TensorBoard is told which steps are done again', () => {
  const writer = openEvents(join(folder, 'resumed'), 20);
  writer.close();
  const bytes = readFileSync(writer.path);
  // Behind the first record of 40 bytes: step 21, and field 7, a session log whose status is START (1).
  expect(bytes.subarray(40 + 12 + 9, -4).toString('hex')).toBe('10153a020801');
});

/** The fields of a message that are messages themselves, and those that are texts; all other bytes are bytes. */
interface Shape {
  readonly [field: number]: Shape | 'text';
}

type Fields = readonly (readonly [field: number, value: unknown])[];

/** Reads a message by the wire format's own rules: protobuf.dev/programming-guides/encoding. */
function decode(bytes: Buffer, shape: Shape): Fields {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const take = (length: number) => bytes.subarray(at, (at += length));
  const fields: [number, unknown][] = [];
  while (at < bytes.length) {
    const tag = varint();
    const [field, wireType] = [tag >> 3, tag & 7];
    const inner = shape[field];
    if (wireType === 0) fields.push([field, varint()]);
    else if (wireType === 1) fields.push([field, take(8).readDoubleLE()]);
    else if (wireType === 5) fields.push([field, take(4).readFloatLE()]);
    else {
      const content = take(varint());
      fields.push([field, inner === 'text' ? content.toString() : inner === undefined ? [...content] : decode(content, inner)]);
    }
  }
  return fields;
}

/** Event: summary (5) of values (1): tag (1), image (4), tensor (8) with its shape (2), metadata (9) with those of the plugin (1). */
const event: Shape = {
  3: 'text',
  5: {
    1: {
      1: 'text',
      4: {},
      8: { 2: { 2: {} } },
      9: { 1: { 1: 'text', 2: { 3: { 1: { 1: 'text', 2: { 3: 'text' } } }, 4: {} } } },
    },
  },
  7: {},
};

/** The events of a file, without the one that each file begins with. */
function eventsOf(path: string): Fields[] {
  const bytes = readFileSync(path);
  const events: Fields[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    events.push(decode(bytes.subarray(at + 12, at + 12 + length), event));
    at += 16 + length;
  }
  return events.slice(1);
}

test('images, hyperparameters and the end of a run are the messages that TensorBoard reads', () => {
  const seconds = 1_700_000_000.25;
  vi.spyOn(Date, 'now').mockReturnValue(seconds * 1000);
  const writer = openEvents(join(folder, 'messages'));
  writer.image(7, 'train/inputs', { png: Uint8Array.of(1, 2, 3), width: 49, height: 24, channels: 3 });
  writer.hyperparameters({ learningRate: 0.1, model: 'tuto', augment: true, nesterov: false });
  writer.ended('finished');
  writer.ended('failed');
  writer.scalars(0, { a: 1, b: 2 });
  writer.close();
  vi.restoreAllMocks();
  const image = [
    [1, 24],
    [2, 49],
    [3, 3],
    [4, [1, 2, 3]],
  ];
  // The tensor of one float, 0: its type (1) is float32 (1), its shape (2) has one dimension (2) of size (1) 1.
  const tensor = [
    [1, 1],
    [2, [[2, [[1, 1]]]]],
    [5, 0],
  ];
  const ofPlugin = (tag: string, content: unknown) => [
    [1, seconds],
    [
      5,
      [
        [
          1,
          [
            [1, tag],
            [
              9,
              [
                [
                  1,
                  [
                    [1, 'hparams'],
                    [2, content],
                  ],
                ],
              ],
            ],
            [8, tensor],
          ],
        ],
      ],
    ],
  ];
  // An entry of the map: the name, and google.protobuf.Value: a number (2), a text (3) or a truth (4).
  const entry = (name: string, kind: number, value: unknown) => [
    1,
    [
      [1, name],
      [2, [[kind, value]]],
    ],
  ];
  expect(eventsOf(writer.path)).toEqual([
    [
      [1, seconds],
      [2, 7],
      [
        5,
        [
          [
            1,
            [
              [1, 'train/inputs'],
              [4, image],
            ],
          ],
        ],
      ],
    ],
    ofPlugin('_hparams_/session_start_info', [
      [
        3,
        [entry('learningRate', 2, 0.1), entry('model', 3, 'tuto'), entry('augment', 4, 1), entry('nesterov', 4, 0), [5, seconds]],
      ],
    ]),
    // The status: 1 is a success, 2 a failure.
    ofPlugin('_hparams_/session_end_info', [
      [
        4,
        [
          [1, 1],
          [2, seconds],
        ],
      ],
    ]),
    ofPlugin('_hparams_/session_end_info', [
      [
        4,
        [
          [1, 2],
          [2, seconds],
        ],
      ],
    ]),
    [
      [1, seconds],
      [
        5,
        [
          [
            1,
            [
              [1, 'a'],
              [2, 1],
            ],
          ],
          [
            1,
            [
              [1, 'b'],
              [2, 2],
            ],
          ],
        ],
      ],
    ],
  ]);
});

test('what cannot be written is named, and the file is closed in the end', () => {
  const writer = openEvents(join(folder, 'failing'));
  const fail = () => {
    throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'write' });
  };
  expect(told(() => watchFs(fail, () => writer.scalars(1, { a: 1 }))).message).toBe(
    `cannot write ${writer.path}: the device failed (EIO)`,
  );
  expect(callsOf(() => writer.close())).toMatchObject([{ name: 'closeSync', path: writer.path }]);
});

test('of processes that open a file in the same second, each has its own', () => {
  const names = join(folder, 'same-second');
  const now = 1_700_000_000;
  vi.spyOn(Date, 'now').mockReturnValue(now * 1000);
  const others: string[] = [];
  const writer = watchFs(
    ({ name, path }) => {
      // Another process has the name that is free now.
      if (name !== 'openSync' || others.length === 2) return;
      writeFileSync(path, 'of another');
      others.push(path);
    },
    () => openEvents(names),
  );
  writer.close();
  const named = [0, 1, 2].map((later) => join(names, `events.out.tfevents.${now + later}.${hostname()}`));
  expect([...others, writer.path]).toEqual(named);
  expect(others.map((path) => readFileSync(path, 'utf8'))).toEqual(['of another', 'of another']);
  // What is wrong otherwise is no reason to look for another name.
  const open = () =>
    watchFs(
      ({ name }) => {
        if (name === 'openSync') rmSync(names, { recursive: true });
      },
      () => openEvents(names),
    );
  expect(told(open)).toEqual({
    kind: 'AblateError',
    message: `cannot create ${named[0]}: no such file or folder (ENOENT)`,
    fix: 'check the path',
  });
  vi.restoreAllMocks();
});

test('a place that cannot be written is named', () => {
  writeFileSync(join(folder, 'plain'), '');
  expect(() => openEvents(join(folder, 'plain', 'run'))).toThrow(/cannot create .*plain\/run: a part of the path is a file/);
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
