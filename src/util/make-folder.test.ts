import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeFolder } from './make-folder.ts';
import { skippable } from '../../test/skippable.ts';
import { watchFs } from '../../test/watched-fs.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-make-folder-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('folders that are missing are made, those that are there stay', () => {
  makeFolder(join(folder, 'a/b/c'));
  writeFileSync(join(folder, 'a/b/kept'), '');
  makeFolder(join(folder, 'a/b/d'));
  makeFolder(join(folder, 'a/b'));
  expect(['a/b/c', 'a/b/d', 'a/b/kept'].map((path) => existsSync(join(folder, path)))).toEqual([true, true, true]);
});

test('a link to a folder is as good as one', () => {
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  makeFolder(join(folder, 'link'));
  makeFolder(join(folder, 'link/below'));
  expect(existsSync(join(folder, 'real/below'))).toBe(true);
});

test('another process may make any of the folders at the same moment', () => {
  // Asked for: race/0/a/b, race/0/a, race/0, then race/0/a and race/0/a/b again.
  for (const moment of [0, 1, 2, 3, 4]) {
    const path = join(folder, 'race', String(moment), 'a/b');
    mkdirSync(join(folder, 'race'), { recursive: true });
    const asked: string[] = [];
    watchFs(
      ({ name, path: wanted }) => {
        if (name === 'mkdirSync' && asked.push(wanted) === moment + 1) mkdirSync(wanted, { recursive: true });
      },
      () => makeFolder(path),
    );
    expect(asked.length).toBeGreaterThan(moment);
    expect(existsSync(path)).toBe(true);
  }
});

test('what stands in the way is named by its code', () => {
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('circle', join(folder, 'circle'));
  symlinkSync('nowhere', join(folder, 'dangling'));
  expect(() => makeFolder(join(folder, 'file'))).toThrow('EEXIST');
  expect(() => makeFolder(join(folder, 'file/below'))).toThrow('ENOTDIR');
  expect(() => makeFolder(join(folder, 'circle/below'))).toThrow('ELOOP');
  expect(() => makeFolder(join(folder, 'dangling/below'))).toThrow('EEXIST');
});

test('a drive that is missing is said to be', () => {
  const asked: string[] = [];
  const missing = () =>
    watchFs(
      ({ name, path }) => {
        if (name !== 'mkdirSync') return;
        if (asked.push(path) > 3) throw new Error('asked without end');
        throw Object.assign(new Error('no such drive'), { code: 'ENOENT', syscall: 'mkdir' });
      },
      () => makeFolder('/runs/a'),
    );
  expect(missing).toThrow('cannot create /runs/a: ');
  expect(asked).toEqual(['/runs/a', '/runs', '/']);
});

const whyNotLinux = process.platform === 'linux' ? undefined : 'needs /proc of Linux';

test.skipIf(whyNotLinux)(skippable('a file system that takes no folders answers', whyNotLinux), () => {
  expect(() => makeFolder('/proc/ablate/runs')).toThrow('ENOENT');
});
