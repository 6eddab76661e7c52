import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { studyJsonSchema } from './json-schema.ts';

const root = new URL('../../', import.meta.url);

test('the published schema is that of the program (after a change: npm run schema)', () => {
  expect(JSON.parse(readFileSync(new URL('schemas/study.schema.json', root), 'utf8'))).toEqual(studyJsonSchema());
});

test('the studies of the project name the schema', () => {
  const studies = readdirSync(new URL('studies/', root)).filter((name) => name.endsWith('.yaml'));
  expect(studies.length).toBeGreaterThan(0);
  for (const name of studies) {
    expect(readFileSync(new URL(`studies/${name}`, root), 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\.\/schemas\/study\.schema\.json$/m,
    );
  }
});
