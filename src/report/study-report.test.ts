/**
 * From the records of runs to the report of a study. The records are written by hand, and so are the values of the report: a mistake on
 * the way, made the same way for all variants, would be seen by no comparison of reports with each other.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { planStudy, type StudyPlan } from '../study/plan.ts';
import { parseStudyFile } from '../study/study-file.ts';
import type { StudyRun, StudyState } from '../study/study-state.ts';
import { effectsCsv, runsCsv } from './csv.ts';
import { confusionFigure } from './figures/confusion.ts';
import { curvesFigure } from './figures/curves.ts';
import { efficiencyFigure } from './figures/efficiency.ts';
import { forestFigure } from './figures/forest.ts';
import { rankingFigure } from './figures/ranking.ts';
import { markdownReport } from './markdown.ts';
import type { ReportData } from './report-data.ts';
import type { Figure } from './render.ts';
import { gatherStudy } from './study-report.ts';
import { byAccuracy, effectsTable, runsTable, variantsTable } from './tables.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-records-'));
afterAll(() => rmSync(root, { recursive: true }));

const dataset: StudyState['dataset'] = {
  ...{ name: 'cifar10', fingerprint: 'f', synthetic: false, classes: Array.from('abcdefghij') },
  ...{ shape: [3, 32, 32], train: { count: 50_000 } },
};

/** How a run ended, and what its metrics say. */
interface Recorded {
  readonly status: object;
  readonly metrics: readonly object[];
  readonly evaluation?: object;
}

/** 128 images a step: 100 steps at 1,280 images/s are 10 seconds, at 640 they are 20: 30 in all. */
const speeds = [
  { step: 100, 'train/imagesPerSecond': 1280, 'train/loss': 1 },
  { step: 200, 'train/imagesPerSecond': 640, 'train/loss': 0.5 },
];

/** A run that was best half way, and that was evaluated twice at its end, as one that was killed there. */
function finished(accuracy: number, more: Partial<Recorded> = {}): Recorded {
  return {
    status: { status: 'finished', step: 200, steps: 200, accuracy },
    metrics: [
      speeds[0]!,
      { step: 100, 'test/accuracy': 0.9, 'test/loss': 0.2 },
      speeds[1]!,
      { step: 200, 'test/accuracy': 0.1, 'test/loss': 9 },
      { step: 200, 'test/accuracy': accuracy, 'test/loss': 0.75 },
    ],
    ...more,
  };
}

const interrupted: Recorded = {
  status: { status: 'interrupted', step: 100, steps: 200, accuracy: 0.9, reason: 'SIGTERM' },
  metrics: [speeds[0]!, { step: 100, 'test/accuracy': 0.9, 'test/loss': 0.2 }],
};
const diverged: Recorded = {
  status: { status: 'failed', step: 99, steps: 200, reason: 'training diverged: the loss is 2e+7 at step 100', diverged: true },
  metrics: [{ step: 50, 'test/accuracy': 0.95, 'test/loss': 0.2 }],
};
const broken: Recorded = {
  status: { status: 'failed', step: 150, steps: 200, accuracy: 0.9, reason: 'no space left' },
  metrics: [{ step: 100, 'test/accuracy': 0.95, 'test/loss': 0.2 }],
};

/** Writes a run's folder: what its training would have, without the checkpoints, which no report reads. */
function writeRun(folder: string, config: object, { status, metrics, evaluation }: Recorded): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('config.json', JSON.stringify(config));
  write('status.json', JSON.stringify({ pid: 1, host: 'elsewhere', updatedAt: '2026-01-31T12:00:00.000Z', ...status }));
  const lines = metrics.map((record) => `${JSON.stringify({ time: '2026-01-31T12:00:00.000Z', ...record })}\n`);
  write('metrics.jsonl', lines.join(''));
  if (evaluation !== undefined) write('evaluation.json', JSON.stringify(evaluation));
  const cpu = { model: 'Abacus', logicalCores: 4, physicalCores: 2, availableCores: 2, instructionSets: [] };
  const environment = { date: '2026-01-31', host: 'h', operatingSystem: 'OS', architecture: 'x64', cpu, memoryBytes: 1 };
  const versions = { ablate: '0.1.0', node: 'v20' };
  write('environment.json', JSON.stringify({ ...environment, threads: 2, commandLine: [], versions }));
}

/** The report of a study with these runs, by variant, in the order of the seeds; undefined: never started. */
function reportOf(text: string, records: Readonly<Record<string, readonly (Recorded | undefined)[]>>, decided = {}): ReportData {
  const plan: StudyPlan = planStudy(parseStudyFile(text, 'study.yaml'), dataset);
  const runsFolder = join(root, plan.name);
  const runs = plan.runs.map(({ variant, seed, config }, i): StudyRun => {
    const record = records[variant]![plan.design.seeds.indexOf(seed)];
    if (record === undefined) return { variant, seed, state: 'waiting' };
    writeRun(join(runsFolder, config.model, String(i + 1)), { ...config, threads: 2 }, record);
    return { variant, seed, run: `${config.model}/${i + 1}`, state: 'waiting', ...decided };
  });
  const file = { path: 'study.yaml', text };
  return gatherStudy({ name: plan.name, file, dataset, runs, updatedAt: '2026-01-31T12:00:00.000Z' }, runsFolder);
}

const comparison = `
name: comparison
title: What it <buys>
description: "First paragraph.\\n\\n# second"
baseline: { model: tuto, steps: 200 }
design: one-at-a-time
factors:
  - { name: flat, set: { augment: false } }
  - { name: slow, set: { learningRate: 0.01 } }
  - { name: alex4, set: { model: alex4 } }
  - { name: late, set: { learningRate: 0.02 } }
  - { name: hot, set: { learningRate: 9 } }
seeds: [1, 2, 3]
`;

/** A matrix of ten classes with `count` images on the diagonal and one image of class 0 taken for class 1. */
function evaluation(count: number) {
  const confusion = Array.from({ length: 10 }, (_, i) =>
    Array.from({ length: 10 }, (__, j) => (i === j ? count : i === 0 && j === 1 ? 1 : 0)),
  );
  const perClass = confusion.map((row, i) => ({ label: `class ${i}`, images: count, accuracy: row[i]! / count }));
  return { evaluation: recordedEvaluation({ confusion, perClass, step: 200, images: 10 * count + 1 }) };
}

const values = (figure: Figure | undefined) => (figure!.spec as unknown as { data: { values: unknown } }).data.values;

describe('one change at a time', () => {
  let data: ReportData;
  beforeAll(() => {
    data = reportOf(comparison, {
      baseline: [finished(0.8, evaluation(8)), finished(0.81, evaluation(16)), finished(0.82)],
      // Differences of -0.02, -0.04, -0.03: mean -0.03, deviation 0.01.
      flat: [finished(0.78), finished(0.77), finished(0.79)],
      // 0.001, 0.002, 0.003: mean 0.002, deviation 0.001.
      slow: [finished(0.801), finished(0.812), finished(0.823)],
      // 0.05, 0.051, 0.049: mean 0.05, deviation 0.001.
      alex4: [finished(0.85), finished(0.861), finished(0.869)],
      late: [finished(0.84), interrupted, undefined],
      hot: [diverged, diverged, broken],
    });
  });

  /**
   * Student's t with two degrees of freedom in closed form: F(t) = 1/2 + t / (2 sqrt(2 + t^2)), so that p = 1 - |t| / sqrt(2 + t^2), and
   * t(0.975) = 0.95 sqrt(2 / (1 - 0.95^2)) = 4.3026527297. With t = sqrt(3) mean / deviation: 27, 12 and 7500 are its squares.
   */
  const expected = [
    { name: 'flat', difference: -0.03, half: 0.0248413771, p: 0.0350987186, corrected: 0.0701974372, needed: 34 },
    { name: 'slow', difference: 0.002, half: 0.00248413771, p: 0.0741799002, corrected: 0.0741799002, needed: 3 },
    { name: 'alex4', difference: 0.05, half: 0.00248413771, p: 0.00013330667, corrected: 0.00039992002, needed: 3 },
  ];

  test.each(expected)('the effect of $name', ({ name, difference, half, p, corrected, needed }) => {
    const effect = data.effects.find((each) => each.name === name)!;
    expect(effect.difference).toBeCloseTo(difference, 12);
    expect(effect.low!).toBeCloseTo(difference - half, 9);
    expect(effect.high!).toBeCloseTo(difference + half, 9);
    expect(effect.pValue!).toBeCloseTo(p, 9);
    // Of three comparisons: the smallest three times, the next twice, the last once.
    expect(effect.correctedPValue!).toBeCloseTo(corrected, 9);
    // Smallest n with 0.005 >= (t(0.975, n - 1) + t(0.8, n - 1)) deviation / sqrt(n).
    expect(effect.seedsForHalfPoint).toBe(needed);
    expect(effect.seeds).toEqual([1, 2, 3]);
  });

  test('the table of effects: verdicts go by the corrected p-value, and only finished runs count', () => {
    expect(effectsTable(data).rows).toEqual([
      // Uncorrected it would be worse.
      ['flat', '-3.00', '[-5.48, -0.52]', '0.070', 'unresolved', '3', '34'],
      ['slow', '+0.20', '[-0.05, +0.45]', '0.074', 'unresolved', '3', '3'],
      ['alex4', '+5.00', '[+4.75, +5.25]', '<0.001', 'better', '3', '3'],
      ['late', '+4.00', 'no interval: one seed', '', 'one seed', '1', ''],
      ['hot', '', '', '', 'diverged', '0', ''],
    ]);
  });

  test('the table of variants: means and deviations over the seeds, and what tensorsandbox published of the networks', () => {
    // The deviation of 0.8, 0.81, 0.82 is 0.01 with n - 1 (0.00816 with n).
    expect(variantsTable(data).rows).toEqual([
      ['baseline', '81.00', '1.00', '3', '1,068,298', '37.75M', '4.3 MB', '0:30'],
      ['flat', '78.00', '1.00', '3', '1,756,426', '66.98M', '7.0 MB', '0:30'],
      ['slow', '81.20', '1.10', '3', '1,068,298', '37.75M', '4.3 MB', '0:30'],
      ['alex4', '86.00', '0.95', '3', '1,493,674', '35.20M', '6.0 MB', '0:30'],
      ['late', '84.00', '', '1 of 3', '1,068,298', '37.75M', '4.3 MB', '0:30'],
      ['hot', '', '', '0 of 3', '1,068,298', '37.75M', '4.3 MB', ''],
    ]);
  });

  test('the table of runs: the last evaluation of those that finished, the reasons of the others', () => {
    const rows = runsTable(data).rows;
    expect(rows.slice(0, 2)).toEqual([
      ['baseline', '1', 'tuto/1', 'finished', '200', '80.00', '0.7500', '0:30', ''],
      ['baseline', '2', 'tuto/7', 'finished', '200', '81.00', '0.7500', '0:30', ''],
    ]);
    expect(rows.slice(12)).toEqual([
      ['late', '1', 'tuto/5', 'finished', '200', '84.00', '0.7500', '0:30', ''],
      ['late', '2', 'tuto/11', 'unfinished', '100', '', '', '', ''],
      ['late', '3', '', 'unfinished', '0', '', '', '', ''],
      ['hot', '1', 'tuto/6', 'diverged', '99', '', '', '', 'training diverged: the loss is 2e+7 at step 100'],
      ['hot', '2', 'tuto/12', 'diverged', '99', '', '', '', 'training diverged: the loss is 2e+7 at step 100'],
      ['hot', '3', 'tuto/18', 'failed', '150', '', '', '', 'no space left'],
    ]);
  });

  test('what the reader must know', () => {
    expect(data.notes).toEqual([
      '2 of 18 runs are not finished: what is said here is of the others.',
      '2 of 18 runs diverged, which is their result: they have no accuracy.',
      '1 of 18 runs failed; the table of runs says why.',
    ]);
    expect(data).toMatchObject({ split: 'test', synthetic: false, reference: 'baseline', seeds: [1, 2, 3], dataset: 'cifar10' });
    expect(data.design).toBe('the baseline, and one change at a time');
    expect(data.command).toBe('npx ablate study study.yaml');
    expect(data.variants.map(({ changes }) => changes)).toEqual([
      {},
      { augment: 'false', inputSize: '32' },
      { learningRate: '0.01' },
      expect.objectContaining({ model: 'alex4' }),
      { learningRate: '0.02' },
      { learningRate: '9' },
    ]);
    // All runs were made on one machine.
    expect(data.environments).toHaveLength(1);
  });

  test('CSV', () => {
    const effects = effectsCsv(data).trimEnd().split('\r\n');
    expect(effects[0]).toBe(
      'kind,factor,level,reference,difference,low,high,pValue,correctedPValue,deviation,seeds,seedsForHalfPoint',
    );
    expect(effects[4]).toMatch(/^difference,late,late,baseline,0\.0399999\d*,,,,,,1,$/);
    const [kind, , level, , difference, , , p, corrected, deviation, seeds, needed] = effects[3]!.split(',');
    expect([kind, level, seeds, needed]).toEqual(['difference', 'alex4', '1 2 3', '3']);
    const numbers = [difference, p, corrected, deviation].map(Number);
    [0.05, 0.00013330667, 0.00039992002, 0.001].forEach((value, i) => expect(numbers[i]).toBeCloseTo(value, 9));
    const runs = runsCsv(data).split('\r\n');
    expect(runs[0]).toBe(
      'variant,seed,run,state,step,accuracy,loss,trainingSeconds,parameters,operations,bytes,latencyMs,reason',
    );
    expect(runs[1]).toMatch(/^baseline,1,tuto\/1,finished,200,0\.8,0\.75,30,1068298,377[45]\d{4},4273192,,$/);
    expect(runs[15]).toMatch(/^late,3,,unfinished,0,,,,1068298,377[45]\d{4},4273192,,$/);
    expect(runs[16]).toMatch(
      /^hot,1,tuto\/6,diverged,99,,,,1068298,\d+,4273192,,training diverged: the loss is 2e\+7 at step 100$/,
    );
    expect(runs).toHaveLength(20);
    expect(runs[19]).toBe('');
  });

  test('figures: the same numbers, in points and percent', () => {
    const forest = values(forestFigure(data.effects)) as {
      name: string;
      low: number | null;
      verdict: string;
      difference: number;
    }[];
    expect(forest.map(({ name, verdict }) => [name, verdict])).toEqual([
      ['flat', 'unresolved'],
      ['slow', 'unresolved'],
      ['alex4', 'better'],
      ['late', 'one seed'],
    ]);
    expect(forest[0]!.difference).toBeCloseTo(-3, 9);
    expect(forest[0]!.low!).toBeCloseTo(-5.48413771, 6);
    expect(forest[3]!.low).toBeNull();
    const curves = values(curvesFigure(data)) as {
      panel: string;
      line: string;
      step: number;
      mean: number;
      low: number;
      high: number;
    }[];
    // The reference behind each variant; of a run that is not finished the evaluations that it has.
    const late = curves.filter(({ panel }) => panel === 'late');
    expect(late.map(({ line, step }) => `${line} ${step}`)).toEqual([
      'baseline 100',
      'baseline 200',
      'variant 100',
      'variant 200',
    ]);
    const atEnd = late[1]!;
    [atEnd.mean, atEnd.low, atEnd.high].forEach((value, i) => expect(value).toBeCloseTo([81, 80, 82][i]!, 9));
    expect(late[3]).toMatchObject({ mean: 84, low: 84, high: 84 });
    // The lowest seed is neither the first nor the last.
    const flat = curves.find(({ panel, line, step }) => panel === 'flat' && line === 'variant' && step === 200)!;
    [flat.mean, flat.low, flat.high].forEach((value, i) => expect(value).toBeCloseTo([78, 77, 79][i]!, 9));
    expect(curves.filter(({ panel, line }) => panel === 'hot' && line === 'variant')).toEqual([
      { panel: 'hot', line: 'variant', step: 50, mean: 95, low: 95, high: 95 },
      { panel: 'hot', line: 'variant', step: 100, mean: 95, low: 95, high: 95 },
    ]);
    const [byParameters, byOperations] = (
      efficiencyFigure({ variants: data.variants })!.spec as unknown as { concat: { layer: { data: unknown }[] }[] }
    ).concat;
    // alex4 beats all that cost more; by parameters late, as accurate as its one seed, is the cheapest.
    expect(byParameters!.layer[0]!.data).toEqual({
      values: [
        { name: 'late', cost: 1_068_298, accuracy: 84 },
        { name: 'alex4', cost: 1_493_674, accuracy: expect.closeTo(86, 9) as number },
      ],
    });
    expect(byOperations!.layer[0]!.data).toMatchObject({ values: [{ name: 'alex4' }] });
  });

  test('confusions are summed over the seeds that recorded them, and shown as shares of each class', () => {
    const baseline = data.variants[0]!;
    expect(baseline.confusion![0]!.slice(0, 3)).toEqual([24, 2, 0]);
    expect(baseline.confusion![9]![9]).toBe(24);
    expect(data.variants[1]!.confusion).toBeUndefined();
    expect(confusionFigure(data.variants[1]!, data.classes, 1)).toBeUndefined();
    const figure = confusionFigure(baseline, data.classes, 0)!;
    const cells = values(figure) as { label: string; prediction: string; share: number; text: string }[];
    // 24 of 26 images are 92%, 2 of 26 are 8%.
    expect(cells.slice(0, 3).map(({ label, prediction, text }) => label + prediction + text)).toEqual(['aa92', 'ab8', 'ac']);
    expect(cells[1]!.share).toBeCloseTo(2 / 26, 12);
    expect(cells.at(-1)).toEqual({ label: 'j', prediction: 'j', share: 1, text: '100' });
    expect(figure).toMatchObject({ name: 'confusion-1', title: 'baseline' });
    expect(figure.description).toBe('What the images of each class (rows) were taken for, in percent, over 3 seeds together.');
  });

  test('report.md', () => {
    const lines = markdownReport(data, [], []).split('\n');
    expect(lines.slice(0, 8)).toEqual([
      String.raw`# What it \<buys\>`,
      '',
      'First paragraph.',
      '',
      String.raw`\# second`,
      '',
      'cifar10; the baseline, and one change at a time; 6 variants with 3 seeds, 13 of 18 runs finished; accuracies on the test images.',
      '',
    ]);
    expect(lines).toContain('| flat | -3.00 | \\[-5.48, -0.52\\] | 0.070 | unresolved | 3 | 34 |');
    expect(lines).toContain('| flat | augment false, inputSize 32 |');
    expect(lines).toContain('| learningRate | 0.1 |');
    expect(lines).toContain('- Abacus, 2 of 2 cores for each run; OS; ablate 0.1.0, node v20');
    expect(lines).toContain('npx ablate study study.yaml');
  });
});

describe('a search', () => {
  const search = `
name: search
baseline: { model: tuto, steps: 200 }
design: grid
halving: { factor: 2, rounds: 1 }
factors: [{ name: rate, levels: [{ learningRate: 0.1 }, { learningRate: 0.2 }, { learningRate: 0.3 }, { learningRate: 0.4 }] }]
seeds: [1, 2]
`;

  test('ranks by the mean of what finished; a trial that diverged with any seed stands behind, what was stopped last', () => {
    const data = reportOf(search, {
      'learningRate 0.1': [interrupted, interrupted],
      'learningRate 0.2': [finished(0.7), finished(0.8)],
      'learningRate 0.3': [finished(0.99), diverged],
      'learningRate 0.4': [finished(0.9), finished(0.62)],
    });
    // A run that another study finished does not bring a trial back that was stopped.
    const [first, ...others] = data.variants;
    const stopped = { ...first!, accuracy: { mean: 0.98, deviation: undefined, count: 1 } };
    const runs = [
      { ...first!.runs[0]!, state: 'finished' as const },
      { ...first!.runs[1]!, state: 'stopped' as const },
    ];
    expect(byAccuracy([{ ...stopped, runs }, ...others]).map(({ name }) => name)).toEqual([
      ...['learningRate 0.4', 'learningRate 0.2', 'learningRate 0.3', 'learningRate 0.1'],
    ]);
    expect(data).toMatchObject({ reference: undefined, effects: [] });
    const ranking = variantsTable(data).rows.map(([name, accuracy, , runs]) => [name, accuracy, runs]);
    expect(ranking).toEqual([
      ['learningRate 0.4', '76.00', '2'],
      ['learningRate 0.2', '75.00', '2'],
      ['learningRate 0.3', '99.00', '1 of 2'],
      ['learningRate 0.1', '', '0 of 2'],
    ]);
    expect(data.notes).toEqual([
      '2 of 8 runs are not finished: what is said here is of the others.',
      '1 of 8 runs diverged, which is their result: they have no accuracy.',
      'The search compared accuracies on the test set, so that the best of them flatters itself: set val: true, and test the winner once.',
    ]);
    const layers = (
      rankingFigure(data.variants)!.spec as unknown as { layer: { data: { values: { name: string; accuracy: number }[] } }[] }
    ).layer;
    const shown = (layer: number) => layers[layer]!.data.values.map(({ name, accuracy }) => `${name}: ${accuracy.toFixed(2)}`);
    expect(shown(1)).toEqual(['learningRate 0.4: 76.00', 'learningRate 0.2: 75.00', 'learningRate 0.3: 99.00']);
    expect(shown(0)).toEqual([
      ...['learningRate 0.4: 90.00', 'learningRate 0.4: 62.00', 'learningRate 0.2: 70.00', 'learningRate 0.2: 80.00'],
      'learningRate 0.3: 99.00',
    ]);
  });

  test('what the study decided on a run counts where the run itself says nothing else', () => {
    const data = reportOf(
      search.replace('name: search', 'name: decided').replace('steps: 200', 'steps: 200, val: true'),
      {
        'learningRate 0.1': [interrupted, interrupted],
        'learningRate 0.2': [finished(0.7), { ...interrupted, metrics: [{ step: 100, 'val/accuracy': 0.5, 'val/loss': 1 }] }],
        'learningRate 0.3': [diverged, broken],
        'learningRate 0.4': [undefined, undefined],
      },
      { state: 'stopped', reason: 'not among the best 2 of 4 after 100 steps' },
    );
    expect(runsTable(data).rows.map(([, , , state, , , , , reason]) => `${state}: ${reason}`)).toEqual([
      ...Array<string>(2).fill('stopped: not among the best 2 of 4 after 100 steps'),
      ...['finished: ', 'stopped: not among the best 2 of 4 after 100 steps'],
      ...['diverged: not among the best 2 of 4 after 100 steps', 'failed: not among the best 2 of 4 after 100 steps'],
      ...['unfinished: ', 'unfinished: '],
    ]);
    expect(data.split).toBe('val');
    expect(data.notes.join('\n')).not.toContain('flatters');
    expect(data.notes).toContain('3 of 8 runs were stopped early, as they were not among the best (successive halving).');
    const { runs } = data.variants[1]!;
    expect(runs[1]!.curve).toEqual([{ step: 100, accuracy: 0.5 }]);
  });
});

describe('runs that are not those of the study any more are refused', () => {
  const small = comparison.replace('name: comparison', 'name: small').replace(/ {2}- \{ name: (slow|alex4|late|hot).*\n/g, '');

  function stateWith(change: (config: Record<string, unknown>, status: Record<string, unknown>) => void): () => ReportData {
    return () => {
      const plan = planStudy(parseStudyFile(small, 'study.yaml'), dataset);
      const runsFolder = mkdtempSync(join(root, 'changed-'));
      const runs = plan.runs.map(({ variant, seed, config }, i): StudyRun => {
        const { status, ...record } = finished(0.5);
        const [changed, changedStatus] = [{ ...config }, { ...status }];
        if (i === 1) change(changed, changedStatus);
        writeRun(join(runsFolder, 'tuto', String(i + 1)), changed, { ...record, status: changedStatus });
        return { variant, seed, run: `tuto/${i + 1}`, state: 'finished' };
      });
      return gatherStudy({ name: 'small', file: { path: 's', text: small }, dataset, runs, updatedAt: '' }, runsFolder);
    };
  }

  test('as they are, they are taken', () => {
    const data = stateWith(() => undefined)();
    expect(data.variants.map(({ accuracy }) => accuracy)).toEqual(Array(2).fill({ mean: 0.5, deviation: 0, count: 3 }));
    // Nothing is known of how much they vary.
    expect(effectsTable(data).rows).toEqual([['flat', '0.00', 'no interval: all seeds alike', '1.000', 'unresolved', '3', '?']]);
  });

  test('another learning rate, another seed, other evaluation images, other precision, other smoothing', () => {
    for (const change of [{ learningRate: 0.3 }, { seed: 9 }, { val: true }, { precision: 'bf16' }, { labelSmoothing: 0.1 }]) {
      expect(stateWith((config) => Object.assign(config, change))).toThrow(
        'tuto/2 is not the run of "flat" with seed 1 any more',
      );
    }
    expect(stateWith((config) => Object.assign(config, { threads: 64, evalEvery: 7, logEvery: 3 }))).not.toThrow();
  });

  test('continued to more steps', () => {
    expect(stateWith((_, status) => Object.assign(status, { steps: 400 }))).toThrow(
      'tuto/2 was continued to another number of steps since',
    );
  });

  test('gone', () => {
    const runsFolder = mkdtempSync(join(root, 'gone-'));
    const runs: StudyRun[] = [{ variant: 'flat', seed: 1, run: 'tuto/2', state: 'finished' }];
    const state = { name: 'small', file: { path: 's', text: small }, dataset, runs, updatedAt: '' };
    expect(() => gatherStudy(state, runsFolder)).toThrow('tuto/2, the run of "flat" with seed 1, is gone');
  });
});

test('other images than the file names, other versions and one seed are said', () => {
  const text = comparison
    .replace('name: comparison', 'name: one')
    .replace(/ {2}- \{ name: (slow|alex4|late|hot).*\n/g, '')
    .replace('[1, 2, 3]', '[4]');
  const plan = planStudy(parseStudyFile(text, 'study.yaml', 'synthetic'), dataset);
  const runsFolder = join(root, 'one');
  const runs = plan.runs.map(({ variant, seed, config }, i): StudyRun => {
    const folder = join(runsFolder, 'tuto', String(i + 1));
    writeRun(folder, config, finished(0.5));
    const path = join(folder, 'environment.json');
    const environment = JSON.parse(readFileSync(path, 'utf8')) as object;
    const git = { commit: `${i}123456789abcdef`, dirty: false };
    writeFileSync(path, JSON.stringify({ ...environment, git }));
    return { variant, seed, run: `tuto/${i + 1}`, state: 'finished' };
  });
  const images = { ...dataset, name: 'synthetic', synthetic: true };
  const data = gatherStudy({ name: 'one', file: { path: 's.yaml', text }, dataset: images, runs, updatedAt: '' }, runsFolder);
  expect(data.command).toBe('npx ablate study s.yaml --data synthetic');
  expect(data.dataset).toBe('synthetic');
  expect(data.notes).toEqual([
    'The images are synthetic: drawn by this program, not photographs.',
    'One seed: no interval can be given, and small differences may be chance. Two seeds give an interval, three or more a useful one.',
    'The runs were made by different versions: ablate 0.1.0 (0123456), ablate 0.1.0 (1123456).',
  ]);
  expect(data.environments).toHaveLength(2);
});
