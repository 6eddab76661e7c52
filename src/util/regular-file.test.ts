import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DataError } from './errors.ts';
import { openRegularFile, readRegularFile, readStart } from './regular-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-regular-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('a file is read whole, an empty one too, and one behind a link', () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'abc');
  expect(readRegularFile(path).toString()).toBe('abc');
  expect(readRegularFile(path, 3).toString()).toBe('abc');
  symlinkSync(path, join(folder, 'link'));
  expect(readRegularFile(join(folder, 'link')).toString()).toBe('abc');
  writeFileSync(path, '');
  expect(readRegularFile(path, 0)).toHaveLength(0);
});

test('a part of a file', () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'abcdef');
  const { descriptor, sizeBytes } = openRegularFile(path);
  expect(sizeBytes).toBe(6);
  expect(readStart(descriptor, 4).toString()).toBe('abcd');
  expect(readStart(descriptor, 10).toString()).toBe('abcdef');
  closeSync(descriptor);
});

test('a larger file is refused before it is read', () => {
  const path = join(folder, 'sparse');
  writeFileSync(path, '');
  truncateSync(path, 8_000_000_000);
  expect(() => readRegularFile(path)).toThrow(`cannot read ${path}: it has 8.0 GB, and at most 2.1 GB are read`);
  truncateSync(path, 4);
  expect(() => readRegularFile(path, 3)).toThrow(DataError);
});

test('pipes, devices, sockets and folders are refused without waiting', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const socket = join(folder, 'socket');
  const server = createServer().listen(socket);
  await once(server, 'listening');
  for (const [path, kind] of [
    [pipe, 'a pipe'],
    [socket, 'a socket'],
    ['/dev/zero', 'a device'],
    [folder, 'a folder'],
  ] as const) {
    expect(() => readRegularFile(path)).toThrow(`cannot read ${path}: it is ${kind}, not a file`);
  }
  server.close();
});

test('what is not there, or may not be read, is told as the system tells it', () => {
  const path = join(folder, 'gone');
  expect(() => readRegularFile(path)).toThrow(`cannot read ${path}: no such file or folder (ENOENT)`);
});
