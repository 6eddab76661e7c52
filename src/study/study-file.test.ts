import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { ConfigurationError } from '../util/errors.ts';
import { designOf } from './design.ts';
import { count } from '../models/settings.ts';
import { defineModel } from '../models/model.ts';
import { planStudy, type StudyPlan } from './plan.ts';
import { studyModels } from './study-models.ts';
import type { StudyDefinition } from './study-schema.ts';
import { defineStudy, parseStudyFile, readStudyFile } from './study-file.ts';

const facts = { shape: [3, 32, 32], train: { count: 50_000 }, classes: Array.from('abcdefghij') } as const;

function plan(text: string): StudyPlan {
  return planStudy(parseStudyFile(text, 'study.yaml'), facts);
}

/** A study whose lines 1-4 are right; what is tested stands from line 5 on. */
function study(rest: string, baseline = '{ model: tuto, steps: 1000 }', design = 'one-at-a-time'): string {
  return `name: test\nbaseline: ${baseline}\ndesign: ${design}\nseeds: [1, 2]\n${rest}`;
}

const names = (planned: StudyPlan) => planned.design.variants.map(({ name }) => name);

describe('designs', () => {
  test('one at a time: the baseline, and each change or level alone', () => {
    const planned = plan(`
name: lrn-and-augmentation
dataset: cifar10
baseline: { model: tuto, recipe: "2017", steps: 10000 }
design: one-at-a-time
factors:
  - { name: no-augmentation, set: { augment: false } }
  - { name: no-lrn, set: { model.lrn: false } }
  - { name: learning-rate, levels: [ { learningRate: 0.05 }, { learningRate: 0.2 } ] }
  - { name: alex4, set: { model: alex4 } }
seeds: [1, 2, 3]
`);
    expect(names(planned)).toEqual([
      'baseline',
      'no-augmentation',
      'no-lrn',
      'learning-rate: 0.05',
      'learning-rate: 0.2',
      'alex4',
    ]);
    expect(planned.runs).toHaveLength(18);
    const config = (variant: string) => planned.runs.find((run) => run.variant === variant)!.config;
    expect(config('no-augmentation')).toMatchObject({ augment: false, inputSize: 32, seed: 1, dataset: 'cifar10' });
    expect(config('no-lrn').modelSettings).toMatchObject({ lrn: false });
    expect(config('learning-rate: 0.2')).toMatchObject({ learningRate: 0.2, steps: 10_000, evalEvery: 1000, logEvery: 50 });
    expect(config('alex4').model).toBe('alex4');
    expect(planned.design.contrasts.map(({ reference }) => reference)).toEqual(Array(5).fill('baseline'));
  });

  test('a change can be set on top of another, and is compared with it', () => {
    const planned = plan(
      study(
        'factors:\n  - { name: squeeze, set: { model: squeeze1 } }\n  - { name: linear, against: squeeze, set: { logitsRelu: false } }\n',
      ),
    );
    const linear = planned.runs.find(({ variant }) => variant === 'linear')!.config;
    expect(linear).toMatchObject({ model: 'squeeze1', modelSettings: { logitsRelu: false } });
    expect(planned.design.contrasts.map(({ reference }) => reference)).toEqual(['baseline', 'squeeze']);
  });

  test('leave one out: everything on, and all but each', () => {
    const factors = 'factors:\n  - { name: ema, set: { movingAverage: true } }\n  - { name: crop, set: { augment: true } }\n';
    const planned = plan(study(factors, '{ model: tuto, augment: false, movingAverage: false, inputSize: 24 }', 'leave-one-out'));
    expect(names(planned)).toEqual(['everything on', 'without ema', 'without crop']);
    const on = planned.runs.slice(0, 3).map(({ config }) => [config.movingAverage.type, config.augment]);
    expect(on).toEqual([
      ['exponential', true],
      ['none', true],
      ['exponential', false],
    ]);
  });

  test('factorial: all combinations, the baseline being a level of each factor', () => {
    const factors =
      'factors:\n  - { name: flat, set: { augment: false } }\n  - { name: rate, levels: [{ learningRate: 0.05 }, { learningRate: 0.2 }] }\n';
    const planned = plan(study(factors, undefined, 'factorial'));
    expect(names(planned)).toEqual(['baseline', 'rate: 0.05', 'rate: 0.2', 'flat', 'flat + rate: 0.05', 'flat + rate: 0.2']);
    const [main] = planned.design.contrasts;
    expect(main!.weights).toEqual([
      { variant: 'baseline', weight: -1 / 3 },
      { variant: 'rate: 0.05', weight: -1 / 3 },
      { variant: 'rate: 0.2', weight: -1 / 3 },
      { variant: 'flat', weight: 1 / 3 },
      { variant: 'flat + rate: 0.05', weight: 1 / 3 },
      { variant: 'flat + rate: 0.2', weight: 1 / 3 },
    ]);
    const interaction = planned.design.contrasts.find(({ kind }) => kind === 'interaction')!;
    expect(interaction.weights.map(({ variant, weight }) => [variant, weight])).toEqual([
      ['baseline', 1],
      ['rate: 0.05', -1],
      ['flat', -1],
      ['flat + rate: 0.05', 1],
    ]);
  });

  test('grid: the levels given and no other; a change is on or off', () => {
    const factors =
      'factors:\n  - { name: rate, levels: [{ learningRate: 0.05 }, { learningRate: 0.2 }] }\n  - { name: flat, set: { augment: false } }\n';
    const planned = plan(study(factors, undefined, 'grid'));
    expect(names(planned)).toEqual([
      'learningRate 0.05, no flat',
      'learningRate 0.05, flat',
      'learningRate 0.2, no flat',
      'learningRate 0.2, flat',
    ]);
    expect(planned.design.contrasts).toEqual([]);
  });

  test('trials that train the same are one, and the plan says so', () => {
    const factors =
      'factors:\n  - { name: rate, levels: [{ learningRate: 0.05 }, { learningRate: 0.2 }] }\n  - { name: high, set: { learningRate: 0.2 } }\n';
    const planned = plan(study(factors, undefined, 'grid'));
    expect(names(planned)).toEqual(['learningRate 0.05, no high', 'learningRate 0.05, high']);
    expect(planned.notes).toEqual([
      '2 of 4 trials are left out, which train exactly like others: "learningRate 0.2, no high" like "learningRate 0.05, high"',
    ]);
    expect(plan(study('factors: [{ name: x, set: { augment: false } }]', undefined, 'grid')).notes).toEqual([]);
  });

  test('what differs in quantization alone is trained once for each seed', () => {
    const factors =
      'factors:\n  - { name: bits, levels: [{ quantization: int8 }, { quantization: float16-weights }] }\n  - { name: flat, set: { augment: false } }\n';
    const planned = plan(study(factors, undefined, 'factorial'));
    const first = planned.runs.slice(0, 6);
    expect(first.map(({ variant, quantization }) => [variant, quantization!.scheme])).toEqual([
      ['baseline', 'none'],
      ['flat', 'none'],
      ['bits: int8', 'int8'],
      ['bits: int8 + flat', 'int8'],
      ['bits: float16-weights', 'float16-weights'],
      ['bits: float16-weights + flat', 'float16-weights'],
    ]);
    expect(planned.trainings.map(({ variant, seed }) => [variant, seed])).toEqual([
      ['baseline', 1],
      ['flat', 1],
      ['baseline', 2],
      ['flat', 2],
    ]);
    expect(planned.notes).toEqual(['4 trainings are enough for 12 runs: what differs in quantization alone is trained once']);
    const without = plan(study('factors: [{ name: flat, set: { augment: false } }]'));
    expect(without.trainings).toEqual(without.runs);
    expect(without.runs.every(({ quantization }) => quantization === undefined)).toBe(true);
  });

  test('random: as many different trials as asked for, the same each time, within their ranges', () => {
    const text = study(
      'trials: 12\nfactors:\n  - { name: rate, range: { key: learningRate, low: 0.01, high: 1, scale: log } }\n  - { name: size, levels: [{ batchSize: 64 }, { batchSize: 128 }] }\n',
      undefined,
      'random',
    );
    const planned = plan(text);
    expect(names(planned)).toEqual(names(plan(text)));
    expect(new Set(names(planned)).size).toBe(12);
    const rates = planned.runs.map(({ config }) => config.learningRate);
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(0.01);
    expect(Math.max(...rates)).toBeLessThanOrEqual(1);
    // Spread evenly over the powers of ten.
    expect(rates.filter((rate) => rate < 0.1).length).toBeGreaterThan(rates.length / 4);
  });

  test('models: the same training for each, the first of them the reference', () => {
    const planned = plan(study('models: [alex0, tuto, squeeze1]\n', undefined, 'models'));
    expect(names(planned)).toEqual(['tuto', 'alex0', 'squeeze1']);
    expect(planned.design.contrasts.map(({ factor, level, reference }) => `${factor} ${level} ${reference}`)).toEqual([
      'model alex0 tuto',
      'model squeeze1 tuto',
    ]);
  });

  test('seeds can be counted; identities differ by seed and setting, not by what only organizes a run', () => {
    const planned = plan(
      study('')
        .replace('seeds: [1, 2]', 'seeds: 2')
        .replace('one-at-a-time', 'one-at-a-time\nfactors: [{ name: x, set: { augment: false } }]'),
    );
    expect(planned.runs.map(({ seed }) => seed)).toEqual([1, 1, 2, 2]);
    expect(new Set(planned.runs.map(({ identity }) => identity)).size).toBe(4);
    const other = plan(
      study(
        'factors: [{ name: x, set: { augment: false } }]',
        '{ model: tuto, steps: 1000, logEvery: 7, evalEvery: 3, keepCheckpoints: 9 }',
      ),
    );
    expect(other.runs.map(({ identity }) => identity)).toEqual(planned.runs.map(({ identity }) => identity));
    // Of 1,000 steps.
    expect(planned.runs[0]!.config).toMatchObject({ logEvery: 20, evalEvery: 100, keepCheckpoints: 1 });
    expect(other.runs[0]!.config).toMatchObject({ logEvery: 7, evalEvery: 3, keepCheckpoints: 9 });
  });
});

describe('a wrong file names the line and what is allowed', () => {
  const factor = (text: string) => study(`factors:\n  - { name: fine, set: { augment: false } }\n  - ${text}\n`);
  const cases: [what: string, text: string, line: number, message: RegExp][] = [
    [
      'an unknown key',
      study('factor: []\n'),
      5,
      /there is no key "factor"\. Did you mean "factors"\? Allowed: name, title, .*, halving$/m,
    ],
    [
      'an unknown key in a factor',
      factor('{ name: x, sets: { augment: false } }'),
      7,
      /no key "sets" in factors\[1\]\. Did you mean "set"\? Allowed: name, against, set/,
    ],
    [
      'an empty list of levels',
      factor('{ name: x, levels: [] }'),
      7,
      /factors\[1\]\.levels \(=\[\]\) must be a list of at least one level/,
    ],
    ['levels that are no list', factor('{ name: x, levels: 3 }'), 7, /factors\[1\]\.levels \(=3\) must be a list of levels/],
    ['an empty change', factor('{ name: x, set: {} }'), 7, /factors\[1\]\.set \(=\{\}\) must be at least one key with its value/],
    ['neither set nor levels', factor('{ name: x }'), 7, /factor "x" must have exactly one of set, levels/],
    ['both', factor('{ name: x, set: { augment: true }, levels: [{ seed: 1 }] }'), 7, /exactly one of set, levels/],
    [
      'a name used twice',
      factor('{ name: fine, set: { model.lrn: false } }'),
      7,
      /factors\[1\]\.name \(=fine\) must be different/,
    ],
    [
      'levels that are alike',
      factor('{ name: x, levels: [{ learningRate: 0.2 }, { learningRate: 0.2 }] }'),
      7,
      /must be different from the levels before it/,
    ],
    [
      'a key that does not exist',
      factor('\n      name: x\n      set:\n        steps: 5\n        lernRate: 1'),
      11,
      /there is no key "lernRate"/,
    ],
    [
      'an unknown setting of a model',
      factor('{ name: x, set: { model.lern: false } }'),
      7,
      /has no setting "lern"\. Did you mean "lrn"\?[^]*Its settings are: /,
    ],
    [
      'a value out of range',
      factor('\n      name: x\n      set:\n        batchSize: 64\n        learningRate: -1'),
      11,
      /learningRate \(=-1\) must be a number above 0/,
    ],
    [
      'an unknown model',
      factor('{ name: x, set: { model: alex9 } }'),
      7,
      /there is no model "alex9"\. Did you mean "alex0"\?[^]*The models are: tuto, alex0/,
    ],
    [
      'an unknown model in the baseline',
      study('factors: [{ name: x, set: { augment: false } }]', '{ model: tutu }'),
      2,
      /there is no model "tutu"\. Did you mean "tuto"\?/,
    ],
    [
      'a setting that the other model does not have',
      factor('{ name: x, set: { model: squeeze1, model.lrn: false } }'),
      7,
      /has no setting "lrn"/,
    ],
    [
      'an input larger than the images',
      factor('{ name: x, set: { inputSize: 48 } }'),
      7,
      /inputSize \(=48\) must be from 1x1 to 32x32, the size of the images/,
    ],
    [
      'a value out of range inside a group',
      factor(
        '\n      name: x\n      set:\n        batchSize: 64\n        schedule:\n          type: cosine\n          warmup: 5',
      ),
      13,
      /schedule\.warmup \(=5\) must be a number in \[0, 1\)/,
    ],
    [
      'a key of the baseline that is wrong',
      study('factors: [{ name: x, set: { augment: false } }]', '\n  model: tuto\n  steps: 1000\n  labelSmoothing: 2'),
      5,
      /labelSmoothing \(=2\) must be a number in \[0, 1\)/,
    ],
    [
      'a key of the baseline that a change contradicts',
      study(
        'factors:\n  - { name: x, set: { augment: false } }\n  - { name: y, set: { optimizer.momentum: 0 } }',
        '{ model: tuto, optimizer.nesterov: true, optimizer.momentum: 0.9 }',
      ),
      7,
      /optimizer\.momentum \(=0\) must be above 0 with optimizer\.nesterov\nSet optimizer\.momentum=0\.9/,
    ],
    [
      'a setting of the baseline that the model of a change does not have',
      study('factors:\n  - { name: x, set: { model: squeeze1 } }', '{ model: tuto, model.lrn: false }'),
      6,
      /model "squeeze1" has no setting "lrn"/,
    ],
    [
      'a setting by its short name, given again',
      study('factors:\n  - name: x\n    set:\n      conv1.filters: 0', '{ model: tuto, model.conv1.filters: 8 }'),
      8,
      /conv1\.filters \(=0\) must be an integer of at least 1/,
    ],
    [
      'a network that cannot be built',
      study('factors:\n  - name: x\n    set:\n      inputSize: 8', '{ model: air94 }'),
      7,
      /no larger than the padded input 1x1 for layer "group3\/pool"/,
    ],
    [
      'a change that changes nothing',
      factor('{ name: x, set: { learningRate: 0.1 } }'),
      7,
      /"x" trains exactly like "baseline": it changes nothing/,
    ],
    [
      'a seed as a change',
      factor('{ name: x, set: { seed: 4 } }'),
      7,
      /factors\[1\]\.set\.seed must be left out: the seeds of a study are given once/,
    ],
    [
      'a reference that is not there',
      factor('{ name: x, against: fin, set: { model.lrn: false } }'),
      7,
      /factors\[1\]\.against \(=fin\) must be the name of another factor .*: fine$/m,
    ],
    [
      'seeds that repeat',
      study('factors: [{ name: x, set: { augment: false } }]').replace('[1, 2]', '[1, 1]'),
      4,
      /seeds\[1\] \(=1\) must be different/,
    ],
    [
      'no seeds',
      study('factors: [{ name: x, set: { augment: false } }]').replace('seeds: [1, 2]', 'seeds: []'),
      4,
      /seeds \(=\[\]\) must be a list of different integers of at least 0, or how many/,
    ],
    [
      'more seeds than anyone trains',
      study('factors: [{ name: x, set: { augment: false } }]').replace('seeds: [1, 2]', 'seeds: 99999999999'),
      4,
      /seeds \(=99999999999\) must be a list of different integers of at least 0, or how many, up to 1000/,
    ],
    [
      'an unknown design',
      study('factors: [{ name: x, set: { augment: false } }]', undefined, 'factorail'),
      3,
      /design \(=factorail\) must be one of one-at-a-time, leave-one-out, factorial, grid, random, models/,
    ],
    [
      'no baseline',
      study('').replace(/baseline.*\n/, ''),
      1,
      /baseline \(=missing\) must be keys of the configuration with their values/,
    ],
    ['no factors', study(''), 1, /factors must be a list of at least one factor/],
    [
      'halving for effects',
      study('halving: { factor: 3 }\nfactors: [{ name: x, set: { augment: false } }]'),
      5,
      /halving is for the design grid and random, not one-at-a-time/,
    ],
    [
      'a range outside of a random search',
      factor('{ name: x, range: { key: learningRate, low: 0.1, high: 1 } }'),
      7,
      /factors\[1\]\.range is for the design random, not one-at-a-time/,
    ],
    [
      'a range upside down',
      study('trials: 3\nfactors: [{ name: x, range: { key: learningRate, low: 2, high: 1 } }]', undefined, 'random'),
      6,
      /range\.low \(=2\) must be below high \(=1\)/,
    ],
    [
      'seeds drawn from a range',
      study('trials: 5\nfactors: [{ name: x, range: { key: seed, low: 1, high: 9, integer: true } }]', undefined, 'random'),
      6,
      /factors\[0\]\.range\.key \(=seed\) must be another key: the seeds of a study are given once/,
    ],
    [
      'random without trials',
      study('factors: [{ name: x, set: { augment: false } }]', undefined, 'random'),
      3,
      /trials \(=missing\) must be a positive integer[^]*add trials: 20/,
    ],
    [
      'more trials than combinations',
      study('trials: 9\nfactors: [{ name: x, set: { augment: false } }]', undefined, 'random'),
      5,
      /trials \(=9\) must be at most 2/,
    ],
    [
      'more combinations than fit into memory',
      study(
        `factors:\n${Array.from({ length: 30 }, (_, i) => `  - { name: f${i}, set: { learningRate: ${i + 1} } }`).join('\n')}`,
        undefined,
        'factorial',
      ),
      5,
      /a study may have at most 10,000 runs, and this one has 2,147,483,648: 1,073,741,824 variants, 2 seeds\nleave factors or levels out, or draw/,
    ],
    [
      'a grid beyond all numbers',
      study(
        `factors:\n${Array.from({ length: 400 }, (_, i) => `  - { name: f${i}, levels: [${Array.from({ length: 10 }, (_, k) => `{ learningRate: ${k + 1} }`).join(', ')}] }`).join('\n')}`,
        undefined,
        'grid',
      ),
      5,
      /and this one has some 2e\+308: some 2e\+308 variants, 2 seeds/,
    ],
    [
      'more trials than anyone trains',
      study('trials: 1000000000\nfactors: [{ name: x, set: { augment: false } }]', undefined, 'random'),
      5,
      /at most 10,000 runs, and this one has 2,000,000,000: 1,000,000,000 variants, 2 seeds\nleave some out, or give fewer seeds/,
    ],
    [
      'more factors than anyone trains',
      study(`factors: [${Array.from({ length: 5000 }, (_, i) => `{ name: f${i}, set: { steps: ${i + 1} } }`).join(', ')}]`),
      5,
      /at most 10,000 runs, and this one has 10,002: 5,001 variants, 2 seeds$/m,
    ],
    [
      'left out one by one, likewise',
      study(
        `factors: [${Array.from({ length: 5000 }, (_, i) => `{ name: f${i}, set: { steps: ${i + 1} } }`).join(', ')}]`,
        undefined,
        'leave-one-out',
      ),
      5,
      /and this one has 10,002: 5,001 variants, 2 seeds$/m,
    ],
    [
      'more seeds than anyone trains with, for the models',
      study(`models: [${Array.from({ length: 11 }, (_, i) => `m${i}`).join(', ')}]`, undefined, 'models').replace(
        '[1, 2]',
        '1000',
      ),
      5,
      /and this one has 11,000: 11 variants, 1,000 seeds/,
    ],
    ['a single model', study('models: [tuto]', undefined, 'models'), 5, /models must be a list of at least two models/],
    [
      'an unknown model in the list',
      study('models:\n  - tuto\n  - sqeeze1', undefined, 'models'),
      7,
      /there is no model "sqeeze1"\. Did you mean "squeeze1"\?/,
    ],
    [
      'levels where a factor is on or off',
      study('factors:\n  - { name: x, levels: [{ learningRate: 1 }] }', undefined, 'leave-one-out'),
      6,
      /must have "set", not "levels"/,
    ],
    [
      'two documents',
      `${study('')}---\nname: other\n`,
      study('').split('\n').length,
      /a second document begins here: a study file has one$/,
    ],
    ['an alias of nothing', factor('{ name: x, set: *gone }'), 7, /there is no anchor "&gone" before this alias/],
    [
      'the newest run of a model, which changes meanwhile',
      factor('{ name: x, set: { teacher: nin2 } }'),
      7,
      /teacher \(=nin2\) must be one run or a file, not the newest run of a model\n.*teacher: nin2\/1/,
    ],
    [
      'a quantization that there is not',
      factor('{ name: x, set: { quantization: int4 } }'),
      7,
      /quantization\.scheme \(=int4\) must be one of none, int8, int8-weights, float16-weights/,
    ],
    [
      'the quantization that the baseline has',
      study('factors:\n  - { name: x, set: { quantization: int8 } }', '{ model: tuto, quantization: int8 }'),
      6,
      /"x" trains exactly like "baseline": it changes nothing/,
    ],
    [
      'views of images with quantization',
      study('factors:\n  - { name: x, set: { quantization: int8 } }', '{ model: tuto, tta: mirror }'),
      2,
      /tta \(=mirror\) must be none with quantization: a frozen file sees each image once\ntta: none in the baseline/,
    ],
    [
      'trials that stop early, with quantization',
      study('halving: { factor: 3 }\nfactors: [{ name: x, set: { quantization: int8 } }]', undefined, 'grid'),
      5,
      /halving must be left out with quantization/,
    ],
    ['broken YAML', study('factors: [\n'), 6, /^study\.yaml:6: Flow sequence in block collection must be .*\]$/],
    [
      'an alias of what it is a part of',
      study('title: &x { a: *x }'),
      5,
      /the alias "\*x" stands for something that it is a part of$/,
    ],
    ['aliases of aliases of aliases', study(`a: &a [x, x]\n${aliasBomb('a', 8)}`), 1, /the aliases stand for far more than/],
    [
      'lists in lists without end',
      study(`title: ${'['.repeat(20_000)}`),
      5,
      /^study\.yaml:5: lists and groups are nested too deeply$/,
    ],
    ['an unknown tag', study('title: !!foo 3'), 5, /Unresolved tag: tag:yaml\.org,2002:foo/],
    ['a key that is a list', study('? [a, b]\n: 3'), 5, /a key must be a word/],
    [
      'the prototype of objects',
      factor('{ name: x, set: { augment: false, __proto__: { steps: 3 } } }'),
      7,
      /there is no key "__proto__"$/,
    ],
    [
      'a key of the prototype of objects',
      factor('{ name: x, set: { __proto__.learningRate: 0.5 } }'),
      7,
      /there is no key "__proto__\.learningRate"\.$/m,
    ],
    ['a number in quotes', study('trials: "3"'), 5, /^study\.yaml:5: trials \(="3"\) must be a positive integer$/],
    ['what is not a number', study('trials: .nan'), 5, /^study\.yaml:5: trials \(=NaN\) must be a positive integer$/],
    [
      'what is not a number, as the value of a key',
      factor('{ name: x, set: { learningRate: .nan } }'),
      7,
      /learningRate \(=NaN\) must be a number above 0/,
    ],
    [
      'a number in quotes, as the value of a key',
      factor('{ name: x, set: { batchSize: "64" } }'),
      7,
      /batchSize \(="64"\) must be a positive integer/,
    ],
    ['a key twice', study('name: again\n'), 5, /keys must be unique/],
    ['another kind of file', 'hello', 1, /it \(=hello\) must be a group of keys: name, title/],
    ['an empty file', '', 1, /it \(=null\) must be a group of keys: name, title/],
  ];

  test.each(cases)('%s', (_, text, line, message) => {
    const error = thrownBy(() => plan(text));
    expect(error).toBeInstanceOf(ConfigurationError);
    const { message: said, fix, exitCode } = error as ConfigurationError;
    expect(exitCode).toBe(2);
    expect([said, ...(fix === undefined ? [] : [fix])].join('\n')).toMatch(message);
    expect(said.split('\n')[0]).toMatch(new RegExp(`^study\\.yaml:${line}: `));
    // Each is about one place, and said once.
    expect(new Set(said.split('\n')).size).toBe(said.split('\n').length);
  });

  test('a file that is not text in UTF-8', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ablate-study-file-'));
    try {
      const path = join(folder, 'study.yaml');
      writeFileSync(path, Buffer.from(study('title: \u00e4'), 'latin1'));
      expect(thrownBy(() => readStudyFile(path))).toMatchObject({
        message: `${path} is not text in UTF-8`,
        exitCode: 2,
        fix: 'give a study file, saved as UTF-8 (docs/studies.md)',
      });
      writeFileSync(path, study('title: \u00e4'));
      expect(readStudyFile(path).source.title).toBe('\u00e4');
      expect(thrownBy(() => readStudyFile(join(folder, 'none.yaml')))).toMatchObject({
        message: `cannot read ${join(folder, 'none.yaml')}: no such file or folder (ENOENT)`,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('as many runs as a study may have are not refused for their number', () => {
    const trials = (count: number) =>
      study(
        `trials: ${count}\nfactors: [{ name: x, range: { key: learningRate, low: 1.0e-9, high: 1, scale: log } }]`,
        undefined,
        'random',
      );
    expect(designOf(parseStudyFile(trials(5000), 'study.yaml')).variants).toHaveLength(5000);
    expect(thrownBy(() => designOf(parseStudyFile(trials(5001), 'study.yaml')))).toMatchObject({
      message: expect.stringContaining('10,002') as string,
    });
  });

  test('all wrong keys at once', () => {
    const { message } = thrownBy(() => plan(study('factor: []\nseed: 3\n'))) as Error;
    expect(message.split('\n').map((each) => each.slice(0, 14))).toEqual(['study.yaml:5: ', 'study.yaml:6: ']);
  });
});

/** Lists of ten times what the list before holds. */
function aliasBomb(first: string, levels: number): string {
  return Array.from({ length: levels }, (_, i) => {
    const before = i === 0 ? first : `${first}${i}`;
    return `${first}${i + 1}: &${first}${i + 1} [${Array(10).fill(`*${before}`).join(', ')}]`;
  }).join('\n');
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('a study in code', () => {
  const study: StudyDefinition = {
    name: 'widths',
    dataset: 'cifar10',
    baseline: { model: 'own', steps: 4 },
    design: 'one-at-a-time',
    factors: [{ name: 'filters', levels: [{ filters: 2 }, { filters: 3 }] }],
    seeds: 2,
  };
  const own = defineModel({
    name: 'own',
    settings: { filters: count(4, 'of the convolution') },
    layers: (b, { filters }, classes) =>
      b.dense('logits', b.globalAvgPool('average', b.conv('conv1', b.input, { kernel: 3, filters })), { features: classes }),
  });
  const shape = { shape: [3, 32, 32], train: { count: 50_000 }, classes: ['a', 'b'] } as const;
  const wide = { ...study, factors: [{ name: 'wide', set: { width: 2 } }] };

  test('is planned with models of the program, and its record is a study file', () => {
    const plan = planStudy(defineStudy(study), shape, studyModels(own));
    expect(plan.runs.map(({ variant, seed, config }) => [variant, seed, config.modelSettings['filters']])).toEqual([
      ['baseline', 1, 4],
      ['filters: 2', 1, 2],
      ['filters: 3', 1, 3],
      ['baseline', 2, 4],
      ['filters: 2', 2, 2],
      ['filters: 3', 2, 3],
    ]);
    expect(planStudy(parseStudyFile(plan.file.text, 'study.yaml'), shape, studyModels(own)).runs).toEqual(plan.runs);
  });

  test('is refused with its name', () => {
    expect(() => defineStudy({ ...study, factors: [], seeds: 0 })).toThrow(/^study widths: seeds \(=0\) must be/);
    expect(() => planStudy(defineStudy(wide), shape, studyModels(own))).toThrow(/^study widths: there is no key "width"/);
    expect(() => planStudy(defineStudy(wide), shape)).toThrow(/^study widths: there is no model "own"/);
    expect(told(() => defineStudy({ ...study, factors: 3, seeds: 0 } as never)).message).toBe(
      'study widths: factors (=3) must be a list of factors; seeds (=0) must be a list of different integers of at least 0, or how many, up to 1000 (3 is [1, 2, 3])',
    );
    for (const nameless of [{ ...study, name: 3 }, {}, undefined, 'text'])
      expect(() => defineStudy(nameless as never)).toThrow(/^study without a name: /);
    const designed: StudyDefinition = {
      ...study,
      design: 'random',
      trials: 9,
      factors: [{ name: 'a', set: { augment: false } }],
    };
    expect(told(() => planStudy(defineStudy(designed), shape, studyModels(own))).fix).toBe(
      'give fewer trials, or use design: grid',
    );
    const given = { ...study, baseline: { ...study.baseline, model: own } };
    expect(told(() => planStudy(defineStudy(given), shape, studyModels(own)))).toEqual({
      kind: 'ConfigurationError',
      message: 'study widths: model must be a name, not a definition',
      fix: "name it, and give a model of the program's own beside the study: planStudy(study, facts, studyModels(net))",
    });
    expect(told(() => studyModels(own, own))).toEqual({
      kind: 'ConfigurationError',
      message: 'two models are called "own"',
      fix: 'give the one of your own another name',
    });
    expect(() => studyModels({ ...own, name: 'tuto' })).toThrow('two models are called "tuto"');
  });
});

test('images are looked for from the folder of the study file; those given beside it from here', () => {
  const text = (dataset: string) =>
    `name: a\ndataset: '${dataset}'\nbaseline: { model: tuto }\ndesign: models\nmodels: [tuto]\nseeds: 1\n`;
  const datasetOf = (path: string, dataset: string, given?: string) => parseStudyFile(text(dataset), path, given).source.dataset;
  expect(datasetOf('studies/a.yaml', './data.ts')).toBe('studies/data.ts');
  expect(datasetOf('studies/a.yaml', 'images:../photos?size=8x9')).toBe('images:photos?size=8x9');
  expect(datasetOf('studies/a.yaml', 'images:/photos')).toBe('images:/photos');
  expect(datasetOf('studies/a.yaml', 'mnist')).toBe('mnist');
  expect(datasetOf('a.yaml', './data.ts')).toBe('./data.ts');
  expect(datasetOf('studies/a.yaml', 'mnist', './data.ts')).toBe('./data.ts');
});
