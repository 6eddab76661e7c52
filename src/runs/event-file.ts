/**
 * TensorBoard event files, so that `tensorboard --logdir runs` shows what metrics.jsonl records. A file is a sequence of TFRecords,
 * each an Event message. Field numbers are those of tensorboard/compat/proto/{event,summary,tensor}.proto and
 * tensorboard/plugins/hparams/{api,plugin_data}.proto.
 */
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '../util/checksum.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { makeFolder } from '../util/make-folder.ts';
import type { ImageGrid } from './image-grid.ts';
import type { Metrics } from './metrics.ts';
import { bytesField, doubleField, floatField, integerField, message, messageField, stringField, type Field } from './protobuf.ts';

export type HyperparameterValue = string | number | boolean;

export type Hyperparameters = Readonly<Record<string, HyperparameterValue>>;

export interface EventWriter {
  readonly path: string;
  /** One point of each curve. */
  scalars(step: number, metrics: Metrics): void;
  image(step: number, tag: string, image: ImageGrid): void;
  /** The settings of a run: a row of TensorBoard's table of hyperparameters. Once a run. */
  hyperparameters(values: Hyperparameters): void;
  /** How the run ended, for the table of hyperparameters. */
  ended(status: 'finished' | 'failed'): void;
  close(): void;
}

/**
 * Starts a new event file `events.out.tfevents.<seconds>.<host>` in a folder, which is made if it is missing.
 *
 * @param lastStep On resume, the step resumed from: TensorBoard drops what earlier files say of later steps.
 * @throws AblateError if the file cannot be written, now or later.
 */
export function openEvents(folder: string, lastStep?: number): EventWriter {
  const { path, descriptor } = createFile(folder);
  const write = (step: number, ...fields: readonly Field[]) => {
    // A field that is left out is 0, as TensorFlow writes it.
    const stepField = step === 0 ? [] : [integerField(2, step)];
    const event = message([doubleField(1, Date.now() / 1000), ...stepField, ...fields]);
    try {
      writeAll(descriptor, frame(event));
    } catch (error) {
      throw fileError('write', path, error);
    }
  };
  const writeSummary = (step: number, ...values: readonly Field[]) => write(step, messageField(5, values));
  write(0, stringField(3, 'brain.Event:2'));
  if (lastStep !== undefined) write(lastStep + 1, messageField(7, [integerField(1, sessionStart)]));
  return {
    path,
    scalars: (step, metrics) => writeSummary(step, ...Object.entries(metrics).map(([tag, value]) => scalarValue(tag, value))),
    image: (step, tag, image) => writeSummary(step, imageValue(tag, image)),
    hyperparameters: (values) => writeSummary(0, sessionStartValue(values)),
    ended: (status) => writeSummary(0, sessionEndValue(status)),
    close: () => closeSync(descriptor),
  };
}

/** SessionLog.SessionStatus.START: events from this step on replace those of earlier files. */
const sessionStart = 1;

function scalarValue(tag: string, value: number): Field {
  return messageField(1, [stringField(1, tag), floatField(2, value)]);
}

function imageValue(tag: string, { png, width, height, channels }: ImageGrid): Field {
  const image = [integerField(1, height), integerField(2, width), integerField(3, channels), bytesField(4, png)];
  return messageField(1, [stringField(1, tag), messageField(4, image)]);
}

function sessionStartValue(values: Hyperparameters): Field {
  // A map is a repeated message of key (1) and value (2).
  const entries = Object.entries(values).map(([name, value]) =>
    messageField(1, [stringField(1, name), messageField(2, [structValue(value)])]),
  );
  const startSeconds = doubleField(5, Date.now() / 1000);
  return hyperparametersValue('_hparams_/session_start_info', messageField(3, [...entries, startSeconds]));
}

/** google.protobuf.Value. */
function structValue(value: HyperparameterValue): Field {
  switch (typeof value) {
    case 'number':
      return doubleField(2, value);
    case 'string':
      return stringField(3, value);
    case 'boolean':
      return integerField(4, Number(value));
    default:
      return value satisfies never;
  }
}

function sessionEndValue(status: 'finished' | 'failed'): Field {
  const fields = [integerField(1, status === 'finished' ? 1 : 2), doubleField(2, Date.now() / 1000)];
  return hyperparametersValue('_hparams_/session_end_info', messageField(4, fields));
}

/** A value that carries its content as the data of the hyperparameter plugin; its tensor says nothing, but must be there. */
function hyperparametersValue(tag: string, content: Field): Field {
  const pluginData = [stringField(1, 'hparams'), bytesField(2, content)];
  const shape = messageField(2, [messageField(2, [integerField(1, 1)])]);
  const zero = [integerField(1, 1), shape, floatField(5, 0)];
  return messageField(1, [stringField(1, tag), messageField(9, [messageField(1, pluginData)]), messageField(8, zero)]);
}

/** A TFRecord: length (8 bytes), its masked CRC-32C, data, the data's masked CRC-32C; all little-endian. */
function frame(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(crc32c(record.subarray(0, 8))), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, masked(crc32c(data)), true);
  return record;
}

/** TFRecord rotates and shifts its checks, as the check of data that ends in its own check is degenerate. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** TensorBoard reads the files of a folder by name: each is named after a later second than all before, also where the clock was set back. */
function createFile(folder: string): { readonly path: string; readonly descriptor: number } {
  const pathOf = (second: number) => join(folder, `events.out.tfevents.${second}.${hostname()}`);
  const now = Math.floor(Date.now() / 1000);
  try {
    makeFolder(folder);
    const latest = readdirSync(folder).map((name) => Number(/^events\.out\.tfevents\.(\d{10})\./.exec(name)?.[1] ?? 0));
    for (let second = latest.reduce((most, each) => Math.max(most, each + 1), now); ; second++) {
      try {
        return { path: pathOf(second), descriptor: openSync(pathOf(second), 'wx') };
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }
  } catch (error) {
    throw fileError('create', pathOf(now), error);
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
}
