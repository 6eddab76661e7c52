import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { createClassifier } from './classifier.ts';
import { recordedClassifier, recordOfClassifier } from './classifier-record.ts';
import { resolveConfig } from './config.ts';

const path = mkdtempSync(join(tmpdir(), 'ablate-classifier-record-'));
afterAll(() => rmSync(path, { recursive: true }));
const run = { path, model: 'cs231n', number: 1 };

test('a run knows what it trains as it was recorded; without a record it says nothing, with a damaged one it is refused', () => {
  expect(recordedClassifier(run)).toBeUndefined();
  const classifier = createClassifier(resolveConfig({ model: 'cs231n', threads: 1 }), noiseDataset(8, { train: 1, test: 1 }));
  const [name, record] = Object.entries(recordOfClassifier(classifier))[0]!;
  expect(name).toBe('classifier.json');
  const file = join(path, name);
  const text = JSON.stringify(record);
  writeFileSync(file, text);
  expect(recordedClassifier(run)).toEqual(classifier);
  writeFileSync(file, text.slice(0, -1));
  expect(() => recordedClassifier(run)).toThrow(
    expect.objectContaining({
      name: 'DataError',
      message: expect.stringMatching(new RegExp(`^${file} is damaged: .*JSON`)) as string,
      cause: expect.any(SyntaxError) as unknown,
    }) as Error,
  );
  writeFileSync(file, '{}');
  expect(() => recordedClassifier(run)).toThrow(`what ${file} says of its network is damaged: `);
});
