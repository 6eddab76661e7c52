import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { compiledFolder } from '../../test/compile-sources.ts';
import { told } from '../../test/told.ts';
import { watchFs, type FsCall } from '../../test/watched-fs.ts';
import { AblateError } from '../util/errors.ts';
import { thisProcess, type ProcessIdentity } from '../util/process-identity.ts';
import { describeEnvironment } from './environment.ts';
import { checkpointsFolder, createRun, type Run } from './run-folder.ts';
import { breakLock, lockFolder, lockRun, runHolder, type RunLock } from './run-lock.ts';
import { skippable } from '../../test/skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-held-'));
afterAll(() => rmSync(folder, { recursive: true }));
const environment = describeEnvironment({ threads: 2 });
const newRun = () => createRun(folder, 'tuto', { steps: 1 }, environment);
const states = (run: Run) => readdirSync(join(run.path, 'lock'));

/** A state as another process leaves it behind. */
function leave(run: Run, state: string): void {
  rmSync(join(run.path, 'lock'), { recursive: true, force: true });
  mkdirSync(join(run.path, 'lock'));
  writeFileSync(join(run.path, 'lock', state), '');
}

/** The state of a process that has ended. */
function ofDeadProcess(): string {
  return `held.${spawnSync('true').pid}..a.${hostname()}`;
}

const inUse = `is in use by process ${process.pid} on ${hostname()}`;

/** Undefined if it is in use. */
function tryLock(run: Run): RunLock | undefined {
  try {
    return lockRun(run);
  } catch (error) {
    if (error instanceof AblateError && error.message.includes(inUse)) return undefined;
    throw error;
  }
}

test('a run is held by one at a time, and free after its release', () => {
  const run = newRun();
  expect(runHolder(run)).toBeUndefined();
  const lock = lockRun(run);
  expect(() => lockRun(run)).toThrow(AblateError);
  expect(() => lockRun(run)).toThrow(`tuto/1 ${inUse}`);
  try {
    lockRun(run);
  } catch (error) {
    expect((error as AblateError).fix).toBe(`wait until it ends, or stop it: kill -INT ${process.pid}`);
  }
  expect(runHolder(run)).toEqual(thisProcess());
  lock.release();
  expect(states(run)).toEqual(['free']);
  expect(readFileSync(join(run.path, 'lock', 'free'), 'utf8')).toBe('');
  expect(runHolder(run)).toBeUndefined();
  lock.release();
  expect(states(run)).toEqual(['free']);
  lockRun(run).release();
});

test('a release takes away its own lock only', () => {
  const run = newRun();
  const first = lockRun(run);
  first.release();
  const second = lockRun(run);
  first.release();
  expect(() => lockRun(run)).toThrow(inUse);
  second.release();
  // Also where the lock was broken meanwhile, and another process has the run.
  const third = lockRun(run);
  leave(run, `held.7..a.elsewhere.example`);
  third.release();
  expect(states(run)).toEqual(['held.7..a.elsewhere.example']);
  rmSync(run.path, { recursive: true });
  third.release();
});

test('the lock of a process that is gone is taken over, and what it left half written is removed', () => {
  const run = newRun();
  leave(run, ofDeadProcess());
  expect(runHolder(run)).toBeUndefined();
  writeFileSync(join(checkpointsFolder(run), '.step-000000010.safetensors.1-a.tmp'), 'half');
  const lock = lockRun(run);
  expect(() => lockRun(run)).toThrow('is in use');
  expect(readdirSync(checkpointsFolder(run))).toEqual([]);
  lock.release();
  expect(states(run)).toEqual(['free']);
});

const whyNotLinux = process.platform === 'linux' ? undefined : 'only Linux says when a process started';

test.skipIf(whyNotLinux)(
  skippable('a later process of the same number does not hold what the earlier one held', whyNotLinux),
  () => {
    const run = newRun();
    leave(run, `held.${process.pid}.1.a.${hostname()}`);
    expect(runHolder(run)).toBeUndefined();
    lockRun(run);
    expect(runHolder(run)).toEqual(thisProcess());
  },
);

test('the lock of another host is left to the user', () => {
  const run = newRun();
  leave(run, 'held.12.345.a.elsewhere.example');
  expect(runHolder(run)).toEqual({ pid: 12, startTicks: '345', host: 'elsewhere.example' });
  expect(() => lockRun(run)).toThrow('is in use by process 12 on elsewhere.example');
  try {
    lockRun(run);
  } catch (error) {
    expect((error as AblateError).fix).toBe(`rm -r ${join(run.path, 'lock')}    (if that process is gone)`);
  }
});

test('a holder that does not say when it started is found as it was recorded', () => {
  const run = newRun();
  leave(run, 'held.12..1x.elsewhere.example');
  expect(runHolder(run)).toStrictEqual({ pid: 12, host: 'elsewhere.example' });
});

test('a lock that cannot be changed is a failure: neither held, nor given back in silence', () => {
  const run = newRun();
  const lock = lockRun(run);
  const failing = (work: () => unknown) =>
    told(() =>
      watchFs(({ name }) => {
        if (name === 'renameSync') throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'rename' });
      }, work),
    );
  const failure = {
    kind: 'AblateError',
    message: `cannot change ${join(run.path, 'lock')}: the device failed (EIO)`,
    fix: 'check the disk',
  };
  expect(failing(() => lock.release())).toEqual(failure);
  lock.release();
  expect(failing(() => lockRun(run))).toEqual(failure);
  expect(states(run)).toEqual(['free']);
});

test('a lock that another process makes at the same moment is looked at anew, however the system says so', () => {
  for (const code of ['ENOTEMPTY', 'EEXIST']) {
    const run = newRun();
    let refusals = 0;
    const lock = watchFs(
      ({ name }) => {
        if (name !== 'renameSync' || refusals++ > 0) return;
        leave(run, 'free');
        throw Object.assign(new Error(code), { code, syscall: 'rename' });
      },
      () => lockRun(run),
    );
    expect(runHolder(run)).toEqual(thisProcess());
    lock.release();
    expect(readdirSync(run.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }
});

test('a look during a change, which finds both names or none, is repeated', () => {
  for (const seen of [['free', 'held.7..a.elsewhere.example'], []]) {
    const run = newRun();
    leave(run, 'held.7..a.elsewhere.example');
    let looks = 0;
    const holder = watchFs(
      ({ name }) => {
        if (name !== 'readdirSync') return;
        const folderOfLock = join(run.path, 'lock');
        for (const state of states(run)) rmSync(join(folderOfLock, state));
        for (const state of looks++ < 3 ? seen : ['held.7..a.elsewhere.example']) writeFileSync(join(folderOfLock, state), '');
      },
      () => runHolder(run),
    );
    expect(holder).toEqual({ pid: 7, host: 'elsewhere.example' });
    expect(looks).toBe(4);
  }
});

test('a lock is broken only if it is of the process that is known to be gone', () => {
  const run = newRun();
  const gone: ProcessIdentity = { pid: 12, startTicks: '345', host: 'elsewhere.example' };
  breakLock(run, gone);
  leave(run, 'held.12.345.a.elsewhere.example');
  for (const other of [{ pid: 13 }, { startTicks: '346' }, { host: 'elsewhere' }]) {
    breakLock(run, { ...gone, ...other });
    expect(states(run)).toEqual(['held.12.345.a.elsewhere.example']);
  }
  breakLock(run, gone);
  expect(states(run)).toEqual(['free']);
  breakLock(run, gone);
  expect(states(run)).toEqual(['free']);
});

test('what cannot be a lock is named, with what to do', () => {
  const run = newRun();
  const path = join(run.path, 'lock');
  const odd = [
    ['notes.txt'],
    ['free', 'held.12..a.elsewhere.example'],
    ['held.x..a.host'],
    ['held.1.y.a.host'],
    ['held.1...host'],
    ['held.1..a.'],
    ['was-held.1..a.host'],
  ];
  for (const names of odd) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
    for (const name of names) writeFileSync(join(path, name), '');
    expect(() => lockRun(run)).toThrow(
      `tuto/${run.number} is locked, and what its lock says cannot be read: ${path} has ${names.join(', ')}`,
    );
    try {
      lockRun(run);
    } catch (error) {
      expect((error as AblateError).fix).toBe(`rm -r ${path}    (if no process uses it)`);
    }
    expect(() => runHolder(run)).toThrow('cannot be read');
  }
  rmSync(path, { recursive: true });
  mkdirSync(path);
  expect(runHolder(run)).toBeUndefined();
  lockRun(run).release();
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
  expect(() => lockRun(run)).toThrow(/cannot read .*lock: a part of the path is a file/);
});

test('a run that is gone is named, and so is any other folder', () => {
  expect(() => lockRun({ path: join(folder, 'tuto', '999'), model: 'tuto', number: 999 })).toThrow(
    /cannot create .*tuto\/999\/lock: no such/,
  );
  const lock = lockFolder(folder, 'the study');
  expect(() => lockFolder(folder, 'the study')).toThrow(`the study ${inUse}`);
  lock.release();
  // Nothing half made is left.
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('a run whose checkpoints cannot be cleaned up is not held', () => {
  const run = newRun();
  rmSync(checkpointsFolder(run), { recursive: true });
  expect(() => lockRun(run)).toThrow(/cannot clean up .*checkpoints/);
  expect(states(run)).toEqual(['free']);
});

/** What others can do to a run while a process is on its way to its lock. All leave the run to one living process, or to nobody. */
const meanwhile: Readonly<Record<string, (run: Run) => RunLock | undefined>> = {
  'another takes it': (run) => tryLock(run),
  'another takes it and gives it back': (run) => {
    tryLock(run)?.release();
    return undefined;
  },
  'another takes it and gives it back, and a third takes it': (run) => {
    tryLock(run)?.release();
    return tryLock(run);
  },
  'another takes it and dies': (run) => {
    const lock = tryLock(run);
    if (lock !== undefined) renameSync(join(run.path, 'lock', states(run)[0]!), join(run.path, 'lock', ofDeadProcess()));
    return undefined;
  },
  'another takes it and dies, and a third takes it': (run) => {
    if (tryLock(run) === undefined) return undefined;
    renameSync(join(run.path, 'lock', states(run)[0]!), join(run.path, 'lock', ofDeadProcess()));
    return tryLock(run);
  },
};

const beginnings: Readonly<Record<string, (run: Run) => void>> = {
  'never held': () => undefined,
  free: (run) => leave(run, 'free'),
  'left by a dead process': (run) => leave(run, ofDeadProcess()),
};

const ofLock = ({ path }: FsCall) => /lock|proc/.test(path);

describe.each(Object.keys(beginnings))('a process that is delayed before any of its calls, and a run that is %s', (beginning) => {
  test.each(Object.keys(meanwhile))('%s: never two hold it', (event) => {
    let moments = 0;
    for (let moment = 0; moment <= moments; moment++) {
      const run = newRun();
      beginnings[beginning]!(run);
      let call = 0;
      const others: (RunLock | undefined)[] = [];
      const mine = watchFs(
        (seen) => {
          if (!ofLock(seen) || call++ !== moment) return;
          others.push(meanwhile[event]!(run));
        },
        () => tryLock(run),
      );
      if (others.length === 0) break;
      moments = Math.max(moments, moment + 1);
      const holders = [mine, ...others].filter((lock) => lock !== undefined);
      expect(holders, `before call ${moment}`).toHaveLength(1);
      expect(tryLock(run)).toBeUndefined();
      holders[0]!.release();
      expect(states(run)).toEqual(['free']);
    }
    // A look and a change at least, else the test has shown nothing.
    expect(moments).toBeGreaterThanOrEqual(2);
  });
});

test('real processes that are stopped before any of their calls never hold the run beside another', async () => {
  const script = join(folder, 'stopped.mjs');
  // Each line that it reads is a path and the number of the call before which it stops itself.
  writeFileSync(
    script,
    `import fs from 'node:fs';
     import { syncBuiltinESMExports } from 'node:module';
     let left = -1;
     for (const [name, call] of Object.entries(fs)) {
       if (typeof call !== 'function' || !name.endsWith('Sync')) continue;
       fs[name] = (...args) => {
         if (/lock|proc/.test(String(args[0])) && left-- === 0) process.kill(process.pid, 'SIGSTOP');
         return call(...args);
       };
     }
     syncBuiltinESMExports();
     const { lockRun } = await import('${compiledFolder}/runs/run-lock.js');
     const { createInterface } = await import('node:readline');
     for await (const line of createInterface({ input: process.stdin })) {
       const { path, moment } = JSON.parse(line);
       left = moment;
       let answer = 'held';
       try {
         lockRun({ path, model: 'tuto', number: 1 });
       } catch (error) {
         answer = error.message;
       }
       console.log(answer + (left >= 0 ? ', not stopped' : ''));
     }`,
  );
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const isStopped = () => /^\S+ \(.*\) T/.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));
  let moments = 0;
  for (const beginning of Object.values(beginnings)) {
    for (let moment = 0; ; moment++) {
      const run = newRun();
      beginning(run);
      child.stdin.write(`${JSON.stringify({ path: run.path, moment })}\n`);
      const answer = answers.next();
      const ended = await Promise.race([answer, untilTrue(isStopped)]);
      if (ended !== undefined) {
        expect(ended.value).toBe('held, not stopped');
        break;
      }
      moments++;
      lockRun(run).release();
      const lock = lockRun(run);
      child.kill('SIGCONT');
      expect((await answer).value, `before call ${moment}`).toContain(inUse);
      lock.release();
    }
  }
  child.stdin.end();
  expect(moments).toBeGreaterThanOrEqual(9);
}, 60_000);

async function untilTrue(condition: () => boolean): Promise<undefined> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
  return undefined;
}

test('of processes that find the same stale lock, never two hold the run at once', async () => {
  const run = newRun();
  const log = join(folder, 'log');
  // Each second round leaves a stale lock behind: the holder gives its lock to a process that has ended, as if it had died.
  const script = join(folder, 'contend.mjs');
  writeFileSync(
    script,
    `import { lockRun } from '${compiledFolder}/runs/run-lock.js';
     import { appendFileSync, readdirSync, renameSync } from 'node:fs';
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
       if (won % 2) lock.release();
       else renameSync(run.path + '/lock/' + readdirSync(run.path + '/lock')[0], run.path + '/lock/${ofDeadProcess()}');
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
