import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { told } from '../../test/told.ts';
import { packageRoot } from '../util/package.ts';
import {
  checkEnvironment,
  describeEnvironment,
  environmentsOf,
  gitState,
  operatingSystem,
  recordContinuation,
  withoutSecrets,
  writeEnvironment,
} from './environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-environment-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('describes this machine and process, and survives JSON', () => {
  const environment = describeEnvironment({ threads: 3, libraries: { onednn: '2.6.3' } });
  expect(environment).toMatchObject({ threads: 3, memoryBytes: totalmem(), commandLine: process.argv });
  expect(environment.versions).toMatchObject({ onednn: '2.6.3', node: process.versions.node });
  expect(environment.versions.ablate).toMatch(/^\d+\.\d+\.\d+/);
  expect(environment.operatingSystem).toBe(operatingSystem('/etc/os-release'));
  expect(environment.git).toEqual(gitState(packageRoot()).git);
  expect(Object.keys(environment)).not.toContain('engine');
  expect(Object.keys(environment)).not.toContain('libraries');
  expect(JSON.parse(JSON.stringify(environment))).toEqual(environment);
  expect(describeEnvironment({ threads: 1, engine: 'onednn', tuning: '3 of 5' })).toMatchObject({
    threads: 1,
    engine: 'onednn',
    tuning: '3 of 5',
  });
});

test('the operating system is its kernel, and the distribution where a file says which', () => {
  const path = join(folder, 'os-release');
  const kernel = `${type()} ${release()}`;
  expect(operatingSystem(path)).toBe(kernel);
  for (const [text, distribution] of [
    ['NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', ', Debian GNU/Linux 12 (bookworm)'],
    ['PRETTY_NAME=Alpine\nID=alpine\n', ', Alpine'],
    ['NOT_PRETTY_NAME="Debian"\n', ''],
    ['', ''],
  ] as const) {
    writeFileSync(path, text);
    expect(operatingSystem(path)).toBe(kernel + distribution);
  }
});

test('the record in the folder of a run is replaced, and one that is damaged is refused with the fix', () => {
  const run = join(folder, 'run');
  mkdirSync(run);
  const environment = describeEnvironment({ threads: 3 });
  for (const threads of [3, 4]) writeEnvironment({ path: run }, { ...environment, threads });
  expect(readdirSync(run)).toEqual(['environment.json']);
  const text = readFileSync(join(run, 'environment.json'), 'utf8');
  expect(text).toBe(`${JSON.stringify({ ...environment, threads: 4 }, undefined, 2)}\n`);
  expect(checkEnvironment(JSON.parse(text), 'e')).toEqual({ ...environment, threads: 4 });
  expect(told(() => checkEnvironment({ ...environment, threads: null }, 'e'))).toEqual({
    kind: 'DataError',
    message: 'e is damaged: threads (=null) must be a number',
    fix: 'restore the file, or use another run',
  });
});

test('where a run went on is added if it is another than before, and counts as an environment of its own', () => {
  const run = { path: mkdtempSync(join(folder, 'continued-')) };
  const start = describeEnvironment({ threads: 3, engine: 'onednn' });
  const read = () => checkEnvironment(JSON.parse(readFileSync(join(run.path, 'environment.json'), 'utf8')), 'e');
  writeEnvironment(run, start);
  // The date and the command line say nothing of how it computes.
  recordContinuation(run, read(), 10, { ...start, date: 'later', commandLine: ['resumed'] });
  expect(read()).toEqual(start);
  expect(environmentsOf(read())).toEqual([start]);
  const elsewhere = {
    ...start,
    date: 'later',
    host: 'other',
    engine: 'webgpu',
    versions: { ...start.versions, ablate: '9.9.9' },
  };
  recordContinuation(run, read(), 20, elsewhere);
  recordContinuation(run, read(), 30, elsewhere);
  recordContinuation(run, read(), 40, start);
  const { continued, ...beginning } = read();
  expect(beginning).toEqual(start);
  expect(continued).toMatchObject([
    { step: 20, host: 'other', engine: 'webgpu', date: 'later' },
    { step: 40, host: start.host, engine: 'onednn' },
  ]);
  expect(environmentsOf(read()).map(({ host, engine, memoryBytes }) => [host, engine, memoryBytes])).toEqual(
    [start, elsewhere, start].map(({ host, engine, memoryBytes }) => [host, engine, memoryBytes]),
  );
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
  expect(gitState(folder)).toEqual({});
  git('init', '--quiet');
  // Of the first commit, not of a file that is called as git calls it.
  writeFileSync(join(folder, '# branch.oid abc'), '');
  expect(gitState(folder)).toEqual({});
  rmSync(join(folder, '# branch.oid abc'));
  writeFileSync(join(folder, '.git', 'info', 'exclude'), '*\n');
  writeFileSync(join(folder, 'file'), 'one');
  git('add', '--force', 'file');
  git('commit', '--quiet', '-m', 'one');
  const commit = git('rev-parse', 'HEAD');
  expect(commit).toMatch(/^[\da-f]{40,}$/);
  expect(gitState(folder)).toEqual({ git: { commit, dirty: false } });
  writeFileSync(join(folder, 'file'), 'two');
  expect(gitState(folder)).toEqual({ git: { commit, dirty: true } });
  git('checkout', '--quiet', 'file');
  writeFileSync(join(folder, '.git', 'info', 'exclude'), '');
  writeFileSync(join(folder, 'added'), '');
  expect(gitState(folder)).toEqual({ git: { commit, dirty: true } });
  mkdirSync(join(folder, 'node_modules'));
  expect(gitState(join(folder, 'node_modules'))).toEqual({});
});

test('where git fails there is no commit, and nothing is printed', () => {
  const broken = join(folder, 'broken');
  mkdirSync(broken);
  writeFileSync(join(broken, '.git'), 'no checkout');
  const printed = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  expect(gitState(broken)).toEqual({});
  expect(printed).not.toHaveBeenCalled();
  printed.mockRestore();
});
