import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { jsonObjectAt } from './json-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-json-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['{"a":[1]}', { a: [1] }],
  ['{"a":', undefined],
  ['', undefined],
  ['null', undefined],
  ['[1]', undefined],
  ['"text"', undefined],
])('%j holds %j', (text, object) => {
  writeFileSync(join(folder, 'record.json'), text);
  expect(jsonObjectAt(join(folder, 'record.json'))).toEqual(object);
});

test('a file that is missing, or none, holds nothing', () => {
  expect(jsonObjectAt(join(folder, 'missing.json'))).toBeUndefined();
  expect(jsonObjectAt(folder)).toBeUndefined();
});
