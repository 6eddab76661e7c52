/** The same report for runs that belong to no study: repetitions (runs that differ in their seed only) are put together. */
import { findRun, runName, type Run } from '../runs/run-folder.ts';
import type { Contrast } from '../study/contrast.ts';
import { estimateEffects } from '../study/effects.ts';
import { experimentIdentity } from '../study/identity.ts';
import { fingerprintOf, wasExtended } from '../study/run-finder.ts';
import type { DatasetFacts } from '../train/classifier.ts';
import { recordedClassifier } from '../train/classifier-record.ts';
import { recordedConfig } from '../train/resume.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { quoted } from '../util/shell.ts';
import { changedKeys, distinctEnvironments, gatherVariant } from './gather.ts';
import { commonNotes, outcomesOf, versionNotes } from './study-report.ts';
import type { ReportData } from './report-data.ts';
import { filesNamedIn, withShownDatasets } from './shown-dataset.ts';

interface Repetitions {
  readonly config: TrainingConfig;
  readonly runs: { readonly run: Run; readonly seed: number }[];
}

/**
 * @param references runs as the command line takes them; the first is what the others are compared with
 * @throws ConfigurationError if they do not go together; DataError for runs that are not there
 */
export function gatherRuns(references: readonly string[], runsFolder: string): ReportData {
  const runs = references.map((reference) => findRun(runsFolder, reference));
  checkDistinct(runs);
  const groups = new Map<string, Repetitions>();
  for (const run of runs) {
    const config = recordedConfig(run);
    // A run continued to more steps had another schedule: it is no repetition of one made for as many.
    const identity = `${experimentIdentity(config)}${isOtherwiseScheduled(run, config) ? ` ${run.path}` : ''}`;
    const group = groups.get(identity) ?? { config, runs: [] };
    const same = group.runs.find(({ seed }) => seed === config.seed);
    if (same !== undefined) {
      throw new ConfigurationError(
        `${runName(run)} and ${runName(same.run)} are the same experiment with the same seed (=${config.seed})`,
        {
          fix: 'leave one of them out',
        },
      );
    }
    group.runs.push({ run, seed: config.seed });
    groups.set(identity, group);
  }
  const all = [...groups.values()];
  const first = all[0]!.config;
  checkComparable(runs, all, first);
  const facts = imagesOf(runs[0]!);
  const variants = all.map(({ config, runs: repetitions }) =>
    gatherVariant(
      { name: nameOf(config, first, repetitions), config, quantization: undefined, runs: repetitions },
      { config: first, quantization: undefined },
      facts,
    ),
  );
  const reference = variants[0]!.name;
  const contrasts = variants.slice(1).map(({ name }): Contrast => ({
    kind: 'difference',
    factor: name,
    level: name,
    reference,
    weights: [
      { variant: name, weight: 1 },
      { variant: reference, weight: -1 },
    ],
  }));
  const seeds = [...new Set(all.flatMap((group) => group.runs.map(({ seed }) => seed)))].sort((a, b) => a - b);
  const continued = runs.filter((run) => isOtherwiseScheduled(run, recordedConfig(run)));
  const unfinished = variants.flatMap((variant) => variant.runs).filter(({ state }) => state !== 'finished');
  const effects = estimateEffects(contrasts, outcomesOf(variants));
  const environments = distinctEnvironments(runs);
  const data: ReportData = {
    name: 'comparison',
    title: `Comparison of ${runs.length} runs`,
    description: '',
    design: 'runs compared by hand',
    dataset: first.dataset,
    synthetic: first.dataset === 'synthetic',
    split: first.val ? 'val' : 'test',
    classes: facts.classes,
    shape: facts.shape,
    seeds,
    reference,
    variants,
    effects,
    environments,
    command: `npx ablate runs compare ${references.map(quoted).join(' ')}`,
    studyText: undefined,
    costNotes: [],
    notes: [
      ...commonNotes(first.dataset === 'synthetic', seeds.length),
      ...versionNotes(environments),
      ...(effects.length < contrasts.length
        ? [
            'Differences are between finished runs of the same seed: what has no seed finished in common with the first is not compared.',
          ]
        : []),
      ...(continued.length > 0
        ? [
            `Continued to another number of steps than planned, so with a schedule of their own: ${continued.map(runName).join(', ')}.`,
          ]
        : []),
      ...(unfinished.length > 0 ? [`Not finished: ${unfinished.map(({ run }) => run).join(', ')}. They are left out.`] : []),
    ],
  };
  return withShownDatasets(data, [first.dataset, ...filesNamedIn(all.map(({ config }) => config))]);
}

function isOtherwiseScheduled(run: Run, { schedule }: TrainingConfig): boolean {
  return schedule.type !== 'constant' && wasExtended(run);
}

function checkDistinct(runs: readonly Run[]): void {
  if (new Set(runs.map(({ path }) => path)).size < 2) {
    throw new ConfigurationError('runs compare takes two or more different runs', { fix: 'ablate runs list shows them' });
  }
}

const sameImages = 'compare runs that were evaluated on the same images';

/** Accuracies on different images, or different parts of them, say nothing of each other. */
function checkComparable(runs: readonly Run[], groups: readonly Repetitions[], first: TrainingConfig): void {
  for (const { config, runs: repetitions } of groups) {
    const key = (['dataset', 'val'] as const).find((each) => config[each] !== first[each]);
    if (key === undefined) continue;
    throw new ConfigurationError(
      `${key} (=${String(config[key])}) of ${runName(repetitions[0]!.run)} must be ${String(first[key])}, as of ${runName(runs[0]!)}`,
      { fix: sameImages },
    );
  }
  const known = runs.map(fingerprintOf);
  const reference = known.find((fingerprint) => fingerprint !== undefined);
  const other = known.findIndex((fingerprint) => fingerprint !== undefined && fingerprint !== reference);
  if (other === -1) return;
  const than = runName(runs[known.indexOf(reference)]!);
  throw new ConfigurationError(`${runName(runs[other]!)} was trained on other images than ${than}`, { fix: sameImages });
}

function imagesOf(run: Run): DatasetFacts {
  const classifier = recordedClassifier(run);
  if (classifier !== undefined) return { shape: classifier.imageShape, classes: classifier.classes };
  throw new DataError(`${runName(run)} does not say which images it is for: it has no classifier.json`, { fix: 'leave it out' });
}

/** The run, how many more there are, and what is different from the first, as far as there is room. */
function nameOf(config: TrainingConfig, first: TrainingConfig, runs: Repetitions['runs']): string {
  const changes = Object.entries(changedKeys(config, first)).filter(([key]) => key !== 'model');
  const shown = changes.slice(0, 3).map(([key, value]) => `${key.replace(/^model\./, '')} ${value}`);
  const names = runs.map(({ run }) => runName(run));
  const which = names.length === 1 ? names[0]! : `${names[0]!} and ${names.length - 1} more`;
  return shown.length === 0 ? which : `${which} (${shown.join(', ')})`;
}
