import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { told } from '../../test/told.ts';
import { DataError } from '../util/errors.ts';
import { readFileResult, writeFileResult } from './file-results.ts';
import { isOver, readStudyState, studyFolder, writeStudyState } from './study-state.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-study-state-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('the state of a study', () => {
  const dataset = {
    name: 'd',
    fingerprint: 'f',
    synthetic: false,
    classes: ['a', 'b'],
    shape: [3, 8, 8],
    train: { count: 9 },
  } as const;
  const runs = [{ variant: 'baseline', seed: 1, run: 'tuto/1', state: 'finished' }] as const;
  writeStudyState(root, { name: 's', file: { path: 's.yaml', text: 'name: s' }, dataset, runs });
  const path = join(studyFolder(root, 's'), 'study.json');
  const written = readFileSync(path, 'utf8');

  test('is read as it was written', () => {
    writeFileSync(path, written);
    expect(readStudyState(root, 's')).toMatchObject({ name: 's', dataset, runs });
    expect(readStudyState(root, 'another')).toBeUndefined();
  });

  test.each([
    ['"state": "finished"', '"state": "over"', 'runs[0].state (=over) must be one of waiting, running, finished,'],
    ['"seed": 1', '"seed": "one"', 'runs[0].seed (=one) must be an integer'],
    ['"fingerprint": "f"', '"fingerprint": 7', 'dataset.fingerprint (=7) must be a text'],
    ['ablate-study-1', 'ablate-study-0', 'format (=ablate-study-0) must be ablate-study-1'],
    ['{', '', 'Unexpected '],
  ])('with %s made %s is refused with what is wrong', (before, after, message) => {
    writeFileSync(path, written.replace(before, after));
    const read = () => readStudyState(root, 's');
    expect(read).toThrow(DataError);
    expect(read).toThrow(`${path} is not the state of a study: ${message}`);
    expect(told(read).fix).toBe('remove it, and run the study again: finished runs are reused');
  });
});

test('of a run that waits or runs something is still to be done', () => {
  expect((['waiting', 'running', 'finished', 'failed', 'diverged', 'stopped'] as const).map(isOver)).toEqual([
    ...[false, false, true, true, true, true],
  ]);
});

test('a damaged record of a quantized file is none: the file is measured again', () => {
  const quantization = { scheme: 'none' } as const;
  const result = { quantization, bytes: 12, evaluation: recordedEvaluation() };
  const run = { path: join(root, 'run') };
  writeFileResult(run, result);
  expect(readFileResult(run, quantization)).toEqual(result);
  // The digest of {"scheme":"none"}.
  const digest = createHash('sha256').update('{"scheme":"none"}').digest('hex').slice(0, 12);
  expect(readdirSync(join(run.path, 'quantized'))).toEqual([`none-${digest}.json`]);
  expect(readFileSync(join(run.path, 'quantized', `none-${digest}.json`), 'utf8')).toBe(`${JSON.stringify(result)}\n`);
  for (const damaged of [
    { ...result, bytes: '12' },
    { ...result, evaluation: { ...result.evaluation, accuracy: null } },
    { ...result, evaluation: { ...result.evaluation, confusion: [[1]] } },
  ] as unknown as (typeof result)[]) {
    writeFileResult(run, damaged);
    expect(readFileResult(run, quantization)).toBeUndefined();
  }
});
