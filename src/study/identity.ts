import { createHash } from 'node:crypto';
import { configKeys, type TrainingConfig } from '../train/config-schema.ts';
import { resumableKeys } from '../train/resume.ts';

/**
 * Keys that do not change what is computed, nor how it is evaluated. `steps` and `epochs` do: schedules depend on the length. The recipe's name does not: its settings are all
 * there, and they count.
 */
const ignored: ReadonlySet<string> = new Set([...resumableKeys.filter((key) => key !== 'steps' && key !== 'epochs'), 'recipe']);

/** Names the rules by which identities are made: those made by others cannot be compared with these. */
export const identityFormat = `ablate-identity-3 ${digestOf([[...ignored], configKeys])}`;

/** Keys that say where something lies: of no matter once it is known what that is. */
const checksums = { augmentWith: 'augmentationChecksum', init: 'initChecksum', teacher: 'teacherChecksum' } as const;

function isRelevant(key: string, config: TrainingConfig): boolean {
  if (key in checksums) return config[checksums[key as keyof typeof checksums]] === '';
  return config.teacher !== 'none' || (key !== 'teacherWeight' && key !== 'teacherTemperature');
}

/**
 * A name for what a configuration computes, its seed included: two runs of the same identity, on the same images, are the same experiment.
 */
export function runIdentity(config: TrainingConfig): string {
  return digest(config, ignored);
}

/** Like `runIdentity`, the seed left out: repetitions of one experiment share it. */
export function experimentIdentity(config: TrainingConfig): string {
  return digest(config, new Set([...ignored, 'seed']));
}

function digest(config: TrainingConfig, without: ReadonlySet<string>): string {
  const relevant = Object.entries(config).filter(([key]) => !without.has(key) && isRelevant(key, config));
  return digestOf(sorted(Object.fromEntries(relevant)));
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}

/** The same value with the keys of all objects in order, so that equal values have equal texts. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
