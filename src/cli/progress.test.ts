import { describe, expect, test } from 'vitest';
import type { WriteStream } from 'node:tty';
import { createProgress, type ProgressOptions } from './progress.ts';

/** What a progress writes on a stream, at times set by hand. */
function recorded(options: Partial<ProgressOptions>, stream: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const progress = createProgress({
    unit: 'step',
    total: 100,
    now: () => clock.ms,
    ...options,
    stream: { ...stream, write: (text: string) => written.push(text) } as unknown as WriteStream,
  });
  return { progress, written, clock };
}

test('without a terminal, progress is whole lines, ten seconds apart, and the last state', () => {
  const { progress, written, clock } = recorded({}, { isTTY: false });
  for (let step = 1; step <= 100; step++) {
    clock.ms = step * 300;
    progress.update(step, `loss ${step}`);
  }
  progress.finish();
  expect(written).toEqual([
    'step 34/100  loss 34  0:20 left\n',
    'step 68/100  loss 68  0:10 left\n',
    'step 100/100  loss 100  in 0:30\n',
  ]);
});

test('without a terminal, lines can follow the steps instead of the time', () => {
  const { progress, written } = recorded({ lineEvery: 50 }, { isTTY: false });
  for (let step = 1; step <= 100; step++) progress.update(step, `loss ${step}`);
  progress.finish();
  expect(written.map((line) => line.slice(0, 12))).toEqual(['step 50/100 ', 'step 100/100']);
});

test('an unknown total shows what is done', () => {
  const { progress, written } = recorded(
    { unit: 'bytes', total: 0, lineEvery: 1, format: (value) => `${value} B` },
    { isTTY: false },
  );
  progress.update(7, '');
  expect(written).toEqual(['bytes 7 B\n']);
});

test('on a terminal, the bar stays in one line no wider than the terminal, and is redrawn ten times a second', () => {
  const { progress, written, clock } = recorded({}, { isTTY: true, columns: 60 });
  for (let step = 1; step <= 100; step++) {
    clock.ms = step * 10;
    progress.update(step, 'loss 1.234');
  }
  progress.finish();
  expect(written.at(-1)).toBe('\n');
  expect(written.length).toBeLessThan(15);
  const bars = written.slice(0, -1).map((text) => text.replaceAll(/[\r]?\p{Cc}\[[0-9;]*[a-zA-Z]/gu, ''));
  for (const bar of bars) expect(bar.length).toBeLessThan(60);
  expect(bars.at(-1)).toContain('100%  100/100  loss 1.234');
});

test('a narrow terminal loses the bar before the numbers', () => {
  const { progress, written } = recorded({}, { isTTY: true, columns: 20 });
  progress.update(50, 'loss 1.234');
  expect(written.join('')).toContain('50%  50/100');
  expect(written.join('')).not.toContain('━');
});

test('steps done before a resume do not count for the time left', () => {
  const { progress, written, clock } = recorded({ start: 50 }, { isTTY: false });
  clock.ms = 10_000;
  progress.update(75, '');
  expect(written.join('')).toContain('0:10 left');
});

test.each([true, false])('what is shown cannot steer the terminal (terminal: %s)', (isTTY) => {
  const { progress, written, clock } = recorded({ lineEvery: 1 }, { isTTY, columns: 80 });
  progress.update(1, 'class \u001b[31m\u009b2J\r\n');
  progress.log('file \u001b]0;x\u0007');
  clock.ms = 1000;
  progress.finish();
  const own = /\r\p{Cc}\[2K|\p{Cc}\[(?:32|39|2|22)m|\n$/gu;
  const text = written.map((line) => line.replaceAll(own, '')).join('');
  expect(text).toContain(String.raw`class \u001b[31m\u009b2J\u000d\u000a`);
  expect(text).toContain(String.raw`file \u001b]0;x\u0007`);
  expect(text).not.toMatch(/\p{Cc}/u);
});

test('where the line is too narrow, how far it is and the time left stay', () => {
  const { progress, written, clock } = recorded({ total: 10_000 }, { isTTY: true, columns: 60 });
  clock.ms = 60_000;
  progress.update(4500, 'loss 1.234  6,655 images/s  test 81.60% (average)');
  expect(written.join('')).toBe('\r\u001b[2K  45%  4500/10000  loss 1.234  6,655 images/s  1:13 left');
});

describe('where more is left than what is counted', () => {
  // Each of 100 steps takes 1, and an evaluation after them 50.
  const left = (step: number) => 150 - step;

  test.each([
    [false, 'step 50/100  1:40 left\nstep 100/100  evaluating  0:50 left\n'],
    [true, ' 100%  100/100  evaluating  0:50 left 100%  100/100  evaluating  in 2:30\n'],
    // A terminal is redrawn, lines are written once.
  ])('the time left says so, also when all is counted (terminal: %s)', (isTTY, end) => {
    const { progress, written, clock } = recorded({ left, lineEvery: 50 }, { isTTY, columns: 80 });
    const text = () => written.join('').replaceAll(/\r\p{Cc}\[2K|\p{Cc}\[(?:32|39|2|22)m|[━─]/gu, '');
    clock.ms = 50_000;
    progress.update(50, '');
    expect(text()).toContain('50/100  1:40 left');
    clock.ms = 100_000;
    progress.update(100, 'evaluating');
    clock.ms = 150_000;
    progress.finish();
    expect(text()).toContain(end);
  });

  test('what was done before a resume does not count', () => {
    const { progress, written, clock } = recorded({ left, start: 50 }, { isTTY: false });
    clock.ms = 25_000;
    progress.update(75, '');
    expect(written.join('')).toContain('1:15 left');
  });
});
