import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { readFileResult, writeFileResult, type FileResult } from './file-results.ts';
import type { StudyQuantization } from './quantization.ts';

let path = '';
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'ablate-file-results-'));
});
afterEach(() => rmSync(path, { recursive: true }));

const plain: StudyQuantization = { scheme: 'none' };
function result(quantization: StudyQuantization = plain): FileResult {
  return { quantization, bytes: 12, evaluation: recordedEvaluation() };
}

test('what each kind of file reaches has a file of its own, named after the scheme and a digest of all that it says', () => {
  // printf '{"scheme":"none"}' | sha256sum
  const name = 'none-fb97f813e6f8.json';
  writeFileResult({ path }, result());
  expect(readdirSync(join(path, 'quantized'))).toEqual([name]);
  expect(readFileSync(join(path, 'quantized', name), 'utf8')).toBe(`${JSON.stringify(result())}\n`);
  expect(readFileResult({ path }, plain)).toEqual(result());
  writeFileResult({ path }, { ...result(), bytes: 13 });
  expect(readFileResult({ path }, plain)).toEqual({ ...result(), bytes: 13 });
  expect(readdirSync(join(path, 'quantized'))).toEqual([name]);
});

test('a file that was not measured yet has no result', () => {
  const [seven, eight] = [7, 8].map((weightBits) => ({ scheme: 'int8', calibration: 'mse', weightBits }) as StudyQuantization);
  writeFileResult({ path }, result(seven));
  expect(readdirSync(join(path, 'quantized'))).toEqual([expect.stringMatching(/^int8-[0-9a-f]{12}\.json$/)]);
  expect(readFileResult({ path }, seven!)).toEqual(result(seven));
  expect(readFileResult({ path }, eight!)).toBeUndefined();
  expect(readFileResult({ path: join(path, 'another') }, seven!)).toBeUndefined();
});

test('a damaged record is none: the file is measured again', () => {
  const evaluation = recordedEvaluation();
  for (const damaged of [
    { ...result(), bytes: '12' },
    { ...result(), bytes: 1.5 },
    { ...result(), quantization: { scheme: 'another' } },
    { ...result(), evaluation: { ...evaluation, accuracy: null } },
    { ...result(), evaluation: { ...evaluation, confusion: [[1]] } },
    { quantization: plain, bytes: 12 },
  ] as unknown as FileResult[]) {
    writeFileResult({ path }, result());
    const [name] = readdirSync(join(path, 'quantized'));
    writeFileSync(join(path, 'quantized', name!), JSON.stringify(damaged));
    expect(readFileResult({ path }, plain)).toBeUndefined();
  }
});
