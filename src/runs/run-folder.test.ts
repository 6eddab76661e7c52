import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { compiledFolder } from '../../test/compile-sources.ts';
import { told } from '../../test/told.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { AblateError, ConfigurationError, DataError } from '../util/errors.ts';
import { describeEnvironment } from './environment.ts';
import {
  allRuns,
  amendConfig,
  createRun,
  findRun,
  metricsPath,
  modelFolders,
  openRun,
  readConfig,
  readEnvironment,
  runName,
} from './run-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-runs-'));
afterAll(() => rmSync(folder, { recursive: true }));
const environment = describeEnvironment({ threads: 2 });
const config = { steps: 100, learningRate: 0.1 };

test('a new run has the next number, its configuration, its environment, and nothing half made beside it', () => {
  const root = join(folder, 'new', 'runs');
  const first = createRun(root, 'tuto', config, environment);
  expect(runName(first)).toBe('tuto/1');
  expect(first.path).toBe(join(root, 'tuto', '1'));
  expect(runName(createRun(root, 'tuto', config, environment))).toBe('tuto/2');
  expect(runName(createRun(root, 'nin2', config, environment))).toBe('nin2/1');
  rmSync(first.path, { recursive: true });
  expect(runName(createRun(root, 'tuto', config, environment))).toBe('tuto/3');
  const last = openRun(join(root, 'tuto', '3'));
  expect(readdirSync(last.path).sort()).toEqual([
    'checkpoints',
    'config.json',
    'environment.json',
    'metrics.jsonl',
    'status.json',
  ]);
  expect(readConfig(last)).toEqual(config);
  expect(readEnvironment(last)).toEqual(environment);
  expect(metricsPath(last)).toBe(join(last.path, 'metrics.jsonl'));
  expect(readFileSync(metricsPath(last), 'utf8')).toBe('');
  expect(readdirSync(join(root, 'tuto')).sort()).toEqual(['2', '3']);
  expect(allRuns(root).map(runName)).toEqual(['nin2/1', 'tuto/2', 'tuto/3']);
});

test('a number that another process takes meanwhile is left to it', () => {
  const root = join(folder, 'taken');
  const taken: string[] = [];
  const create = (meanwhile: (number: string) => void) =>
    watchFs(
      ({ name, args }) => {
        if (name === 'renameSync') meanwhile(String(args[1]));
      },
      () => createRun(root, 'tuto', config, environment),
    );
  const run = create((path) => {
    if (taken.push(path) > 2) return;
    mkdirSync(join(path, 'of another'), { recursive: true });
  });
  expect(taken).toEqual([1, 2, 3].map((number) => join(root, 'tuto', String(number))));
  expect(run.number).toBe(3);
  // As other systems call it.
  let refusals = 0;
  const next = create(() => {
    if (refusals++ === 0) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST', syscall: 'rename' });
  });
  expect(next.number).toBe(5);
  // What is wrong otherwise ends it, and nothing half made stays.
  const broken = () =>
    create(() => {
      throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'rename' });
    });
  expect(told(broken)).toEqual({
    kind: 'AblateError',
    message: `cannot create ${join(root, 'tuto')}: the device failed (EIO)`,
    fix: 'check the disk',
  });
  expect(readdirSync(join(root, 'tuto')).sort()).toEqual(['1', '2', '3', '5']);
});

test('keys of a configuration are changed, and all others stay', () => {
  const run = createRun(join(folder, 'amended'), 'tuto', config, environment);
  amendConfig(run, { steps: 200, more: true });
  expect(readFileSync(join(run.path, 'config.json'), 'utf8')).toBe(
    '{\n  "steps": 200,\n  "learningRate": 0.1,\n  "more": true\n}\n',
  );
});

test('processes that make runs at the same moment get different numbers', async () => {
  const root = join(folder, 'race');
  const script = join(folder, 'create.mjs');
  writeFileSync(
    script,
    `import { createRun } from '${compiledFolder}/runs/run-folder.js';
     for (let i = 0; i < 40; i++) console.log(createRun(${JSON.stringify(root)}, 'tuto', { steps: 1 }, {}).number);`,
  );
  const outputs = await Promise.all([1, 2, 3].map(() => promisify(execFile)(process.execPath, [script])));
  const numbers = outputs.flatMap(({ stdout }) => stdout.trim().split('\n').map(Number));
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
  expect(readdirSync(join(root, 'tuto'))).toHaveLength(120);
});

test('a run is found by path, by model and number, and by model', () => {
  const root = join(folder, 'find');
  const runs = Array.from({ length: 11 }, () => createRun(root, 'tuto', config, environment));
  expect(findRun(root, 'tuto/2')).toEqual(runs[1]);
  expect(findRun(root, 'tuto')).toEqual(runs[10]);
  expect(findRun(root, 'tuto/')).toEqual(runs[10]);
  expect(findRun(root, runs[3]!.path)).toEqual(runs[3]);
  expect(findRun('elsewhere', relative(process.cwd(), runs[3]!.path))).toEqual(runs[3]);
});

test('a run that was renamed or copied is found by its path, and called by it', () => {
  const root = join(folder, 'moved');
  const named = { ...config, model: 'tuto' };
  const run = createRun(root, 'tuto', named, environment);
  cpSync(run.path, join(root, 'best'), { recursive: true });
  cpSync(run.path, join(root, 'tuto', '7'), { recursive: true });
  cpSync(run.path, join(root, 'backup', '1'), { recursive: true });
  for (const path of [join(root, 'best'), join(root, 'backup', '1')]) {
    const moved = { path, model: 'tuto', number: undefined };
    expect(openRun(path)).toEqual(moved);
    expect(findRun(root, path)).toEqual(moved);
    expect(findRun(root, relative(root, path))).toEqual(moved);
    expect(runName(moved)).toBe(path);
    expect(readConfig(openRun(path))).toEqual(named);
  }
  expect(findRun(root, 'tuto')).toEqual({ path: join(root, 'tuto', '7'), model: 'tuto', number: 7 });
  for (const model of ['null', '5', '["tuto"]']) {
    writeFileSync(join(root, 'best', 'config.json'), `{"model":${model}}`);
    expect(told(() => openRun(join(root, 'best')))).toEqual({
      kind: 'DataError',
      message: `${join(root, 'best')} does not say which model it trains: its config.json has no model`,
      fix: 'give the folder its name again: <model>/<number>',
    });
  }
  mkdirSync(join(root, 'file', 'config.json'), { recursive: true });
  expect(() => openRun(join(root, 'file'))).toThrow(/file does not say which model it trains/);
  // One that has its place among the runs is that run, however damaged.
  writeFileSync(join(root, 'tuto', '7', 'config.json'), '{"model":');
  expect(openRun(join(root, 'tuto', '7'))).toMatchObject({ model: 'tuto', number: 7 });
});

test('an environment that was edited is refused by the name of what is wrong', () => {
  const run = createRun(join(folder, 'edited'), 'tuto', config, environment);
  const path = join(run.path, 'environment.json');
  for (const [edit, key] of [
    [{ commandLine: null }, 'commandLine (=null) must be a list'],
    [{ commandLine: [1] }, 'commandLine[0] (=1) must be a text'],
    [{ host: 5 }, 'host (=5) must be a text'],
    [{ cpu: { ...environment.cpu, model: undefined } }, 'cpu.model (=missing) must be a text'],
    [{ versions: {} }, 'versions.ablate (=missing) must be a text; versions.node (=missing) must be a text'],
    [{ threads: '2', date: 1 }, 'date (=1) must be a text; threads (="2") must be a number'],
  ] as const) {
    writeFileSync(path, JSON.stringify({ ...environment, ...edit }));
    expect(() => readEnvironment(run)).toThrow(`${path} is damaged: ${key}`);
  }
  writeFileSync(path, '{}');
  expect(() => readEnvironment(run)).toThrow(DataError);
});

test('a new run is on the disk, with all that is in it, before it has its name', () => {
  const root = join(folder, 'durable');
  const calls = callsOf(() => createRun(root, 'tuto', config, environment));
  const order = calls.flatMap(({ name, path }) =>
    name === 'fsyncSync' || name === 'renameSync' ? `${name} ${path.replace(/\.new\.[^/]*/, 'new')}` : [],
  );
  const made = join(root, 'tuto', 'new');
  expect(order).toEqual([
    ...['config.json', 'environment.json', 'status.json', 'metrics.jsonl'].map((name) => `fsyncSync ${join(made, name)}`),
    `fsyncSync ${made}`,
    `renameSync ${made}`,
    `fsyncSync ${join(root, 'tuto')}`,
  ]);
});

test('a run that is not there: the error says which there are', () => {
  const root = join(folder, 'absent');
  const kind = 'DataError';
  expect(told(() => findRun(root, 'tuto/1'))).toEqual({
    kind,
    message: `there is no run "tuto/1" in ${root}: it holds no runs`,
    fix: 'ablate train <model>',
  });
  for (let i = 0; i < 6; i++) createRun(root, 'tuto', config, environment);
  rmSync(join(root, 'tuto', '4'), { recursive: true });
  createRun(root, 'nin2', config, environment);
  mkdirSync(join(root, 'empty'));
  expect(told(() => findRun(root, 'tuto/4'))).toEqual({
    kind,
    message: `there is no run "tuto/4" in ${root}: the runs of tuto are 1-3, 5-6`,
    fix: 'ablate runs list --model tuto',
  });
  rmSync(join(root, 'tuto', '2'), { recursive: true });
  expect(() => findRun(root, 'tuto/2')).toThrow('the runs of tuto are 1, 3, 5-6');
  const others = `it holds runs of nin2, tuto.`;
  expect(told(() => findRun(root, 'tutu'))).toEqual({
    kind,
    message: `there is no run "tutu" in ${root}: ${others} Did you mean "tuto"?`,
    fix: 'ablate runs list',
  });
  expect(() => findRun(root, 'tuto/1/checkpoints')).toThrow(`there is no run "tuto/1/checkpoints" in ${root}: ${others}`);
  expect(() => findRun(root, '')).toThrow(DataError);
  expect(told(() => openRun(join(root, 'tuto')))).toEqual({
    kind,
    message: `${join(root, 'tuto')} is not the folder of a run: it has no config.json`,
    fix: 'ablate runs list',
  });
});

test('a name that is no folder name is refused', () => {
  for (const model of ['', '..', '../up', 'a/b', '.hidden', 'a b']) {
    expect(() => createRun(folder, model, config, environment)).toThrow(
      new ConfigurationError(`model (="${model}") must be letters, digits, ".", "_" and "-", and start with a letter or a digit`),
    );
  }
});

test('a place that cannot be written gives the path, the reason and a fix', () => {
  writeFileSync(join(folder, 'plain'), '');
  const create = () => createRun(join(folder, 'plain'), 'tuto', config, environment);
  expect(create).toThrow(AblateError);
  expect(create).toThrow(/cannot create .*\/plain\/tuto: .*(ENOTDIR|EEXIST)/);
});

test('a damaged configuration is named', () => {
  const run = createRun(join(folder, 'damaged'), 'tuto', config, environment);
  const path = join(run.path, 'config.json');
  const fix = 'restore the file, or use another run';
  writeFileSync(path, '{"steps":');
  expect(told(() => readConfig(run))).toEqual({
    kind: 'DataError',
    message: expect.stringMatching(/tuto\/1\/config\.json is not JSON: .*JSON/) as string,
    fix,
  });
  for (const text of ['null', '[]', '5', '"text"', 'true']) {
    writeFileSync(path, text);
    expect(told(() => readConfig(run))).toEqual({ kind: 'DataError', message: `${path} must be a JSON object`, fix });
  }
});

test('other files among the runs are no runs', () => {
  const root = join(folder, 'others');
  createRun(root, 'tuto', config, environment);
  mkdirSync(join(root, 'tuto', 'notes'));
  mkdirSync(join(root, 'empty'));
  writeFileSync(join(root, 'README'), '');
  for (const name of ['01', '0', 'v2', '3-copy', '1234567890123456']) mkdirSync(join(root, 'tuto', name));
  mkdirSync(join(root, '.trash', '1'), { recursive: true });
  expect(allRuns(root).map(runName)).toEqual(['tuto/1']);
  expect(modelFolders(root)).toEqual(['README', 'empty', 'tuto']);
  expect(modelFolders(join(root, 'absent'))).toEqual([]);
  mkdirSync(join(root, 'tuto', '123456789012345'));
  expect(allRuns(root).map(runName)).toEqual(['tuto/1', 'tuto/123456789012345']);
});

test('a folder that cannot be read is named; among those of other models it is passed over', () => {
  const root = join(folder, 'circle');
  createRun(root, 'tuto', config, environment);
  symlinkSync(join(root, 'nin2'), join(root, 'nin2'));
  expect(allRuns(root).map(runName)).toEqual(['tuto/1']);
  expect(told(() => modelFolders(join(root, 'nin2'))).message).toBe(
    `cannot read ${join(root, 'nin2')}: its links lead in a circle (ELOOP)`,
  );
  expect(told(() => modelFolders(join(root, 'tuto', '1', 'config.json')))).toEqual({
    kind: 'DataError',
    message: `${join(root, 'tuto', '1', 'config.json')} is no folder of runs: it is a file`,
    fix: 'check --runs-dir',
  });
});

test('further records are in the folder of a run from its beginning', () => {
  const records = { 'pruning.json': { source: 'tuto/1' }, 'config.yaml': 'model: tuto # mine\n' };
  const run = createRun(join(folder, 'further'), 'tuto', { steps: 1 }, environment, records);
  expect(readFileSync(join(run.path, 'config.yaml'), 'utf8')).toBe('model: tuto # mine\n');
  expect(JSON.parse(readFileSync(join(run.path, 'pruning.json'), 'utf8'))).toEqual({ source: 'tuto/1' });
});
