/** What can be where a file is expected. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** As root, device nodes can be made: none of the machine's own is ever put at risk. */
const kinds = {
  'a FIFO': (path: string) => execFileSync('mkfifo', [path]),
  'a device of zeros': (path: string) => device(path, 5),
  'a device of random bytes': (path: string) => device(path, 9),
  'a full device': (path: string) => device(path, 7),
  'a sparse file of 8 GB': (path: string) => {
    const descriptor = openSync(path, 'w');
    ftruncateSync(descriptor, 8e9);
    closeSync(descriptor);
  },
  'a folder': (path: string) => mkdirSync(path),
  'a link to itself': (path: string) => symlinkSync(path, path),
  'a link to nowhere': (path: string) => symlinkSync(`${path}-missing`, path),
  'a link to the folder above': (path: string) => symlinkSync('..', path),
  'a link to its own memory': (path: string) => symlinkSync('/proc/self/mem', path),
  'a link to what is no folder': (path: string) => symlinkSync('/proc/self/status/x', path),
  'an empty file': (path: string) => writeFileSync(path, ''),
};

export type SpecialKind = keyof typeof kinds;
export const specialKinds = Object.keys(kinds) as SpecialKind[];

/** Puts it at `path` in place of what is there. */
export function makeSpecial(kind: SpecialKind, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { recursive: true, force: true });
  kinds[kind](path);
}

/** Device `minor` of the kernel's memory devices (mem(4)); a link to it for those who may not make one. */
function device(path: string, minor: 5 | 7 | 9): void {
  try {
    execFileSync('mknod', [path, 'c', '1', String(minor)], { stdio: 'ignore' });
  } catch {
    symlinkSync({ 5: '/dev/zero', 7: '/dev/full', 9: '/dev/urandom' }[minor], path);
  }
}

/** In a folder of its own. */
export function specialIn(folder: string, kind: SpecialKind, name: string): string {
  makeSpecial(kind, join(folder, name));
  return name;
}
