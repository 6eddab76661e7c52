/** The sentences and lists of a report that Markdown and HTML share. */
import type { EnvironmentRecord } from '../runs/environment.ts';
import { formatCounted } from '../util/format.ts';
import { allKeys, flatten } from './gather.ts';
import type { ReportData, ReportVariant } from './report-data.ts';

/** One line: what was trained on what. */
export function subtitle({ design, dataset, variants, seeds, split }: ReportData): string {
  const runs = variants.flatMap((variant) => variant.runs);
  const finished = runs.filter(({ state }) => state === 'finished').length;
  const repetitions = seeds.length === 1 ? `seed ${seeds[0]!}` : `${seeds.length} seeds`;
  return `${dataset}; ${design}; ${formatCounted(variants.length, 'variant')} with ${repetitions}, ${finished} of ${formatCounted(runs.length, 'run')} finished; accuracies on the ${split === 'val' ? 'validation' : 'test'} images.`;
}

/** How the numbers of the effects were made. */
export const method =
  'Differences are between runs of the same seed, which see the same images in the same order with the same augmentation. ' +
  "Intervals are Student's t over the seeds. A change is better or worse where its p-value, corrected for the number of comparisons (Holm), is below 0.05; unresolved does not mean that there is no difference. " +
  'The last column: how many seeds would find half a point in four studies of five, as the only comparison; with several it takes more.';

/** How hypotheses are judged. */
export const hypothesesMethod =
  'Written down before the study, in its file. More or less accuracy is a verdict of the table below, corrected for all comparisons; the same is an interval that ' +
  'lies within the margin as a whole. Open: the interval is too wide to tell, or there is none; so many seeds would find a difference of the margin in four studies of five.';

/** The configuration of the reference as dotted keys. */
export function configurationOf({ variants, reference }: ReportData): readonly (readonly [string, string])[] {
  const base = variants.find(({ name }) => name === reference) ?? variants[0];
  return base === undefined ? [] : Object.entries(flatten(allKeys(base))).filter(([key]) => key !== 'seed');
}

/** `augment false, inputSize 32` */
export function describeChanges({ changes }: ReportVariant): string {
  return Object.entries(changes)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
}

export function describeEnvironmentLine({ cpu, threads, operatingSystem, versions, git }: EnvironmentRecord): string {
  const libraries = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  const commit = git === undefined ? '' : `; commit ${git.commit.slice(0, 10)}${git.dirty ? ' with changes' : ''}`;
  return `${cpu.model}, ${threads} of ${cpu.physicalCores} cores for each run; ${operatingSystem}; ${libraries}${commit}`;
}
