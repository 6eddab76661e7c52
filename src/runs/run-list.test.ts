import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { describeEnvironment } from './environment.ts';
import { createRun, type Run } from './run-folder.ts';
import { listRuns } from './run-list.ts';
import { readStatus, writeStatus } from './run-status.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-list-'));
afterAll(() => rmSync(folder, { recursive: true }));
const environment = describeEnvironment({ threads: 2 });

function newRun(root: string): Run {
  return createRun(root, 'tuto', { steps: 100 }, environment);
}

/** Changes fields of a status file behind the back of its process. */
function forge(run: Run, changes: object): void {
  const path = join(run.path, 'status.json');
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...changes }));
}

test('a status is read as it was written, with who wrote it', () => {
  const run = newRun(join(folder, 'status'));
  expect(readStatus(run)).toMatchObject({ status: 'running', step: 0, steps: 100, pid: process.pid, host: hostname() });
  writeStatus(run, { status: 'failed', step: 40, steps: 100, accuracy: 0.5, reason: 'the loss is NaN' });
  expect(readStatus(run)).toMatchObject({ status: 'failed', step: 40, steps: 100, accuracy: 0.5, reason: 'the loss is NaN' });
  expect(Math.abs(Date.parse(readStatus(run).updatedAt) - Date.now())).toBeLessThan(60_000);
});

test('a status and the list are replaced whole, without waiting for the disk, and the list only if it changed', () => {
  const root = join(folder, 'calls');
  const run = newRun(root);
  const changes = (work: () => void) =>
    callsOf(work).flatMap(({ name }) => (name === 'renameSync' || name === 'fsyncSync' ? name : []));
  expect(changes(() => writeStatus(run, { status: 'running', step: 1, steps: 100 }))).toEqual(['renameSync']);
  expect(changes(() => listRuns(root))).toEqual(['renameSync']);
  expect(changes(() => listRuns(root))).toEqual([]);
  expect(changes(() => listRuns(join(folder, 'none')))).toEqual([]);
  rmSync(join(root, '.index.json'));
  const defect = () =>
    watchFs(
      ({ name }) => {
        if (name === 'renameSync') throw new TypeError('a defect');
      },
      () => listRuns(root),
    );
  expect(defect).toThrow(new TypeError('a defect'));
});

test('a status that appears while it is looked for is listed, and not remembered without its stamp', () => {
  const root = join(folder, 'appears');
  const run = newRun(root);
  const path = join(run.path, 'status.json');
  renameSync(path, `${path}.later`);
  let looks = 0;
  const list = watchFs(
    ({ name, path: at }) => {
      if (name === 'statSync' && at === path && ++looks === 2) renameSync(`${path}.later`, path);
    },
    () => listRuns(root),
  );
  expect(list).toMatchObject([{ run: 'tuto/1', status: 'running', steps: 100 }]);
  expect(existsSync(join(root, '.index.json'))).toBe(false);
});

test('a running run whose process is gone is interrupted; one on another host may still run', () => {
  const run = newRun(join(folder, 'gone'));
  const { pid } = spawnSync('true');
  forge(run, { pid, step: 7 });
  expect(readStatus(run)).toMatchObject({ status: 'interrupted', step: 7, reason: `process ${pid} is gone` });
  forge(run, { host: 'elsewhere.example' });
  expect(readStatus(run).status).toBe('running');
  forge(run, { host: hostname(), status: 'finished' });
  expect(readStatus(run).status).toBe('finished');
});

test('a run that cannot be read is listed as unreadable, with the reason, and does not spoil the list', () => {
  const root = join(folder, 'damaged');
  const whole = newRun(root);
  const spoil: Readonly<Record<string, (run: Run) => void>> = {
    'no such file': (run) => rmSync(join(run.path, 'status.json')),
    'Unexpected end of JSON': (run) => writeFileSync(join(run.path, 'status.json'), ''),
    'it (=null) must be a group of keys': (run) => writeFileSync(join(run.path, 'status.json'), 'null'),
    'it (=[]) must be a group of keys': (run) => writeFileSync(join(run.path, 'status.json'), '[]'),
    'status (=done) must be one of running, finished,': (run) => forge(run, { status: 'done' }),
    'step (=-1) must be an integer of at least 0': (run) => forge(run, { step: -1 }),
    'steps (=1.5) must be an integer of at least 0': (run) => forge(run, { steps: 1.5 }),
    'accuracy (=99%) must be a number in [0, 1]': (run) => forge(run, { accuracy: '99%' }),
    'updatedAt (=5) must be a text': (run) => forge(run, { updatedAt: 5 }),
    'host (=null) must be a text': (run) => forge(run, { host: null }),
    'pid (=0) must be a positive integer': (run) => forge(run, { pid: 0 }),
    'reason (={}) must be a text': (run) => forge(run, { reason: {} }),
    'a part of the path is a file': (run) => {
      rmSync(run.path, { recursive: true });
      writeFileSync(run.path, '');
    },
    ELOOP: (run) => {
      rmSync(run.path, { recursive: true });
      symlinkSync(run.path, run.path);
    },
  };
  const spoilt = Object.values(spoil).map((change) => {
    const run = newRun(root);
    change(run);
    return run;
  });
  symlinkSync(join(root, 'nin2'), join(root, 'nin2'));
  writeFileSync(join(root, 'zoo'), 'a file');
  writeFileSync(join(root, '.index.json'), 'null');
  for (const again of [1, 2]) {
    const summaries = listRuns(root);
    expect(summaries.map(({ run }) => run)).toEqual(['nin2', ...[whole, ...spoilt].map((run) => `tuto/${run.number}`)]);
    expect(summaries[0], `list ${again}`).toMatchObject({ status: 'unreadable', model: 'nin2', step: 0, number: undefined });
    expect(summaries[0]!.reason).toMatch(/cannot read .*nin2: .*ELOOP/);
    expect(summaries[1]).toMatchObject({ status: 'running', step: 0, steps: 100 });
    for (const [position, problem] of Object.keys(spoil).entries()) {
      const { status, step, reason } = summaries[2 + position]!;
      expect([status, step, reason]).toEqual(['unreadable', 0, expect.stringContaining(problem) as string]);
      expect(reason).toContain('status.json cannot be read');
      // A training may still go on from what the run has.
      expect(readStatus(spoilt[position]!)).toMatchObject({ status: 'interrupted', step: 0, steps: 0, host: '' });
    }
    expect(listRuns(root, { status: 'unreadable' })).toHaveLength(1 + spoilt.length);
    expect(listRuns(root, { status: 'running' })).toHaveLength(1);
    expect(listRuns(root, { model: 'nin2' })).toHaveLength(1);
  }
});

test('the list is remembered, and what has changed since is read', () => {
  const root = join(folder, 'index');
  const [first, second] = [newRun(root), newRun(root)];
  const index = join(root, '.index.json');
  const steps = () => listRuns(root).map(({ step }) => step);
  expect(steps()).toEqual([0, 0]);
  writeStatus(second, { status: 'running', step: 7, steps: 100 });
  expect(steps()).toEqual([0, 7]);
  // What is remembered is believed as long as the file is the same.
  writeFileSync(index, readFileSync(index, 'utf8').replace('"step":7', '"step":8'));
  expect(steps()).toEqual([0, 8]);
  // A damaged memory is none.
  const good = readFileSync(index, 'utf8');
  for (const damage of ['', 'null', '{}', '{"format":"ablate-index-1","runs":null}', good.replace('"step":8', '"step":"x"')]) {
    writeFileSync(index, damage);
    expect(steps()).toEqual([0, 7]);
  }
  writeFileSync(index, good.replace('ablate-index-1', 'ablate-index-0'));
  expect(steps()).toEqual([0, 7]);
  // One that cannot be written is done without.
  rmSync(index);
  mkdirSync(index);
  expect(steps()).toEqual([0, 7]);
  expect(first.number).toBe(1);
});

test('what is no folder holds no runs either, and is called what it is', () => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  expect(() => listRuns(file)).toThrow(`${file} is no folder of runs: it is a file`);
  expect(() => listRuns('/dev/null')).toThrow('/dev/null is no folder of runs: it is a device');
});

test('a folder that is not there holds no runs', () => {
  expect(listRuns(join(folder, 'absent'))).toEqual([]);
});
