/** The report of a study, from its state and the folders of its runs. */
import type { EnvironmentRecord } from '../runs/environment.ts';
import { readConfig, runName, type Run } from '../runs/run-folder.ts';
import { contrastName, type Contrast } from '../study/contrast.ts';
import { estimateEffects, type Effect, type Outcome } from '../study/effects.ts';
import { judgeHypotheses } from '../study/hypotheses.ts';
import { runIdentity } from '../study/identity.ts';
import { planStudy, type StudyPlan } from '../study/plan.ts';
import { wasExtended } from '../study/run-finder.ts';
import { openStudyRun } from '../study/runner.ts';
import { recordedModels } from '../study/recorded-models.ts';
import { parseStudyFile } from '../study/study-file.ts';
import type { StudyModels } from '../study/study-models.ts';
import type { DesignName } from '../study/study-schema.ts';
import { readStudyState, studiesFolder, studyNames, type StudyRun, type StudyState } from '../study/study-state.ts';
import { checkConfig } from '../train/complete-config.ts';
import { DataError } from '../util/errors.ts';
import { quoted } from '../util/shell.ts';
import { didYouMean } from '../util/suggest.ts';
import { distinctEnvironments, gatherVariant, type RunReference } from './gather.ts';
import type { ReportData, ReportRun, ReportVariant, UncomparedChange } from './report-data.ts';
import { filesNamedIn, withShownDatasets } from './shown-dataset.ts';

/** Designs in words. */
export const designWords: Readonly<Record<DesignName, string>> = {
  'one-at-a-time': 'the baseline, and one change at a time',
  'leave-one-out': 'everything on, and all but one change',
  factorial: 'all combinations of the changes (full factorial)',
  grid: 'a search over all combinations (grid)',
  random: 'a search over random combinations',
  models: 'the same training for several models',
};

/**
 * What a study has found, from its record and the folders of its runs.
 *
 * @param models of studies that name other models than the lab's; default: as the runs have recorded them
 * @throws DataError if the study was never run; and what `gatherStudy` throws
 */
export function readStudyResults(name: string, runsFolder: string, models?: StudyModels): ReportData {
  return gatherStudy(requireStudyState(runsFolder, name), runsFolder, models);
}

/** @throws DataError if the study was never run */
export function requireStudyState(runsFolder: string, name: string): StudyState {
  const state = readStudyState(runsFolder, name);
  if (state !== undefined) return state;
  const names = studyNames(runsFolder);
  throw new DataError(`there is no study "${name}" in ${studiesFolder(runsFolder)}.${didYouMean(name, names)}`, {
    fix: names.length === 0 ? 'ablate study <study.yaml> runs one' : `the studies there are: ${names.join(', ')}`,
  });
}

/** @throws ConfigurationError if the study's file is no longer valid for this version; DataError if runs were removed */
export function gatherStudy(
  state: StudyState,
  runsFolder: string,
  models: StudyModels = recordedModels(state, runsFolder),
): ReportData {
  const file = parseStudyFile(state.file.text, state.file.path);
  const otherImages = file.source.dataset === state.dataset.name ? '' : ` --data ${quoted(state.dataset.name)}`;
  const plan = planStudy(parseStudyFile(state.file.text, state.file.path, state.dataset.name), state.dataset, models);
  const references = new Map(state.runs.map((each) => [keyOf(each), each]));
  const opened: Run[] = [];
  const referenceOf = (variant: string, seed: number): RunReference => {
    const recorded = references.get(keyOf({ variant, seed }));
    const run = recorded && openStudyRun(runsFolder, recorded);
    if (run !== undefined) {
      requireSameRun(run, plan, { variant, seed });
      opened.push(run);
    }
    return { run, seed, ...(recorded && decisionOf(recorded)) };
  };
  const { design } = plan;
  const choicesOf = (variant: string) => plan.runs.find((run) => run.variant === variant)!;
  const baseline = choicesOf(design.reference ?? design.variants[0]!.name);
  const variants = design.variants.map(({ name }) => {
    const { config, quantization, classifier } = choicesOf(name);
    const runs = design.seeds.map((seed) => referenceOf(name, seed));
    return gatherVariant({ name, config, quantization, planned: classifier.network, runs }, baseline, state.dataset);
  });
  const outcomes = outcomesOf(variants);
  const effects = estimateEffects(design.contrasts, outcomes);
  const environments = distinctEnvironments(opened);
  const data: ReportData = {
    name: plan.name,
    title: plan.title,
    description: plan.description,
    design: designWords[design.name],
    dataset: state.dataset.name,
    synthetic: state.dataset.synthetic,
    split: baseline.config.val ? 'val' : 'test',
    classes: state.dataset.classes,
    shape: state.dataset.shape,
    seeds: design.seeds,
    reference: design.reference,
    variants,
    effects,
    uncompared: uncomparedOf(design.contrasts, effects, variants),
    ...(design.hypotheses.length > 0 && { hypotheses: judgeHypotheses(design.hypotheses, effects) }),
    environments,
    // A study in a program has no file.
    command: /\.ya?ml$/.test(state.file.path)
      ? `npx ablate study ${quoted(state.file.path)}${otherImages}`
      : `# run the program again that holds the ${state.file.path}`,
    studyText: state.file.text,
    notes: notesOf(plan, variants, state, environments),
    costNotes: [],
  };
  return withShownDatasets(data, [
    state.dataset.name,
    file.source.dataset,
    ...filesNamedIn(plan.runs.map(({ config }) => config)),
  ]);
}

/** What the study decided on a run that is not finished. */
function decisionOf({ state, reason }: StudyRun): Pick<RunReference, 'decided'> {
  return state === 'diverged' || state === 'failed' || state === 'stopped' ? { decided: { state, reason } } : {};
}

/** A number may be given again after a run was removed, and a run may be trained further than the study wanted it. */
function requireSameRun(run: Run, { name, runs }: StudyPlan, { variant, seed }: Pick<StudyRun, 'variant' | 'seed'>): void {
  const planned = runs.find((each) => each.variant === variant && each.seed === seed);
  const problem =
    runIdentity(checkConfig(readConfig(run))) !== planned?.identity
      ? `is not the run of "${variant}" with seed ${seed} any more`
      : wasExtended(run)
        ? 'was continued to another number of steps since'
        : undefined;
  if (problem === undefined) return;
  throw new DataError(`${runName(run)} ${problem}`, { fix: `run the study ${name} again: it trains what is missing` });
}

/** The contrasts without an effect, with the worst that became of their runs. */
function uncomparedOf(
  contrasts: readonly Contrast[],
  effects: readonly Effect[],
  variants: readonly ReportVariant[],
): UncomparedChange[] {
  const compared = new Set(effects.map(({ name }) => name));
  return contrasts.flatMap((contrast) => {
    const name = contrastName(contrast);
    if (compared.has(name)) return [];
    const runs = contrast.weights.flatMap(({ variant }) => variants.find((each) => each.name === variant)!.runs);
    const state = (['diverged', 'failed', 'stopped'] as const).find((each) => runs.some((run) => run.state === each));
    return [{ name, reference: contrast.reference, state: state ?? 'unfinished' }];
  });
}

export function outcomesOf(variants: readonly ReportVariant[]): Outcome[] {
  return variants.flatMap(({ name, runs }) =>
    runs.flatMap(({ seed, accuracy }) => (accuracy === undefined ? [] : [{ variant: name, seed, accuracy }])),
  );
}

function keyOf({ variant, seed }: Pick<StudyRun, 'variant' | 'seed'>): string {
  return `${seed} ${variant}`;
}

function notesOf(
  { design }: StudyPlan,
  variants: readonly ReportVariant[],
  { dataset }: StudyState,
  environments: readonly EnvironmentRecord[],
): string[] {
  const runs = variants.flatMap((variant) => variant.runs);
  const count = (state: ReportRun['state']) => runs.filter((run) => run.state === state).length;
  const notes = [...commonNotes(dataset.synthetic, design.seeds.length), ...versionNotes(environments)];
  const [unfinished, diverged, failed, stopped] = [count('unfinished'), count('diverged'), count('failed'), count('stopped')];
  if (unfinished > 0) notes.push(`${unfinished} of ${runs.length} runs are not finished: what is said here is of the others.`);
  if (diverged > 0) notes.push(`${diverged} of ${runs.length} runs diverged, which is their result: they have no accuracy.`);
  if (failed > 0) notes.push(`${failed} of ${runs.length} runs failed; the table of runs says why.`);
  if (stopped > 0)
    notes.push(`${stopped} of ${runs.length} runs were stopped early, as they were not among the best (successive halving).`);
  if (variants.some(({ quantization }) => quantization !== undefined)) notes.push(filesNote);
  const isSearch = design.name === 'grid' || design.name === 'random';
  if (isSearch && !variants.some(({ config }) => config.val)) {
    notes.push(
      'The search compared accuracies on the test set, so that the best of them flatters itself: set val: true, and test the winner once.',
    );
  }
  return notes;
}

const filesNote =
  'Accuracies and bytes are those of the frozen files themselves, run on all images with ONNX Runtime. Files that differ in quantization alone are of ' +
  'the same trained networks.';

/** What any comparison must say of runs that were made by different code. */
export function versionNotes(environments: readonly EnvironmentRecord[]): string[] {
  const codes = new Set(
    environments.map(
      ({ versions, git }) => `ablate ${versions.ablate}${git === undefined ? '' : ` (${git.commit.slice(0, 7)})`}`,
    ),
  );
  return codes.size < 2 ? [] : [`The runs were made by different versions: ${[...codes].sort().join(', ')}.`];
}

/** What any comparison must say of its images and repetitions. */
export function commonNotes(synthetic: boolean, seeds: number): string[] {
  return [
    ...(synthetic ? ['The images are synthetic: drawn by this program, not photographs.'] : []),
    ...(seeds === 1
      ? [
          'One seed: no interval can be given, and small differences may be chance. Two seeds give an interval, three or more a useful one.',
        ]
      : []),
  ];
}
