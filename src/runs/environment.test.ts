import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeEnvironment, gitState } from './environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-environment-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('describes this machine and process, and survives JSON', () => {
  const environment = describeEnvironment({ threads: 3, libraries: { onednn: '2.6.3' } });
  expect(environment).toMatchObject({ threads: 3, memoryBytes: totalmem(), commandLine: process.argv });
  expect(environment.versions).toMatchObject({ onednn: '2.6.3', node: process.versions.node });
  expect(environment.versions.ablate).toMatch(/^\d+\.\d+\.\d+/);
  expect(environment.operatingSystem).not.toBe('');
  expect(JSON.parse(JSON.stringify(environment))).toEqual(environment);
});

test('a checkout has a commit, and is dirty once a file was changed or added', () => {
  const git = (...command: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'commit.gpgsign=false', ...command], {
      encoding: 'utf8',
    }).trim();
  expect(gitState(folder)).toBeUndefined();
  git('init', '--quiet');
  expect(gitState(folder)).toBeUndefined();
  writeFileSync(join(folder, 'file'), 'one');
  git('add', 'file');
  git('commit', '--quiet', '-m', 'one');
  const commit = git('rev-parse', 'HEAD');
  expect(gitState(folder)).toEqual({ commit, dirty: false });
  writeFileSync(join(folder, 'file'), 'two');
  expect(gitState(folder)).toEqual({ commit, dirty: true });
  mkdirSync(join(folder, 'node_modules'));
  expect(gitState(join(folder, 'node_modules'))).toBeUndefined();
});
