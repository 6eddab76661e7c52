/** Tells trainings apart that have the same name in other folders. */
import { createHash } from 'node:crypto';
import type { TrainingConfig } from '../train/config-schema.ts';
import { resumableKeys } from '../train/resume.ts';
import { configWithoutPaths } from './without-paths.ts';

/** A training that goes on, or is recorded in another way, is the same. */
const changeable: ReadonlySet<string> = new Set(resumableKeys);

/** Hexadecimal digits; the same for a run and for what is frozen of it. */
export function trainingIdentity(config: TrainingConfig): string {
  const said = Object.entries(configWithoutPaths(config))
    .filter(([key]) => !changeable.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 12);
}
