import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readEvaluation, writeEvaluation } from './recorded-evaluation.ts';
import { createTally } from './tally.ts';

const run = { path: mkdtempSync(join(tmpdir(), 'ablate-evaluation-')) };
afterAll(() => rmSync(run.path, { recursive: true }));

test('an evaluation is read as it was written; one whose confusions are not of its classes is none', () => {
  const tally = createTally(['a', 'b']);
  tally.add(1, Float32Array.of(0, 1));
  const evaluation = {
    ...tally.evaluation('test'),
    imagesPerSecond: 5,
    step: 7,
    weights: 'ema',
    datasetFingerprint: 'x',
  } as const;
  writeEvaluation(run, evaluation);
  expect(readEvaluation(run)).toEqual(evaluation);
  for (const confusion of [
    [[0, 0]],
    [[0, 0], [0]],
    [[0], [0, 1]],
    [
      [0, 0],
      [0, 1],
      [0, 0],
    ],
    [],
  ]) {
    writeEvaluation(run, { ...evaluation, confusion });
    expect(readEvaluation(run)).toBeUndefined();
  }
});
