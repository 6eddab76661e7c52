import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { skippable } from '../../test/skippable.ts';
import { told } from '../../test/told.ts';
import { watchFs } from '../../test/watched-fs.ts';
import { followMetrics, readLastRecords } from './metrics-follower.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-follower-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const newPath = () => join(folder, String(++files));
const line = (step: number, loss: number | string = 1) =>
  `${JSON.stringify({ step, time: '2026-01-31T12:00:00.000Z', 'train/loss': loss })}\n`;

/** A follower, and the steps that it has told of. */
function follow(path: string) {
  const steps: number[] = [];
  let resets = 0;
  const follower = followMetrics(path, {
    record: ({ step }) => steps.push(step),
    reset: () => {
      steps.length = 0;
      resets++;
    },
  });
  return { follower, steps, resets: () => resets };
}

test('what is added is read once, and a half-written line when it is whole', async () => {
  const path = newPath();
  writeFileSync(path, line(10) + line(20));
  const { follower, steps, resets } = follow(path);
  await follower.advance();
  expect(steps).toEqual([10, 20]);
  appendFileSync(path, line(30).slice(0, 20));
  await follower.advance();
  expect(steps).toEqual([10, 20]);
  appendFileSync(path, line(30).slice(20) + line(40));
  await follower.advance();
  await follower.advance();
  expect(steps).toEqual([10, 20, 30, 40]);
  expect(follower.damagedLines).toBe(0);
  expect(resets()).toBe(0);
});

test('lines that are no records are counted and passed over', async () => {
  const path = newPath();
  writeFileSync(path, `${line(10)}{"step":\n\nnull\n[1]\n${line(20, 'NaN')}${line(30, 'high')}`);
  const { follower, steps } = follow(path);
  await follower.advance();
  expect(steps).toEqual([10, 20]);
  expect(follower.damagedLines).toBe(5);
});

test('a file that is replaced, by a shorter or a longer one, is read anew', async () => {
  const path = newPath();
  writeFileSync(path, line(10) + line(20) + line(30));
  const { follower, steps, resets } = follow(path);
  await follower.advance();
  // As a training that is resumed does.
  writeFileSync(`${path}.new`, line(10));
  renameSync(`${path}.new`, path);
  await follower.advance();
  expect(steps).toEqual([10]);
  expect(resets()).toBe(1);
  // In place, by a text that is longer than what was read.
  truncateSync(path);
  writeFileSync(path, line(1) + line(2) + line(3));
  await follower.advance();
  expect(steps).toEqual([1, 2, 3]);
  expect(resets()).toBe(2);
});

test('another file is told from the same one that grew, though where reading stopped they are alike', async () => {
  const path = newPath();
  writeFileSync(path, line(10) + line(20));
  const { follower, steps, resets } = follow(path);
  await follower.advance();
  writeFileSync(`${path}.new`, line(11) + line(20) + line(30));
  renameSync(`${path}.new`, path);
  await follower.advance();
  expect(steps).toEqual([11, 20, 30]);
  expect(resets()).toBe(1);
});

test('a short beginning is compared as well', async () => {
  const path = newPath();
  const short = (step: number) => `{"step":${step},"time":"t"}\n`;
  writeFileSync(path, short(1));
  const { follower, steps, resets } = follow(path);
  await follower.advance();
  truncateSync(path);
  writeFileSync(path, short(2) + short(3));
  await follower.advance();
  expect(steps).toEqual([2, 3]);
  expect(resets()).toBe(1);
});

test('a file that was empty at first, or had half a line, is not read anew', async () => {
  const path = newPath();
  writeFileSync(path, '');
  const { follower, steps, resets } = follow(path);
  await follower.advance();
  appendFileSync(path, line(1).slice(0, 9));
  await follower.advance();
  appendFileSync(path, line(1).slice(9));
  await follower.advance();
  expect(steps).toEqual([1]);
  expect(resets()).toBe(0);
});

test('of a line that is too long the end is no record, even if it looks like one; what follows is', async () => {
  const path = newPath();
  writeFileSync(path, 'x'.repeat(2 ** 20) + line(5) + line(6));
  const { follower, steps } = follow(path);
  await follower.advance();
  expect(steps).toEqual([6]);
  expect(follower.damagedLines).toBe(1);
  appendFileSync(path, line(7));
  await follower.advance();
  expect(steps).toEqual([6, 7]);
  expect(follower.damagedLines).toBe(1);
});

test('zeros, as a machine that lost its power leaves them, and then a shorter file in their place', async () => {
  const path = newPath();
  writeFileSync(path, Buffer.alloc(2 ** 20));
  const { follower, steps, resets } = follow(path);
  await follower.advance();
  truncateSync(path);
  writeFileSync(path, line(1));
  await follower.advance();
  expect(steps).toEqual([1]);
  expect(resets()).toBe(1);
  expect(follower.damagedLines).toBe(0);
});

const whyNotListed = existsSync('/proc/self/fd') ? undefined : 'only Linux lists the files that a process has open';

test.skipIf(whyNotListed)(skippable('no file stays open', whyNotListed), async () => {
  const path = newPath();
  writeFileSync(path, line(1));
  const { follower } = follow(path);
  await follower.advance();
  await follower.advance();
  readLastRecords(path);
  const targetOf = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return ''; // That of the listing itself.
    }
  };
  expect(readdirSync('/proc/self/fd').map(targetOf)).not.toContain(path);
});

test('many pieces, with lines and letters across their borders, are read whole', async () => {
  const path = newPath();
  const count = 30_000;
  writeFileSync(path, Array.from({ length: count }, (_, i) => line(i).replace('loss', 'löss')).join(''));
  const { follower, steps } = follow(path);
  await follower.advance();
  expect(steps).toEqual(Array.from({ length: count }, (_, i) => i));
  expect(follower.damagedLines).toBe(0);
});

test('a line longer than any record is passed over, however it arrives', async () => {
  const path = newPath();
  const long = 'x'.repeat(3_000_000);
  writeFileSync(path, line(1) + long);
  const { follower, steps } = follow(path);
  await follower.advance();
  appendFileSync(path, `${long}\n${line(2)}`);
  await follower.advance();
  expect(steps).toEqual([1, 2]);
  expect(follower.damagedLines).toBe(1);
});

test('reading stops when it is asked to, and goes on from there', async () => {
  const path = newPath();
  writeFileSync(path, Array.from({ length: 30_000 }, (_, i) => line(i)).join(''));
  const { follower, steps } = follow(path);
  await follower.advance(AbortSignal.abort());
  expect(steps).toEqual([]);
  await follower.advance();
  expect(steps).toHaveLength(30_000);
  // Between two pieces, whoever wants to stop it has a turn.
  const stop = new AbortController();
  const other = follow(path);
  setImmediate(() => stop.abort());
  await other.follower.advance(stop.signal);
  expect(other.steps.length).toBeLessThan(30_000);
  await other.follower.advance();
  expect(other.steps).toEqual(steps);
});

test('what is no file is refused', async () => {
  const path = newPath();
  mkdirSync(path);
  await expect(follow(path).follower.advance()).rejects.toThrow('it is a folder, not a file');
  await expect(follow(newPath()).follower.advance()).rejects.toThrow('no such file');
});

test('the last records of a file, however long it is', () => {
  const path = newPath();
  writeFileSync(path, line(1) + line(2));
  expect(readLastRecords(path).map(({ step }) => step)).toEqual([1, 2]);
  appendFileSync(path, Array.from({ length: 10_000 }, (_, i) => line(i + 3)).join('') + line(99).slice(0, 9));
  const steps = readLastRecords(path, 1000).map(({ step }) => step);
  expect(steps.at(-1)).toBe(10_002);
  expect(steps[0]).toBe(10_003 - steps.length);
  expect(steps.length).toBeGreaterThan(10);
  expect(steps.length).toBeLessThan(20);
});

test('of the last records, a line that is damaged and one without its end are passed over', () => {
  const path = newPath();
  writeFileSync(path, `${line(1)}{"step":\n${line(2)}${line(3).trimEnd()}`);
  expect(readLastRecords(path).map(({ step }) => step)).toEqual([1, 2]);
  writeFileSync(path, '');
  expect(readLastRecords(path)).toEqual([]);
  const failing = () =>
    watchFs(
      ({ name }) => {
        if (name === 'readSync') throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'read' });
      },
      () => readLastRecords(path),
    );
  expect(told(failing)).toEqual({
    kind: 'AblateError',
    message: `cannot read ${path}: the device failed (EIO)`,
    fix: 'check the disk',
  });
});
