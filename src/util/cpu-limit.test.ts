import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { cpuLimit } from './cpu-limit.ts';

/** A folder with the given files, to stand for `/`. */
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'ablate-cpu-limit-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('the smallest quota of a group and those above it holds', () => {
  const root = rootWith({
    'proc/self/cgroup': '0::/user.slice/job\n',
    'sys/fs/cgroup/user.slice/job/cpu.max': '400000 100000\n',
    'sys/fs/cgroup/user.slice/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/cpu.max': 'max 100000\n',
  });
  expect(cpuLimit(root)).toBe(1.5);
});

test('version 1 has its own files', () => {
  const files = {
    'proc/self/cgroup': '3:memory:/m\n2:cpu,cpuacct:/docker/1\n0::/\n',
    'sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us': '200000\n',
    'sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  };
  expect(cpuLimit(rootWith(files))).toBe(2);
});

test('there is no limit without a quota, and none without control groups', () => {
  expect(cpuLimit(rootWith({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n' }))).toBeUndefined();
  expect(cpuLimit(rootWith({}))).toBeUndefined();
});
