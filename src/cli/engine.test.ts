import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeEnvironment } from '../runs/environment.ts';
import { createRun } from '../runs/run-folder.ts';
import { ConfigurationError } from '../util/errors.ts';
import { engineToResume } from './engine.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-engine-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const runOf = (engine?: string) =>
  createRun(folder, 'tuto', { steps: 1 }, describeEnvironment({ threads: 1, ...(engine !== undefined && { engine }) }));

describe('a run goes on', () => {
  test('with its engine, unless another is asked for', () => {
    expect(engineToResume(runOf('reference'), {})).toBe('reference');
    expect(engineToResume(runOf('reference'), { engine: 'auto' })).toBe('auto');
  });

  test('with the fastest engine if it was only prepared, or its record cannot be read', () => {
    expect(engineToResume(runOf(), {})).toBeUndefined();
    const damaged = runOf('reference');
    writeFileSync(join(damaged.path, 'environment.json'), '{ "threads": ');
    expect(engineToResume(damaged, {})).toBeUndefined();
  });

  test('not with an engine that there is none of here', () => {
    expect(() => engineToResume(runOf('abacus'), {})).toThrow(ConfigurationError);
  });
});
