import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeEnvironment, gitState, withoutSecrets } from './environment.ts';

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

test.each([
  ['--data-url', '--data-url'],
  ['https://mirror.example/cifar.tar.gz', 'https://mirror.example/...'],
  ['https://user:secret@mirror.example:8443/a/b?token=secret#secret', 'https://mirror.example:8443/...'],
  ['--data-url=http://secret@mirror.example', '--data-url=http://mirror.example/...'],
  ['s3://secret:p@ss@bucket?X-Signature=secret', 's3://bucket/...'],
  ['first https://a.example/secret then HTTPS://b:secret@b.example/', 'first https://a.example/... then HTTPS://b.example/...'],
  ['images:/home/me/pictures', 'images:/home/me/pictures'],
  ['model.lrn=false', 'model.lrn=false'],
])('of the argument %s, only what holds no secret is recorded', (argument, recorded) => {
  expect(withoutSecrets(argument)).toBe(recorded);
});

test('the command line is recorded without secrets', () => {
  process.argv.push('--data-url', 'https://user:secret@mirror.example/data?token=secret');
  try {
    const { commandLine } = describeEnvironment({ threads: 1 });
    expect(commandLine).toEqual([...process.argv.slice(0, -1), 'https://mirror.example/...']);
  } finally {
    process.argv.splice(-2);
  }
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
