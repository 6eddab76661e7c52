import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { compileForChildren } from '../../test/compile-for-children.ts';
import { AblateError } from '../util/errors.ts';
import { describeEnvironment } from './environment.ts';
import { checkpointsFolder, createRun, type Run } from './run-folder.ts';
import { lockRun } from './run-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-lock-'));
afterAll(() => rmSync(folder, { recursive: true }));
const environment = describeEnvironment({ threads: 2 });
const newRun = () => createRun(folder, 'tuto', { steps: 1 }, environment);
const locks = (run: Run) => readdirSync(run.path).filter((name) => name.includes('lock'));

/** The identity of a process that has ended. */
function deadProcess(): { pid: number; host: string } {
  return { pid: spawnSync('true').pid, host: hostname() };
}

test('a run is held by one at a time, and free after its release', () => {
  const run = newRun();
  const lock = lockRun(run);
  expect(() => lockRun(run)).toThrow(AblateError);
  expect(() => lockRun(run)).toThrow(`tuto/1 is in use by process ${process.pid} on ${hostname()}`);
  lock.release();
  lock.release();
  expect(locks(run)).toEqual([]);
  lockRun(run).release();
});

test('a second release does not take the lock of the next holder', () => {
  const run = newRun();
  const first = lockRun(run);
  first.release();
  const second = lockRun(run);
  first.release();
  expect(() => lockRun(run)).toThrow('is in use');
  second.release();
});

test('the lock of a process that is gone is taken over, and what it left half written is removed', () => {
  const run = newRun();
  writeFileSync(join(run.path, 'lock-4'), JSON.stringify(deadProcess()));
  writeFileSync(join(checkpointsFolder(run), '.step-000000010.safetensors.1-a.tmp'), 'half');
  const lock = lockRun(run);
  expect(() => lockRun(run)).toThrow('is in use');
  expect(readdirSync(checkpointsFolder(run))).toEqual([]);
  lock.release();
  expect(locks(run)).toEqual([]);
});

test('the lock of another host, or one that cannot be read, is left to the user', () => {
  const run = newRun();
  writeFileSync(join(run.path, 'lock-1'), JSON.stringify({ pid: 1, host: 'elsewhere.example' }));
  expect(() => lockRun(run)).toThrow('is in use by process 1 on elsewhere.example');
  writeFileSync(join(run.path, 'lock-1'), '');
  expect(() => lockRun(run)).toThrow(/is locked, and its lock .*lock-1 cannot be read/);
});

test('a run that is gone is named', () => {
  expect(() => lockRun({ path: join(folder, 'tuto', '999'), model: 'tuto', number: 999 })).toThrow(
    /cannot read .*tuto\/999: no such/,
  );
});

test('of processes that find the same stale lock, never two hold the run at once', async () => {
  const run = newRun();
  const log = join(folder, 'log');
  // Each round leaves a stale lock behind: the holder forges its lock's process into one that has ended, as if it had died.
  compileForChildren(join(folder, 'compiled'));
  const script = join(folder, 'contend.mjs');
  writeFileSync(
    script,
    `import { lockRun } from './compiled/runs/run-lock.js';
     import { appendFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
     const run = ${JSON.stringify(run)};
     for (let won = 0; won < 20; ) {
       let lock;
       try {
         lock = lockRun(run);
       } catch (error) {
         if (!error.message.includes('is in use')) throw error;
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
         continue;
       }
       appendFileSync(${JSON.stringify(log)}, 'in ' + process.pid + '\\n');
       won++;
       appendFileSync(${JSON.stringify(log)}, 'out ' + process.pid + '\\n');
       const own = readdirSync(run.path).filter((name) => /^lock-\\d+$/.test(name)).sort((a, b) => a.slice(5) - b.slice(5)).at(-1);
       if (won % 2) lock.release();
       else {
         writeFileSync(run.path + '/forged-' + process.pid, ${JSON.stringify(JSON.stringify(deadProcess()))});
         renameSync(run.path + '/forged-' + process.pid, run.path + '/' + own);
       }
     }`,
  );
  const contender = () => promisify(execFile)(process.execPath, [script]);
  await Promise.all([contender(), contender(), contender()]);
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  expect(lines).toHaveLength(120);
  for (let i = 0; i < lines.length; i += 2) {
    expect([lines[i]!.slice(0, 3), lines[i + 1]]).toEqual(['in ', lines[i]!.replace('in', 'out')]);
  }
}, 300_000);
