import { execFileSync, spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { removeTemporaryFiles, syncFolder, temporaryPath, writeFileAtomic, writeFilesAtomic } from './atomic-file.ts';
import { told } from '../../test/told.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { AblateError } from './errors.ts';
import { skippable } from '../../test/skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-atomic-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('writes and replaces a file, and leaves nothing else', () => {
  const path = join(folder, 'a', 'file');
  mkdirSync(join(folder, 'a'));
  writeFileAtomic(path, 'one');
  writeFileAtomic(path, new TextEncoder().encode('two'), { durable: false });
  expect(readFileSync(path, 'utf8')).toBe('two');
  expect(readdirSync(join(folder, 'a'))).toEqual(['file']);
});

test('a file is written and flushed before it gets its name, and its folder is flushed after', () => {
  const path = join(folder, 'file');
  const order = (durable?: boolean) =>
    callsOf(() => writeFileAtomic(path, 'x', durable === undefined ? {} : { durable }))
      // It first looks at what is there, which changes nothing.
      .filter(({ name }) => name !== 'statSync' && name !== 'realpathSync')
      .map(({ name, path: of }) => `${name} ${of === folder ? 'folder' : of === path ? 'file' : 'temporary'}`);
  const written = ['openSync temporary', 'writeFileSync temporary'];
  const named = ['closeSync temporary', 'renameSync temporary'];
  const flushed = [...written, 'fsyncSync temporary', ...named, 'openSync folder', 'fsyncSync folder', 'closeSync folder'];
  expect(order()).toEqual(flushed);
  expect(order(true)).toEqual(flushed);
  expect(order(false)).toEqual([...written, ...named]);
  expect(readFileSync(path, 'utf8')).toBe('x');
  rmSync(path);
});

test('a folder that cannot be flushed, as on some network file systems, is no failure; another error is', () => {
  const failing = (code: string) => () =>
    watchFs(
      ({ name }) => {
        if (name === 'fsyncSync') throw Object.assign(new Error(code), { code, syscall: 'fsync' });
      },
      () => {
        syncFolder(folder);
      },
    );
  expect(failing('EINVAL')).not.toThrow();
  expect(failing('EIO')).toThrow('EIO');
});

test('a failure names the path, the reason and a fix, and removes the temporary file', () => {
  expect(() => writeFileAtomic(join(folder, 'missing', 'file'), 'x')).toThrow(AblateError);
  expect(() => writeFileAtomic(join(folder, 'missing', 'file'), 'x')).toThrow(
    /cannot write .*missing\/file: no such file .*ENOENT/,
  );
  writeFileSync(join(folder, 'plain'), '');
  expect(() => writeFileAtomic(join(folder, 'plain', 'file'), 'x')).toThrow(
    /a part of the path is a file, not a folder \(ENOTDIR\)/,
  );
  mkdirSync(join(folder, 'b', 'file', 'full'), { recursive: true });
  expect(() => writeFileAtomic(join(folder, 'b', 'file'), 'x')).toThrow(/cannot write .*b\/file: it is a folder, not a file/);
  expect(readdirSync(join(folder, 'b'))).toEqual(['file']);
});

test('of files that belong together, all are written before the first is replaced', () => {
  const together = join(folder, 'together');
  mkdirSync(together);
  const paths = ['first', 'second'].map((name) => join(together, name));
  const written = (text: string) => () => {
    writeFilesAtomic(new Map(paths.map((path) => [path, text])), { durable: false });
  };
  written('old')();
  const contents = () => [readdirSync(together).sort(), ...paths.map((path) => readFileSync(path, 'utf8'))];
  let writes = 0;
  const full = told(() => {
    watchFs(({ name }) => {
      if (name !== 'writeFileSync') return;
      writes++;
      if (writes === 2) throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
    }, written('new'));
  });
  expect(full).toEqual({
    kind: 'AblateError',
    message: `cannot write ${paths[1]!}: no space left on the device (ENOSPC)`,
    fix: expect.stringContaining('free some space') as string,
  });
  expect(contents()).toEqual([['first', 'second'], 'old', 'old']);
  written('new')();
  expect(contents()).toEqual([['first', 'second'], 'new', 'new']);
  mkdirSync(join(together, 'third'));
  paths.push(join(together, 'third'));
  expect(written('newer')).toThrow('third: it is a folder, not a file');
  expect(readdirSync(together).sort()).toEqual(['first', 'second', 'third']);
  expect(readFileSync(paths[0]!, 'utf8')).toBe('new');
});

test('a pipe or a device is never replaced, and a link leads to what is written', () => {
  const inFolder = (name: string) => join(folder, 'special', name);
  mkdirSync(join(folder, 'special'));
  execFileSync('mkfifo', [inFolder('pipe')]);
  expect(() => writeFileAtomic(inFolder('pipe'), 'x')).toThrow(/cannot write .*pipe: it is a pipe, not a file/);
  symlinkSync('/dev/full', inFolder('device'));
  for (const path of ['/dev/full', inFolder('device')]) {
    expect(() => writeFileAtomic(path, 'x')).toThrow(`cannot write ${path}: it is a device, not a file`);
  }
  expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
  writeFileSync(inFolder('file'), 'old');
  symlinkSync('file', inFolder('link'));
  writeFileAtomic(inFolder('link'), 'new');
  expect(readFileSync(inFolder('file'), 'utf8')).toBe('new');
  expect(lstatSync(inFolder('link')).isSymbolicLink()).toBe(true);
  expect(readdirSync(join(folder, 'special')).sort()).toEqual(['device', 'file', 'link', 'pipe']);
});

test('removes temporary files, and only those', () => {
  const path = join(folder, 'c', 'file');
  mkdirSync(join(folder, 'c'));
  writeFileAtomic(path, 'kept');
  writeFileSync(temporaryPath(path), 'half');
  writeFileSync(join(folder, 'c', '.hidden'), '');
  removeTemporaryFiles(join(folder, 'c'));
  expect(readdirSync(join(folder, 'c')).sort()).toEqual(['.hidden', 'file']);
});

// A tiny file system of its own, in a mount namespace that ends with the command: also root cannot write more than it holds.
const mount = (options: string) => `mount -t tmpfs -o ${options} tmpfs "$0"`;
const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', mount('size=64k'), folder]).status === 0;

const whyNoMount = canMount ? undefined : 'unshare and mount are not allowed';

describe.skipIf(whyNoMount)(skippable('on a file system of its own', whyNoMount), () => {
  function inMount(options: string, script: string): { readonly message: string; readonly names: readonly string[] } {
    const source = `
      import { writeFileAtomic } from ${JSON.stringify(join(import.meta.dirname, 'atomic-file.ts'))};
      import { readdirSync, readFileSync } from 'node:fs';
      const folder = ${JSON.stringify(folder)};
      let message = '';
      try { ${script} } catch (error) { message = error.message + ' | ' + error.fix; }
      console.log(JSON.stringify({ message, names: readdirSync(folder) }));`;
    const file = join(mkdtempSync(join(tmpdir(), 'ablate-script-')), 'script.mts');
    writeFileSync(file, source);
    const shell = `${mount(options)} && exec "${process.execPath}" --import tsx "${file}"`;
    const output = execFileSync('unshare', ['-rm', 'sh', '-c', shell, folder], { encoding: 'utf8' });
    return JSON.parse(output) as { message: string; names: string[] };
  }

  test('a full disk: the old file stays, the error has a fix', () => {
    const { message, names } = inMount(
      'size=64k',
      `writeFileAtomic(folder + '/old', 'old'); try { writeFileAtomic(folder + '/old', new Uint8Array(1e6)); } finally {
         if (readFileSync(folder + '/old', 'utf8') !== 'old') throw new Error('the old file is damaged'); }`,
    );
    expect(message).toMatch(/cannot write .*\/old: no space left on the device \(ENOSPC\) \| free some space/);
    expect(names).toEqual(['old']);
  });

  test('a read-only file system', () => {
    const { message } = inMount('ro', `writeFileAtomic(folder + '/file', 'x');`);
    expect(message).toMatch(/the file system is read-only \(EROFS\) \| choose a folder/);
  });
});
