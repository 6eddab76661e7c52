import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { AblateError } from '../util/errors.ts';
import { openMetrics, parseRecord, readMetrics, type MetricsRecord, type MetricsWriter } from './metrics.ts';
import { skippable } from '../../test/skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));

const record = (step: number): MetricsRecord => ({
  step,
  time: '2026-01-31T12:00:00.000Z',
  metrics: { 'train/loss': 1 / step, 'train/learningRate': 0.1 },
});

/** A file with the records of these steps. */
function written(name: string, ...steps: readonly number[]): string {
  const path = join(folder, name);
  const writer = openMetrics(path);
  for (const step of steps) writer.append(record(step));
  writer.sync();
  writer.close();
  return path;
}

const stepsOf = (path: string) => readMetrics(path).map(({ step }) => step);

test('what is appended is read, one object a line', () => {
  const path = written('round-trip', 10, 20);
  expect(readMetrics(path)).toEqual([record(10), record(20)]);
  expect(readFileSync(path, 'utf8').split('\n')[0]).toBe(
    '{"step":10,"time":"2026-01-31T12:00:00.000Z","train/loss":0.1,"train/learningRate":0.1}',
  );
});

test('records are there at once, and numbers that JSON lacks survive', () => {
  const path = join(folder, 'at-once');
  const writer = openMetrics(path);
  const metrics = { nan: NaN, plus: Infinity, minus: -Infinity };
  writer.append({ ...record(1), metrics });
  expect(readMetrics(path)).toEqual([{ ...record(1), metrics }]);
  writer.close();
});

test('a record is written in one call, and is on the disk once the writer was told to wait for it', () => {
  const path = join(folder, 'calls');
  let writer: MetricsWriter;
  const namesOf = (work: () => void) => callsOf(work).map(({ name, path: at }) => `${name} ${at === path ? 'metrics' : at}`);
  expect(namesOf(() => (writer = openMetrics(path))).at(-1)).toBe('openSync metrics');
  expect(namesOf(() => writer.append(record(1)))).toEqual(['writeSync metrics']);
  expect(namesOf(() => writer.sync())).toEqual(['fsyncSync metrics']);
  const fail = () => {
    throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'write' });
  };
  for (const work of [() => writer.append(record(2)), () => writer.sync(), () => writer.close()]) {
    expect(told(() => watchFs(fail, work)).message).toBe(`cannot write ${path}: the device failed (EIO)`);
  }
  expect(namesOf(() => writer.close())).toEqual(['closeSync metrics']);
});

test('a file that is whole is not written anew', () => {
  const path = written('untouched', 10, 20);
  for (const lastStep of [undefined, 20, 30]) {
    const calls = callsOf(() => openMetrics(path, lastStep).close()).map(({ name }) => name);
    expect(calls).not.toContain('renameSync');
  }
  expect(callsOf(() => openMetrics(path, 19).close()).map(({ name }) => name)).toContain('renameSync');
  expect(stepsOf(path)).toEqual([10]);
});

test.each(['', '{', 'null', '7', '"text"', '[]', '{"step":"1","time":"t"}', '{"step":1,"time":2}', '{"time":"t"}', '{"step":1}'])(
  'the line %s is no record',
  (line) => {
    expect(parseRecord(line)).toBeUndefined();
    expect(parseRecord('{"step":1,"time":"t"}')).toEqual({ step: 1, time: 't', metrics: {} });
  },
);

test('a torn last line is passed over by readers, and removed before more is written', () => {
  for (const torn of [
    '{"step":30,"ti',
    '{"step":30,"time":"2026-01-31T12:00:00.000Z","train/loss":0.5',
    '\0\0\0\0\n',
    '\n',
    '7',
  ]) {
    const path = written('torn', 10, 20);
    appendFileSync(path, torn);
    expect(stepsOf(path)).toEqual([10, 20]);
    const writer = openMetrics(path);
    writer.append(record(30));
    writer.close();
    expect(stepsOf(path)).toEqual([10, 20, 30]);
    rmSync(path);
  }
});

test('a complete line that lacks only its line break is kept out too: its number may be cut short', () => {
  const path = written('cut-number', 10);
  appendFileSync(path, '{"step":20,"time":"t","train/loss":1}');
  expect(stepsOf(path)).toEqual([10]);
});

test('on resume the records of later steps go, and the file is never half written', () => {
  const path = written('resume', 10, 20, 30, 40);
  openMetrics(path, 20).close();
  expect(stepsOf(path)).toEqual([10, 20]);
  openMetrics(path, 5).close();
  expect(stepsOf(path)).toEqual([]);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('a damaged line in the middle is named', () => {
  for (const line of ['{"step":', '{"step":1}', '[1]', '{"step":1,"time":"t","train/loss":"high"}']) {
    const path = written('damaged', 10);
    const valid = readFileSync(path, 'utf8');
    appendFileSync(path, `${line}\n${valid}`);
    for (const work of [() => readMetrics(path), () => openMetrics(path)]) {
      expect(told(work)).toEqual({
        kind: 'DataError',
        message: `${path}, line 2, is not a record of metrics`,
        fix: 'remove the line, or restore the file',
      });
    }
    rmSync(path);
  }
});

test('a missing file or folder is named', () => {
  expect(() => readMetrics(join(folder, 'missing'))).toThrow(/cannot read .*\/missing: no such file/);
  expect(() => openMetrics(join(folder, 'missing', 'metrics.jsonl'))).toThrow(
    /cannot write .*missing\/metrics.jsonl: no such file/,
  );
});

const whyNotFull = existsSync('/dev/full') ? undefined : 'there is no /dev/full';

test.skipIf(whyNotFull)(skippable('a full disk gives the path, the reason and a fix', whyNotFull), () => {
  const path = join(folder, 'full');
  symlinkSync('/dev/full', path);
  const writer = openMetrics(path);
  expect(() => writer.append(record(1))).toThrow(AblateError);
  expect(() => writer.append(record(1))).toThrow(`cannot write ${path}: no space left on the device (ENOSPC)`);
  writer.close();
});

test('an empty file has no records', () => {
  writeFileSync(join(folder, 'empty'), '');
  expect(readMetrics(join(folder, 'empty'))).toEqual([]);
});
