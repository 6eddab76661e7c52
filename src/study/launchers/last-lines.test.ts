import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lastLines } from './last-lines.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-last-lines-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function lastOf(text: string): string {
  const path = join(folder, 'output.log');
  writeFileSync(path, text);
  return lastLines(path);
}

test('the last two lines, without the blank ones behind them', () => {
  expect(lastOf('one\ntwo\nthree\n\n')).toBe('two / three');
  expect(lastOf('one')).toBe('one');
  expect(lastOf('\n')).toBe('');
});

test('from the last error on, three lines at most, wherever it is', () => {
  expect(lastOf('error: early\nstep 1\nerror: late\nits fix\n')).toBe('error: late / its fix');
  expect(lastOf('error: first\na\nb\nc\nd\n')).toBe('error: first / a / b');
});

test('no more than 500 characters', () => {
  expect(lastOf(`error: ${'x'.repeat(600)}`)).toBe(`error: ${'x'.repeat(493)}`);
});

test('nothing of a process that has no log', () => {
  expect(lastLines(join(folder, 'missing.log'))).toBe('');
});
