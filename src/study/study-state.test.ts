import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { told } from '../../test/told.ts';
import {
  isOver,
  readStudyState,
  studiesFolder,
  studyFolder,
  studyNames,
  writeStudyState,
  type StudyState,
} from './study-state.ts';

let root = '';
let path = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ablate-study-state-'));
  path = join(root, '.studies', 's', 'study.json');
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(root, { recursive: true });
});

function state(): Omit<StudyState, 'updatedAt'> {
  const images = { name: 'd', fingerprint: 'f', synthetic: false, classes: ['a', 'b'], shape: [3, 8, 8], train: { count: 9 } };
  const runs = [
    { variant: 'baseline', seed: 1, run: 'tuto/1', state: 'finished' },
    { variant: 'faster', seed: 1, state: 'failed', reason: 'exit code 1' },
  ] as const;
  return { name: 's', file: { path: 's.yaml', text: 'name: s' }, dataset: images as unknown as StudyState['dataset'], runs };
}

test('only runs that wait or are trained are not over', () => {
  const states = ['waiting', 'running', 'finished', 'diverged', 'failed', 'stopped'] as const;
  expect(states.filter((each) => !isOver(each))).toEqual(['waiting', 'running']);
});

test('each study has a folder beside the runs', () => {
  expect([studiesFolder('runs'), studyFolder('runs', 's')]).toEqual([join('runs', '.studies'), join('runs', '.studies', 's')]);
});

test('the studies of a folder are those with a state, in order', () => {
  expect(studyNames(join(root, 'nowhere'))).toEqual([]);
  for (const name of ['z', 'a b']) writeStudyState(root, { ...state(), name });
  mkdirSync(studyFolder(root, 'begun'));
  writeFileSync(join(studiesFolder(root), '.identities.json'), '{}');
  expect(studyNames(root)).toEqual(['a b', 'z']);
});

describe('the state of a study', () => {
  test('is read as it was written', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-01-31T12:00:00.000Z') });
    writeStudyState(root, state());
    const written = { format: 'ablate-study-1', ...state(), updatedAt: '2026-01-31T12:00:00.000Z' };
    expect(readFileSync(path, 'utf8')).toBe(`${JSON.stringify(written, undefined, 2)}\n`);
    expect(readStudyState(root, 's')).toEqual(written);
    writeStudyState(root, { ...state(), runs: [] });
    expect(readStudyState(root, 's')?.runs).toEqual([]);
  });

  test('is none of a study that was never started', () => {
    expect(readStudyState(root, 's')).toBeUndefined();
    mkdirSync(studyFolder(root, 's'), { recursive: true });
    expect(readStudyState(root, 's')).toBeUndefined();
  });

  const refusal = (problem: string) => ({
    kind: 'DataError',
    message: `${path} is not the state of a study: ${problem}`,
    fix: 'remove it, and run the study again: finished runs are reused',
  });

  test.each([
    [
      '"state": "finished"',
      '"state": "over"',
      'runs[0].state (=over) must be one of waiting, running, finished, diverged, failed, stopped',
    ],
    ['"seed": 1', '"seed": "one"', 'runs[0].seed (=one) must be an integer'],
    ['"fingerprint": "f"', '"fingerprint": 7', 'dataset.fingerprint (=7) must be a text'],
    ['ablate-study-1', 'ablate-study-0', 'format (=ablate-study-0) must be ablate-study-1'],
  ])('with %s made %s is refused with what is wrong', (before, after, problem) => {
    writeStudyState(root, state());
    writeFileSync(path, readFileSync(path, 'utf8').replace(before, after));
    expect(told(() => readStudyState(root, 's'))).toEqual(refusal(problem));
  });

  test('that is no JSON is refused', () => {
    writeStudyState(root, state());
    writeFileSync(path, '{');
    const { message, ...rest } = told(() => readStudyState(root, 's'));
    expect([message, rest]).toEqual([
      expect.stringMatching(/study\.json is not the state of a study: Expected property name/),
      { kind: 'DataError', fix: refusal('').fix },
    ]);
  });
});
