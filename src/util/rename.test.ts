import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { renameFile } from './rename.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-rename-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A system on which the first so many attempts are refused with this code. */
function refusing(platform: NodeJS.Platform, times: number, code = 'EPERM') {
  let attempts = 0;
  const rename = (from: string, to: string) => {
    if (attempts++ < times) throw Object.assign(new Error(`${code}: refused`), { code, syscall: 'rename' });
    renameSync(from, to);
  };
  return { here: { platform, rename }, attempts: () => attempts };
}

test('on Windows, a file that others have open is waited for; elsewhere a refusal is one', () => {
  const [from, to] = [join(folder, 'new'), join(folder, 'old')];
  writeFileSync(from, 'new');
  writeFileSync(to, 'old');
  for (const code of ['EPERM', 'EACCES', 'EBUSY']) {
    const { here } = refusing('linux', 1, code);
    expect(() => renameFile(from, to, here)).toThrow(code);
  }
  expect(() => renameFile(from, to, refusing('win32', 1, 'ENOENT').here)).toThrow('ENOENT');
  const busy = refusing('win32', 2, 'EBUSY');
  renameFile(from, to, busy.here);
  expect(busy.attempts()).toBe(3);
  expect(readFileSync(to, 'utf8')).toBe('new');
});

test('a folder that has something in it is never replaced', () => {
  const [from, to] = [join(folder, 'prepared'), join(folder, '1')];
  for (const path of [from, to]) mkdirSync(path);
  writeFileSync(join(to, 'config.json'), '');
  const always = refusing('win32', Infinity);
  expect(() => renameFile(from, to, always.here)).toThrow(expect.objectContaining({ code: 'ENOTEMPTY' }) as Error);
  expect(always.attempts()).toBe(1);
  expect(() => renameFile(from, to)).toThrow(/ENOTEMPTY|EEXIST/);
  rmSync(join(to, 'config.json'));
  renameFile(from, to);
});
