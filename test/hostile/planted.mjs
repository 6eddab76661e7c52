/*
 * A command that goes wrong as its first argument says, so that tests see the watchers notice it. As `program.ts` it exports `run`; as
 * a script it runs itself.
 */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setInterval, setTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const held = [];

const faults = {
  none: () => 0,
  refuses: () => {
    process.stderr.write('error: no\n');
    return 1;
  },
  'says nothing': () => 1,
  'prints a trace': () => {
    process.stderr.write(`${new Error('planted').stack}\n`);
    return 1;
  },
  'throws later': () => {
    setTimeout(() => {
      throw new Error('planted');
    }, 10);
    return new Promise(() => {});
  },
  'exits with 3': () => 3,
  'segmentation fault': () => {
    process.kill(process.pid, 'SIGSEGV');
    return new Promise(() => {});
  },
  'waits for ever': () => {
    setInterval(() => {}, 1000);
    return new Promise(() => {});
  },
  'computes for ever': () => {
    for (;;);
  },
  'takes memory': () => {
    for (;;) held.push(Buffer.alloc(10e6, 1));
  },
  'has a child take memory': () => {
    spawn(process.execPath, [self, 'takes memory'], { stdio: 'ignore' });
    return new Promise(() => {});
  },
  'changes its input': () => {
    writeFileSync('input', 'changed');
    return 0;
  },
  'removes its input': () => {
    rmSync('input');
    return 0;
  },
  'leaves a file': () => {
    writeFileSync(join(tmpdir(), 'left'), '');
    return 0;
  },
  'colours a name': () => {
    process.stdout.write('\u001b[31mname\n');
    return 0;
  },
};

export async function run([fault]) {
  return await faults[fault]();
}

if (process.argv[1] === self) process.exitCode = await run(process.argv.slice(2));
