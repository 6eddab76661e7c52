import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as z from 'zod';
import { DataError } from './errors.ts';
import { recordAt, requiredRecordAt } from './json-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-json-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'record.json');
const schema = z.object({ step: z.int(), name: z.string() });
const required = () => requiredRecordAt(path, schema, 'is damaged', 'restore it');

test('what a file must hold is read', () => {
  writeFileSync(path, '{"step":3,"name":"a","more":1}');
  expect(required()).toEqual({ step: 3, name: 'a' });
  expect(recordAt(path, schema)).toEqual({ step: 3, name: 'a' });
});

test.each([
  ['{', /^PATH is damaged: .*JSON/],
  ['5', /^PATH is damaged: .* must be a group of keys: step, name$/],
  ['{"step":1.5}', /^PATH is damaged: step \(=1\.5\) must be an integer; name \(=missing\) must be a text$/],
])('%s is refused with the file, all that is wrong and the fix', (text, message) => {
  writeFileSync(path, text);
  try {
    required();
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).message.replace(path, 'PATH')).toMatch(message);
    expect((error as DataError).fix).toBe('restore it');
  }
  expect(recordAt(path, schema)).toBeUndefined();
});
