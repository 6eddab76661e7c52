import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cifar10Classes } from '../data/cifar10.ts';
import { studyJsonSchema } from './json-schema.ts';
import { planStudy } from './plan.ts';
import { parseStudyFile } from './study-file.ts';

const root = new URL('../../', import.meta.url);
const projectStudies = readdirSync(new URL('studies/', root))
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => `studies/${name}`);

test('the published schema is that of the program (after a change: npm run schema)', () => {
  expect(JSON.parse(readFileSync(new URL('schemas/study.schema.json', root), 'utf8'))).toEqual(studyJsonSchema());
});

test('the studies of the project name the schema', () => {
  expect(projectStudies.length).toBeGreaterThan(0);
  for (const path of projectStudies) {
    expect(readFileSync(new URL(path, root), 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\.\/schemas\/study\.schema\.json$/m,
    );
  }
});

test('the studies of the project can be planned: every run has a configuration that is allowed', () => {
  const facts = { shape: [3, 32, 32], train: { count: 50_000 }, classes: cifar10Classes } as const;
  for (const path of projectStudies) {
    const { runs, name } = planStudy(parseStudyFile(readFileSync(new URL(path, root), 'utf8'), path), facts);
    expect(`studies/${name}.yaml`).toBe(path);
    expect(new Set(runs.map(({ identity }) => identity)).size, path).toBeGreaterThan(2);
  }
});
