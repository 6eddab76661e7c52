import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { processState, thisProcess } from './process-identity.ts';
import { skippable } from '../../test/skippable.ts';

test('this process is alive', () => {
  expect(thisProcess().pid).toBe(process.pid);
  expect(processState(thisProcess())).toBe('alive');
});

test('a process that ended is dead, also before its parent has asked for its exit code', async () => {
  const { host } = thisProcess();
  expect(processState({ pid: spawnSync('true').pid, host })).toBe('dead');
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const identity = { pid: child.pid!, host };
  expect(processState(identity)).toBe('alive');
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect(processState(identity)).toBe('dead');
});

const whyNotLinux = process.platform === 'linux' ? undefined : 'only Linux says when a process started';

test.skipIf(whyNotLinux)(skippable('a later process of the same number is another process', whyNotLinux), () => {
  expect(processState({ ...thisProcess(), startTicks: '1' })).toBe('dead');
});

test('nothing is known of another host', () => {
  expect(processState({ pid: process.pid, host: 'elsewhere.example' })).toBe('unknown');
});
