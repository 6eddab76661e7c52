/** What studies compare, and what they refuse, whole. That each error is told with its line is tested in study-file.test.ts. */
import { describe, expect, test } from 'vitest';
import { placedStudy, refusalOf } from '../../test/placed-study.ts';
import { streamKey, uniform } from '../util/random.ts';
import { ConfigurationError } from '../util/errors.ts';
import { designOf, relocated } from './design.ts';
import type { StudyFile } from './study-file.ts';

const baseline = { overrides: { model: 'tuto', steps: 10 }, at: ['baseline'] };

function file(design: string, rest: string, model = 'tuto'): StudyFile {
  return placedStudy(`name: test\nbaseline: { model: ${model}, steps: 10 }\ndesign: ${design}\nseeds: [1, 2]\n${rest}`);
}

const built = (design: string, rest: string, model?: string) => designOf(file(design, rest, model));
const refusal = (design: string, rest: string) => refusalOf(() => built(design, rest));

/** One for each line. */
const factors = (...each: string[]) => `factors:\n${each.map((factor) => `  - ${factor}\n`).join('')}`;
const flat = '{ name: flat, set: { augment: false } }';
const plain = '{ name: plain, set: { model.lrn: false } }';

describe('designs, whole', () => {
  test('one at a time', () => {
    const rates =
      "{ name: rate, levels: [{ learningRate: 0.05 }, { label: 'fast, long', set: { learningRate: 0.2, steps: 20 } }] }";
    const both = '{ name: sizes, levels: [{ batchSize: 64 }, { inputSize: 20 }] }';
    const linear = '{ name: linear, against: flat, set: { logitsRelu: false } }';
    const change = (overrides: object, ...at: (string | number)[]) => ({ overrides, at: ['factors', ...at] });
    const flatChange = change({ augment: false }, 0, 'set');
    const difference = (factor: string, level: string, variant: string, reference = 'baseline') => ({
      ...{ kind: 'difference', factor, level, reference },
      weights: [
        { variant, weight: 1 },
        { variant: reference, weight: -1 },
      ],
    });
    const { variants, contrasts, reference } = built('one-at-a-time', factors(flat, rates, both, linear));
    expect(reference).toBe('baseline');
    expect(variants).toMatchObject([
      { name: 'baseline', changes: [baseline] },
      { name: 'flat', changes: [baseline, flatChange] },
      { name: 'rate: learningRate 0.05', changes: [baseline, change({ learningRate: 0.05 }, 1, 'levels', 0)] },
      { name: 'rate: fast, long', changes: [baseline, change({ learningRate: 0.2, steps: 20 }, 1, 'levels', 1, 'set')] },
      { name: 'sizes: batchSize 64', changes: [baseline, change({ batchSize: 64 }, 2, 'levels', 0)] },
      { name: 'sizes: inputSize 20', changes: [baseline, change({ inputSize: 20 }, 2, 'levels', 1)] },
      { name: 'linear', changes: [baseline, flatChange, change({ logitsRelu: false }, 3, 'set')] },
    ]);
    expect(contrasts).toEqual([
      difference('flat', 'flat', 'flat'),
      difference('rate', 'learningRate 0.05', 'rate: learningRate 0.05'),
      difference('rate', 'fast, long', 'rate: fast, long'),
      difference('sizes', 'batchSize 64', 'sizes: batchSize 64'),
      difference('sizes', 'inputSize 20', 'sizes: inputSize 20'),
      difference('linear', 'linear', 'linear', 'flat'),
    ]);
  });

  test.each([
    ['{ schedule: cosine }, { schedule: constant }', ['kind: cosine', 'kind: constant']],
    ['{ augmentation.contrast: [1, 1] }, { augmentation.contrast: [0.5, 1] }', ['kind: [1,1]', 'kind: [0.5,1]']],
    ['{ steps: 5, batchSize: 64 }, { steps: 9, batchSize: 64 }', ['kind: steps 5, batchSize 64', 'kind: steps 9, batchSize 64']],
    ['{ label: one, set: { steps: 5 } }, { steps: 6 }', ['kind: one', 'kind: 6']],
  ])('levels are named by their values, which share their key or not: %s', (levels, expected) => {
    const { variants } = built('one-at-a-time', factors(`{ name: kind, levels: [${levels}] }`));
    expect(variants.slice(1).map(({ name }) => name)).toEqual(expected);
  });

  test('leave one out', () => {
    const { contrasts, reference, halving, hypotheses, seeds, name } = built('leave-one-out', factors(flat, plain));
    expect(contrasts).toMatchObject([
      { kind: 'difference', factor: 'flat', level: 'left out', reference: 'everything on' },
      { kind: 'difference', factor: 'plain', level: 'left out', reference: 'everything on' },
    ]);
    expect(contrasts.map(({ weights }) => weights.map(({ variant, weight }) => `${weight} ${variant}`))).toEqual([
      ['1 without flat', '-1 everything on'],
      ['1 without plain', '-1 everything on'],
    ]);
    expect({ reference, halving, hypotheses, seeds, name }).toEqual({
      ...{ reference: 'everything on', halving: undefined, hypotheses: [], seeds: [1, 2], name: 'leave-one-out' },
    });
  });

  test('factorial', () => {
    const rates = '{ name: rate, levels: [{ learningRate: 0.05 }, { learningRate: 0.2 }] }';
    const { contrasts, variants } = built('factorial', factors(flat, rates, plain));
    expect(variants).toHaveLength(12);
    expect(contrasts.map(({ kind, factor, level, reference }) => [kind, factor, level, reference])).toEqual([
      ['main', 'flat', 'flat', 'without flat'],
      ['main', 'rate', '0.05', 'without rate'],
      ['main', 'rate', '0.2', 'without rate'],
      ['main', 'plain', 'plain', 'without plain'],
      ['interaction', 'flat x rate', 'flat with 0.05', 'the sum of both'],
      ['interaction', 'flat x rate', 'flat with 0.2', 'the sum of both'],
      ['interaction', 'flat x plain', 'together', 'the sum of both'],
      ['interaction', 'rate x plain', '0.05 with plain', 'the sum of both'],
      ['interaction', 'rate x plain', '0.2 with plain', 'the sum of both'],
    ]);
    // (flat and plain - plain) - (flat - neither), averaged over the three rates.
    expect(contrasts[6]!.weights.map(({ variant, weight }) => [variant, Math.round(3 * weight)])).toEqual([
      ['baseline', 1],
      ['plain', -1],
      ['rate: 0.05', 1],
      ['rate: 0.05 + plain', -1],
      ['rate: 0.2', 1],
      ['rate: 0.2 + plain', -1],
      ['flat', -1],
      ['flat + plain', 1],
      ['flat + rate: 0.05', -1],
      ['flat + rate: 0.05 + plain', 1],
      ['flat + rate: 0.2', -1],
      ['flat + rate: 0.2 + plain', 1],
    ]);
  });

  test('grid: changes and levels by names of their own, and where they stand', () => {
    const rates = '{ name: rate, levels: [{ learningRate: 0.05 }, { label: fast, set: { learningRate: 0.2 } }] }';
    const { variants, contrasts, reference } = built('grid', factors(rates, flat));
    const [slow, fast] = [
      { overrides: { learningRate: 0.05 }, at: ['factors', 0, 'levels', 0] },
      { overrides: { learningRate: 0.2 }, at: ['factors', 0, 'levels', 1, 'set'] },
    ];
    const [off, on] = [
      { overrides: {}, at: ['factors', 1] },
      { overrides: { augment: false }, at: ['factors', 1, 'set'] },
    ];
    expect(variants).toMatchObject([
      { name: 'learningRate 0.05, no flat', changes: [baseline, slow, off] },
      { name: 'learningRate 0.05, flat', changes: [baseline, slow, on] },
      { name: 'rate fast, no flat', changes: [baseline, fast, off] },
      { name: 'rate fast, flat', changes: [baseline, fast, on] },
    ]);
    expect([contrasts, reference]).toEqual([[], undefined]);
  });

  test.each([
    ['linear', (u: number) => -0.5 + 2.5 * u],
    ['log', (u: number) => 0.01 * 200 ** u],
  ])('random: values are drawn from a %s range, to three digits', (scale, value) => {
    const low = scale === 'log' ? 0.01 : -0.5;
    const range = `{ name: rate, range: { key: learningRate, low: ${low}, high: 2, scale: ${scale} } }`;
    const { variants } = built('random', `trials: 8\n${factors(flat, range)}`);
    const drawn = variants.map(({ changes }) => changes[2]!.overrides['learningRate']);
    expect(drawn).toEqual(
      Array.from({ length: 8 }, (_, trial) => Number(value(uniform(streamKey(0, 'study:random', trial), 1)).toPrecision(3))),
    );
    expect(variants[0]!.name).toMatch(new RegExp(`^(no )?flat, learningRate ${String(drawn[0])}$`));
    expect(variants[0]!.changes[2]!.at).toEqual(['factors', 1, 'range', 'key']);
    expect(new Set(variants.map(({ changes }) => Object.keys(changes[1]!.overrides).length))).toEqual(new Set([0, 1]));
  });

  test('models: the one that the baseline names comes first, listed or not', () => {
    const names = (...args: Parameters<typeof built>) => built(...args).variants.map(({ name, changes }) => [name, changes[1]!]);
    expect(names('models', 'models: [alex0, squeeze1]')).toEqual([
      ['tuto', { overrides: {}, at: ['baseline', 'model'] }],
      ['alex0', { overrides: { model: 'alex0' }, at: ['models', 0] }],
      ['squeeze1', { overrides: { model: 'squeeze1' }, at: ['models', 1] }],
    ]);
    expect(names('models', 'models: [alex0, tuto, ./net.ts]').map(([name]) => name)).toEqual(['tuto', 'alex0', './net.ts']);
    expect(names('models', 'models: [tuto, alex0]').map(([name]) => name)).toEqual(['tuto', 'alex0']);
    const listed = file('models', 'models: [alex0, tuto]');
    const design = designOf({ ...listed, source: { ...listed.source, baseline: { steps: 10 } } });
    expect(design.variants.map(({ name }) => name)).toEqual(['alex0', 'tuto']);
    expect(design.contrasts.map(({ factor, level, reference }) => [factor, level, reference])).toEqual([
      ['model', 'tuto', 'alex0'],
    ]);
  });
});

describe('refusals, whole', () => {
  const names = ['seed', 'dataset', 'threads'];

  test.each([
    [
      'one-at-a-time',
      `${factors(flat, plain)}hypotheses: [{ hypothesis: so, changes: [flat, plan], expected: same }]`,
      ['hypotheses', 0, 'changes', 1],
      'hypotheses[0].changes[1] (=plan) must be one of the changes of the study: flat, plain. Did you mean "plain"?',
    ],
    [
      'grid',
      `${factors(flat)}hypotheses: [{ hypothesis: so, changes: [flat], expected: same }]`,
      ['hypotheses', 0, 'changes', 0],
      'hypotheses[0].changes[0] (=flat) must be left out: a search compares none',
    ],
    [
      'one-at-a-time',
      factors(
        flat,
        plain,
        '{ name: x, levels: [{ steps: 5 }] }',
        '{ name: y, against: flat, set: { steps: 9 } }',
        '{ name: z, against: w, set: { steps: 8 } }',
      ),
      ['factors', 4, 'against'],
      'factors[4].against (=w) must be the name of another factor with "set" and without "against": flat, plain',
    ],
    ...['x', 'y', 'z'].map(
      (against) =>
        [
          'one-at-a-time',
          factors(
            '{ name: x, levels: [{ steps: 5 }] }',
            flat,
            '{ name: y, against: flat, set: { steps: 9 } }',
            `{ name: z, against: ${against}, set: { steps: 8 } }`,
          ),
          ['factors', 3, 'against'],
          `factors[3].against (=${against}) must be the name of another factor with "set" and without "against": flat`,
        ] as const,
    ),
    [
      'one-at-a-time',
      factors('{ name: z, against: z, set: { steps: 8 } }'),
      ['factors', 0, 'against'],
      'factors[0].against (=z) must be the name of another factor with "set" and without "against": there is none',
    ],
    [
      'leave-one-out',
      factors(flat, '{ name: z, against: flat, set: { steps: 8 } }'),
      ['factors', 1, 'against'],
      'factors[1].against is for the design one-at-a-time, not leave-one-out',
    ],
    [
      'random',
      `trials: 3\n${factors(flat)}`,
      ['trials'],
      'trials (=3) must be at most 2: the factors have no more combinations',
      'give fewer trials, or use design: grid',
    ],
    ['random', factors(flat), ['design'], 'trials (=missing) must be a positive integer for the design random', 'add trials: 20'],
    ['grid', `trials: 3\n${factors(flat)}`, ['trials'], 'trials is for the design random, not grid'],
    [
      'one-at-a-time',
      `halving: { factor: 3 }\n${factors(flat)}`,
      ['halving'],
      'halving is for the design grid and random, not one-at-a-time',
    ],
    ['one-at-a-time', '', ['factors'], 'factors must be a list of at least one factor'],
    ['grid', `models: [tuto, alex0]\n${factors(flat)}`, ['models'], 'models is for the design models, not grid'],
    [
      'models',
      `models: [tuto, alex0]\n${factors(flat)}`,
      ['factors'],
      'factors must be left out of the design models',
      'use design: one-at-a-time, with set: { model: ... }',
    ],
    ['models', 'models: [alex0, squeeze1, alex0]', ['models', 2], 'models[2] (=alex0) is there twice'],
    ['models', 'models: [tuto]', ['models'], 'models must be a list of at least two models', 'add models: [tuto, alex0]'],
    [
      'one-at-a-time',
      factors(flat, '{ name: flat, set: { steps: 8 } }'),
      ['factors', 1, 'name'],
      'factors[1].name (=flat) must be different from the names of the factors before it',
    ],
    [
      'one-at-a-time',
      factors(flat, '{ name: baseline, set: { steps: 8 } }'),
      ['factors', 1, 'name'],
      'factors[1].name (=baseline) is what the study without changes is called',
    ],
    ['one-at-a-time', factors(flat, '{ name: x }'), ['factors', 1], 'factor "x" must have exactly one of set, levels'],
    [
      'random',
      `trials: 2\n${factors(flat, '{ name: x }')}`,
      ['factors', 1],
      'factor "x" must have exactly one of set, levels, range',
    ],
    [
      'leave-one-out',
      factors(flat, '{ name: x, levels: [{ steps: 8 }] }'),
      ['factors', 1, 'levels'],
      'factor "x" must have "set", not "levels", in the design leave-one-out: it is on or off',
    ],
    [
      'grid',
      factors(flat, '{ name: x, range: { key: learningRate, low: 1, high: 2 } }'),
      ['factors', 1, 'range'],
      'factors[1].range is for the design random, not grid',
    ],
    ...(
      [
        ['low: 2, high: 2', 'range.low (=2) must be below high (=2)'],
        ['low: 3, high: 2', 'range.low (=3) must be below high (=2)'],
        ['low: 0, high: 2, scale: log', 'range.low (=0) must be above 0 and below high (=2)'],
        ['low: -1, high: 2, scale: log', 'range.low (=-1) must be above 0 and below high (=2)'],
      ] as const
    ).map(
      ([range, message]) =>
        [
          'random',
          `trials: 2\n${factors(flat, `{ name: x, range: { key: learningRate, ${range} } }`)}`,
          ['factors', 1, 'range', 'low'],
          `factors[1].${message}`,
        ] as const,
    ),
    ...names.map(
      (key) =>
        [
          'random',
          `trials: 2\n${factors(flat, `{ name: x, range: { key: ${key}, low: 1, high: 9 } }`)}`,
          ['factors', 1, 'range', 'key'],
          expect.stringMatching(
            new RegExp(`^factors\\[1\\]\\.range\\.key \\(=${key}\\) must be another key: the .* (is|are) (given|decided) .*: `),
          ) as string,
        ] as const,
    ),
    [
      'one-at-a-time',
      factors(flat, '{ name: x, set: { steps: 5, val: true } }'),
      ['factors', 1, 'set', 'val'],
      'factors[1].set.val must be left out: the images that accuracies are of are the same for all runs, as baseline: { val: true }',
    ],
    [
      'one-at-a-time',
      factors(flat, '{ name: x, set: { steps: 5, threads: 2 } }'),
      ['factors', 1, 'set', 'threads'],
      'factors[1].set.threads must be left out: the threads of each run are decided when the study is run: ablate study --jobs, --threads',
    ],
    [
      'one-at-a-time',
      factors(flat, '{ name: x, levels: [{ steps: 5 }, { dataset: mnist }] }'),
      ['factors', 1, 'levels', 1, 'dataset'],
      'factors[1].levels[1].dataset must be left out: the data set of a study is given once for all runs, as dataset: cifar10',
    ],
    [
      'one-at-a-time',
      factors(flat, '{ name: x, levels: [{ steps: 5 }, { steps: 6 }, { steps: 5 }] }'),
      ['factors', 1, 'levels', 2],
      'factors[1].levels[2] ("5") must be different from the levels before it',
    ],
  ] as const)('%s, %#', (design, rest, at, message, fix?: string) => {
    expect(refusal(design, rest)).toEqual({ at, message, fix });
  });

  test('a model that there is not, with where it stands and what there is', () => {
    const { at, message, fix } = refusal('models', 'models: [tuto, tutu]');
    expect([at, message]).toEqual([['models', 1], 'there is no model "tutu". Did you mean "tuto"?']);
    expect(fix).toMatch(/tuto, alex0/);
  });

  test('a single model, unless the baseline names another', () => {
    const { source, error } = file('models', 'models: [tuto]');
    const withBaseline = (baseline: StudyFile['source']['baseline']) =>
      designOf({ path: '', text: '', source: { ...source, baseline }, error });
    const refused = { message: 'models must be a list of at least two models', at: ['models'], fix: 'add models: [tuto, alex0]' };
    expect(refusalOf(() => withBaseline({ model: 'tuto' }))).toMatchObject(refused);
    expect(refusalOf(() => withBaseline({ steps: 10 }))).toMatchObject(refused);
    expect(withBaseline({ model: 'alex0' }).variants.map(({ name }) => name)).toEqual(['alex0', 'tuto']);
  });

  test('a baseline that names what the study decides, and a single seed too many', () => {
    const { source, error } = file('one-at-a-time', factors(flat));
    const refused = (changed: Partial<StudyFile['source']>) =>
      refusalOf(() => designOf({ path: '', text: '', source: { ...source, ...changed }, error }));
    expect(refused({ baseline: { model: 'tuto', seed: 3 } })).toMatchObject({
      message: 'baseline.seed must be left out: the seeds of a study are given once for all runs, as seeds: [1, 2, 3]',
      at: ['baseline', 'seed'],
    });
    expect(refused({ seeds: [4, 5, 4] })).toMatchObject({
      message: 'seeds[2] (=4) must be different from the seeds before it',
      at: ['seeds', 2],
    });
  });

  test('more runs than a study may have: how many, and of what to leave some out', () => {
    const levels = (count: number) => Array.from({ length: count }, (_, i) => `{ steps: ${i + 1} }`).join(', ');
    const product = 'leave factors or levels out, or draw some of the combinations: design: random';
    const sum = 'leave some out, or give fewer seeds';
    const tooMany = (design: string, rest: string) => refusal(design, rest);
    // On, or off: 2 x 2,501 variants.
    expect(tooMany('grid', factors(flat, `{ name: x, levels: [${levels(2501)}] }`))).toEqual({
      at: ['factors'],
      message: 'a study may have at most 10,000 runs, and this one has 10,004: 5,002 variants, 2 seeds',
      fix: product,
    });
    expect(tooMany('factorial', factors(flat, `{ name: x, levels: [${levels(2500)}] }`)).message).toMatch(
      /has 10,004: 5,002 var/,
    );
    expect(tooMany('factorial', factors(flat, `{ name: x, levels: [${levels(2500)}] }`)).fix).toBe(product);
    const many = Array.from({ length: 15 }, (_, i) => `{ name: f${i}, levels: [${levels(10)}] }`);
    expect(tooMany('grid', factors(...many)).message).toMatch(/has some 2e\+15: some 1e\+15 variants, 2 seeds$/);
    expect(tooMany('random', `trials: 5001\n${factors(flat)}`)).toMatchObject({ at: ['trials'], fix: sum });
    expect(tooMany('models', `models: [${Array.from({ length: 5001 }, (_, i) => `m${i}`).join(', ')}]`)).toMatchObject({
      ...{ at: ['models'], fix: sum },
    });
    const oneSeed = file('one-at-a-time', factors(`{ name: x, levels: [${levels(10_000)}] }`));
    expect(() => designOf({ ...oneSeed, source: { ...oneSeed.source, seeds: 1 } })).toThrow(/10,001: 10,001 variants, 1 seed$/);
    expect(() => designOf({ ...oneSeed, source: { ...oneSeed.source, seeds: [3] } })).toThrow(/10,001: 10,001 variants, 1 seed$/);
  });

  test('an error of the configuration is told with its place, and its fix if it has one; others stay', () => {
    const { error } = file('grid', '');
    const told = (problem: unknown) => relocated({ error } as StudyFile, ['baseline'], problem);
    expect(told(new ConfigurationError('wrong', { fix: 'mend it' }))).toMatchObject({
      at: ['baseline'],
      message: 'wrong',
      fix: 'mend it',
    });
    expect(told(Object.assign(new Error('wrong'), { fix: 3 }))).toMatchObject({
      at: ['baseline'],
      message: 'wrong',
      fix: undefined,
    });
    for (const other of [new Error('a fault'), { fix: 'no error' }, 'text', undefined]) expect(told(other)).toBe(other);
  });
});
