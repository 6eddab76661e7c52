/**
 * From a study file to what is trained (variants) and what is asked of the results (contrasts).
 */
import { modelDefinition } from '../models/registry.ts';
import { isCodeFile } from '../util/file-names.ts';
import { integer, streamKey, uniform } from '../util/random.ts';
import { describePath, type Path } from '../util/schema.ts';
import { didYouMean } from '../util/suggest.ts';
import { formatCount, formatCounted } from '../util/format.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { contrastName, type Contrast } from './contrast.ts';
import { factorialCells, factorialContrasts } from './factorial.ts';
import type { StudyFile } from './study-file.ts';
import type { DesignName, FactorSource, HalvingRule, Hypothesis, StudySource } from './study-schema.ts';

/** Keys of the configuration with their values, and where in the study file they stand. */
export interface Change {
  readonly overrides: ConfigOverrides;
  readonly at: Path;
}

export interface Variant {
  /** As tables and figures call it. */
  readonly name: string;
  /** Applied in this order to the defaults; the baseline first. */
  readonly changes: readonly Change[];
}

export interface Design {
  readonly name: DesignName;
  readonly variants: readonly Variant[];
  /** Empty for searches, which rank instead. */
  readonly contrasts: readonly Contrast[];
  /** The variant that others are drawn against in figures; undefined for searches. */
  readonly reference: string | undefined;
  readonly seeds: readonly number[];
  readonly halving: HalvingRule | undefined;
  readonly hypotheses: readonly Hypothesis[];
}

/** A value that a factor can take. */
interface Level extends Change {
  /** Beside the factor's name. */
  readonly label: string;
  /** Where the factor is not named. */
  readonly ownLabel: string;
}

/** @throws ConfigurationError naming the line, for what does not go together */
export function designOf(file: StudyFile): Design {
  const { design: name, halving, hypotheses } = file.source;
  requireFewRuns(file);
  checkTogether(file);
  const seeds = seedsOf(file);
  const built = builders[name](file);
  checkHypotheses(file, built.contrasts.map(contrastName));
  return { name, seeds, halving, hypotheses, ...built };
}

/** @param names of the changes that are compared */
function checkHypotheses({ source, error }: StudyFile, names: readonly string[]): void {
  source.hypotheses.forEach(({ changes }, i) => {
    const at = changes.findIndex((change) => !names.includes(change));
    if (at === -1) return;
    const allowed =
      names.length === 0
        ? 'left out: a search compares none'
        : `one of the changes of the study: ${names.join(', ')}.${didYouMean(changes[at]!, names)}`;
    throw error(['hypotheses', i, 'changes', at], `hypotheses[${i}].changes[${at}] (=${changes[at]!}) must be ${allowed}`);
  });
}

type Built = Pick<Design, 'variants' | 'contrasts' | 'reference'>;

const builders: Readonly<Record<DesignName, (file: StudyFile) => Built>> = {
  'one-at-a-time': oneAtATime,
  'leave-one-out': leaveOneOut,
  factorial,
  grid,
  random,
  models,
};

function baselineOf({ source }: StudyFile): Change {
  return { overrides: source.baseline, at: ['baseline'] };
}

function oneAtATime(file: StudyFile): Built {
  const { factors } = file.source;
  const baseline: Variant = { name: 'baseline', changes: [baselineOf(file)] };
  const variants = [baseline];
  const contrasts: Contrast[] = [];
  factors.forEach((factor, i) => {
    const reference = referenceOf(file, factor, i) ?? baseline;
    for (const level of levelsOf(factor, i)) {
      const name = variantName(factor, level);
      variants.push({ name, changes: [...reference.changes, level] });
      contrasts.push(difference(factor.name, level.label, name, reference.name));
    }
  });
  return { variants, contrasts, reference: baseline.name };
}

/** The variant that a factor with `against` is compared with. */
function referenceOf(file: StudyFile, { name, against }: FactorSource, index: number): Variant | undefined {
  if (against === undefined) return undefined;
  const { factors } = file.source;
  const at = factors.findIndex((factor) => factor.name === against);
  const target = factors[at];
  if (target?.set === undefined || target.against !== undefined || target.name === name) {
    const allowed = factors.filter((factor) => factor.set !== undefined && factor.against === undefined && factor.name !== name);
    const names = allowed.map((factor) => factor.name).join(', ');
    throw file.error(
      ['factors', index, 'against'],
      `factors[${index}].against (=${against}) must be the name of another factor with "set" and without "against": ${names === '' ? 'there is none' : names}`,
    );
  }
  return { name: target.name, changes: [baselineOf(file), ...levelsOf(target, at)] };
}

function leaveOneOut(file: StudyFile): Built {
  const { factors } = file.source;
  const all = factors.map((factor, i) => levelsOf(factor, i)[0]!);
  const everything: Variant = { name: 'everything on', changes: [baselineOf(file), ...all] };
  const variants = factors.map(({ name }, i) => ({
    name: `without ${name}`,
    changes: [baselineOf(file), ...all.filter((_, other) => other !== i)],
  }));
  return {
    variants: [everything, ...variants],
    contrasts: factors.map(({ name }) => difference(name, 'left out', `without ${name}`, everything.name)),
    reference: everything.name,
  };
}

function models(file: StudyFile): Built {
  const { baseline, models: listed } = file.source;
  const named = listed.map((model, i) => ({ model, change: { overrides: { model }, at: ['models', i] } }));
  const given = baseline['model'];
  const isListed = typeof given !== 'string' || listed.includes(given);
  const first = isListed ? [] : [{ model: given, change: { overrides: {}, at: ['baseline', 'model'] } }];
  const inOrder = [...first, ...named].sort((a, b) => Number(b.model === given) - Number(a.model === given));
  const variants = inOrder.map(({ model, change }) => ({ name: model, changes: [baselineOf(file), change] }));
  const reference = variants[0]!.name;
  return {
    variants,
    contrasts: variants.slice(1).map(({ name }) => difference('model', name, name, reference)),
    reference,
  };
}

function factorial(file: StudyFile): Built {
  const { factors } = file.source;
  const levels = factors.map((factor, i) => levelsOf(factor, i));
  const cells = factorialCells(factors.map(({ name }, i) => ({ name, levels: levels[i]!.map(({ label }) => label) })));
  const variants = cells.map(({ name, levels: chosen }) => ({
    name,
    changes: [baselineOf(file), ...chosen.flatMap((level, i) => (level === 0 ? [] : [levels[i]![level - 1]!]))],
  }));
  return { variants, contrasts: factorialContrasts(cells), reference: variants[0]!.name };
}

function grid(file: StudyFile): Built {
  let combinations: Level[][] = [[]];
  file.source.factors.forEach((factor, i) => {
    const levels = searchLevels(factor, i);
    combinations = combinations.flatMap((chosen) => levels.map((level) => [...chosen, level]));
  });
  return search(file, combinations);
}

/** Draws of one random search are the same for the same file. */
const drawSeed = 0;

function random(file: StudyFile): Built {
  const { factors, trials = 0 } = file.source;
  const levels = factors.map(searchLevels);
  const combinations = new Map<string, Level[]>();
  // Discrete factors have only so many combinations: after enough repeats there are no more to find.
  // Stryker disable next-line EqualityOperator: one draw more or less of so many
  for (let trial = 0; combinations.size < trials && trial < 100 * trials; trial++) {
    const key = streamKey(drawSeed, 'study:random', trial);
    const chosen = factors.map((factor, i) => drawLevel(factor, levels[i]!, i, key));
    combinations.set(trialName(chosen), chosen);
  }
  if (combinations.size < trials) {
    throw file.error(
      ['trials'],
      `trials (=${trials}) must be at most ${combinations.size}: the factors have no more combinations`,
      'give fewer trials, or use design: grid',
    );
  }
  return search(file, [...combinations.values()]);
}

function search(file: StudyFile, combinations: readonly (readonly Level[])[]): Built {
  const variants = combinations.map((chosen) => ({ name: trialName(chosen), changes: [baselineOf(file), ...chosen] }));
  return { variants, contrasts: [], reference: undefined };
}

function trialName(chosen: readonly Level[]): string {
  return chosen.map(({ ownLabel }) => ownLabel).join(', ');
}

function drawLevel({ range }: FactorSource, levels: readonly Level[], index: number, key: number): Level {
  if (range === undefined) return levels[integer(key, index, levels.length)]!;
  const { low, high, scale } = range;
  const fraction = uniform(key, index);
  const exact = scale === 'log' ? low * (high / low) ** fraction : low + (high - low) * fraction;
  // Three digits are enough to tell values apart, and can be read.
  const value = range.integer ? Math.round(exact) : Number(exact.toPrecision(3));
  const label = `${range.key} ${value}`;
  return { label, ownLabel: label, overrides: { [range.key]: value }, at: ['factors', index, 'range', 'key'] };
}

/** In a search a factor with `set` may be on or off; one with levels has just those. */
function searchLevels(factor: FactorSource, index: number): readonly Level[] {
  const levels = levelsOf(factor, index);
  if (factor.set === undefined) return levels;
  const label = `no ${factor.name}`;
  return [{ label, ownLabel: label, overrides: {}, at: ['factors', index] }, ...levels];
}

/** The changes that a factor stands for; without the baseline. */
function levelsOf({ name, set, levels = [] }: FactorSource, index: number): readonly Level[] {
  if (set !== undefined) return [{ label: name, ownLabel: name, overrides: set, at: ['factors', index, 'set'] }];
  const keys = new Set(levels.map((level) => Object.keys(isLabelled(level) ? level.set : level).join()));
  return levels.map((level, i) => {
    const at = ['factors', index, 'levels', i];
    if (isLabelled(level)) {
      return { label: level.label, ownLabel: `${name} ${level.label}`, overrides: level.set, at: [...at, 'set'] };
    }
    const [value, ...more] = Object.values(level);
    // Values of one and the same key need not repeat it.
    const label = keys.size === 1 && more.length === 0 ? show(value) : labelOf(level);
    return { label, ownLabel: labelOf(level), overrides: level, at };
  });
}

function isLabelled(level: object): level is { readonly label: string; readonly set: ConfigOverrides } {
  return 'label' in level && 'set' in level;
}

/** `learningRate 0.05, batchSize 64` */
function labelOf(overrides: ConfigOverrides): string {
  return Object.entries(overrides)
    .map(([key, value]) => `${key} ${show(value)}`)
    .join(', ');
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function variantName({ name, set }: FactorSource, { label }: Level): string {
  return set === undefined ? `${name}: ${label}` : name;
}

function difference(factor: string, level: string, variant: string, reference: string): Contrast {
  const weights = [
    { variant, weight: 1 },
    { variant: reference, weight: -1 },
  ];
  return { kind: 'difference', factor, level, reference, weights };
}

function seedsOf({ source, error }: StudyFile): readonly number[] {
  const { seeds } = source;
  if (typeof seeds === 'number') return Array.from({ length: seeds }, (_, i) => i + 1);
  seeds.forEach((seed, i) => {
    if (seeds.indexOf(seed) !== i) throw error(['seeds', i], `seeds[${i}] (=${seed}) must be different from the seeds before it`);
  });
  return seeds;
}

/** More runs than this are a mistake in the file. */
const mostRuns = 10_000;

/** How many variants a design has, without making them: the combinations of a few dozen factors do not fit into any memory. */
const variantCounts: Readonly<Record<DesignName, (source: StudySource) => number>> = {
  'one-at-a-time': ({ factors }) => factors.reduce((sum, factor) => sum + changeCount(factor), 1),
  'leave-one-out': ({ factors }) => factors.length + 1,
  factorial: ({ factors }) => factors.reduce((product, factor) => product * (changeCount(factor) + 1), 1),
  grid: ({ factors }) => factors.reduce((product, factor) => product * (changeCount(factor) + (factor.set ? 1 : 0)), 1),
  random: ({ trials = 0 }) => trials,
  models: ({ models: listed }) => listed.length,
};

/** The changes that a factor stands for. */
function changeCount({ levels }: FactorSource): number {
  return levels?.length ?? 1;
}

function requireFewRuns(file: StudyFile): void {
  const { design, seeds } = file.source;
  const variants = variantCounts[design](file.source);
  const repetitions = typeof seeds === 'number' ? seeds : seeds.length;
  if (variants * repetitions <= mostRuns) return;
  const [runs, each] = [variants * repetitions, variants].map(countInWords);
  const isProduct = design === 'factorial' || design === 'grid';
  throw file.error(
    [design === 'random' ? 'trials' : design === 'models' ? 'models' : 'factors'],
    `a study may have at most ${formatCount(mostRuns)} runs, and this one has ${runs}: ${each} variants, ${formatCounted(repetitions, 'seed')}`,
    isProduct
      ? 'leave factors or levels out, or draw some of the combinations: design: random'
      : 'leave some out, or give fewer seeds',
  );
}

/** Counts beyond all digits too. */
function countInWords(count: number): string {
  return count < 1e15 ? formatCount(count) : `some ${Math.min(count, Number.MAX_VALUE).toExponential(0)}`;
}

/** Keys that the study itself decides. */
const reserved: Readonly<Record<string, string>> = {
  seed: 'the seeds of a study are given once for all runs, as seeds: [1, 2, 3]',
  dataset: 'the data set of a study is given once for all runs, as dataset: cifar10',
  threads: 'the threads of each run are decided when the study is run: ablate study --jobs, --threads',
};

/** Keys that all runs of a study must have in common, or their accuracies are not of the same images. */
const common: Readonly<Record<string, string>> = {
  val: 'the images that accuracies are of are the same for all runs, as baseline: { val: true }',
};

/** What the shape of the file alone cannot say. */
function checkTogether(file: StudyFile): void {
  const { source } = file;
  const isSearch = source.design === 'grid' || source.design === 'random';
  checkReserved(file, baselineOf(file), reserved);
  if (source.design === 'models') checkModels(file);
  else {
    if (source.models.length > 0) throw onlyFor(file, ['models'], 'models');
    if (source.factors.length === 0) throw file.error(['factors'], 'factors must be a list of at least one factor');
  }
  if (source.design === 'random' && source.trials === undefined) {
    throw file.error(['design'], 'trials (=missing) must be a positive integer for the design random', 'add trials: 20');
  }
  if (source.design !== 'random' && source.trials !== undefined) throw onlyFor(file, ['trials'], 'random');
  if (!isSearch && source.halving !== undefined) throw onlyFor(file, ['halving'], 'grid and random');
  source.factors.forEach((factor, i) => {
    checkFactor(file, factor, i);
  });
}

function checkModels(file: StudyFile): void {
  const { models: listed, factors, baseline } = file.source;
  if (factors.length > 0) {
    throw file.error(
      ['factors'],
      'factors must be left out of the design models',
      'use design: one-at-a-time, with set: { model: ... }',
    );
  }
  listed.forEach((model, i) => {
    if (listed.indexOf(model) !== i) throw file.error(['models', i], `models[${i}] (=${model}) is there twice`);
    if (isCodeFile(model)) return;
    try {
      modelDefinition(model);
    } catch (error) {
      throw relocated(file, ['models', i], error);
    }
  });
  const given = baseline['model'];
  const count = new Set([...listed, ...(typeof given === 'string' ? [given] : [])]).size;
  if (count < 2) throw file.error(['models'], 'models must be a list of at least two models', 'add models: [tuto, alex0]');
}

function checkFactor(file: StudyFile, factor: FactorSource, i: number): void {
  const { design, factors } = file.source;
  const { name, set, levels, range, against } = factor;
  const fail = (key: string, message: string) => file.error(['factors', i, key], message);
  if (factors.findIndex((other) => other.name === name) !== i) {
    throw fail('name', `factors[${i}].name (=${name}) must be different from the names of the factors before it`);
  }
  if (name === 'baseline') throw fail('name', `factors[${i}].name (=baseline) is what the study without changes is called`);
  if ([set, levels, range].filter((given) => given !== undefined).length !== 1) {
    throw file.error(
      ['factors', i],
      `factor "${name}" must have exactly one of set, levels${design === 'random' ? ', range' : ''}`,
    );
  }
  if (range !== undefined && design !== 'random') throw onlyFor(file, ['factors', i, 'range'], 'random');
  if (against !== undefined && design !== 'one-at-a-time') throw onlyFor(file, ['factors', i, 'against'], 'one-at-a-time');
  if (design === 'leave-one-out' && set === undefined) {
    throw fail('levels', `factor "${name}" must have "set", not "levels", in the design leave-one-out: it is on or off`);
  }
  if (range !== undefined && !(range.low < range.high && (range.scale === 'linear' || range.low > 0))) {
    const allowed = range.scale === 'log' ? 'above 0 and below high' : 'below high';
    throw file.error(
      ['factors', i, 'range', 'low'],
      `factors[${i}].range.low (=${range.low}) must be ${allowed} (=${range.high})`,
    );
  }
  const decided = { ...reserved, ...common };
  if (range !== undefined && Object.hasOwn(decided, range.key)) {
    throw file.error(
      ['factors', i, 'range', 'key'],
      `factors[${i}].range.key (=${range.key}) must be another key: ${decided[range.key]!}`,
    );
  }
  const all = levelsOf(factor, i);
  all.forEach((level, k) => {
    checkReserved(file, level, decided);
    if (all.findIndex(({ label }) => label === level.label) !== k) {
      throw file.error(level.at, `${describePath(level.at)} ("${level.label}") must be different from the levels before it`);
    }
  });
}

/** @param decided keys that may not be changed here, with the reason */
function checkReserved(file: StudyFile, { overrides, at }: Change, decided: Readonly<Record<string, string>>): void {
  const key = Object.keys(overrides).find((name) => Object.hasOwn(decided, name));
  if (key !== undefined) throw file.error([...at, key], `${describePath([...at, key])} must be left out: ${decided[key]!}`);
}

function onlyFor(file: StudyFile, at: Path, allowed: string) {
  return file.error(at, `${describePath(at)} is for the design ${allowed}, not ${file.source.design}`);
}

/** An error about the configuration, with the line it comes from. */
export function relocated(file: StudyFile, at: Path, error: unknown): unknown {
  if (!(error instanceof Error) || !('fix' in error)) return error;
  return file.error(at, error.message, typeof error.fix === 'string' ? error.fix : undefined);
}
