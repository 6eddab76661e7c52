/** What is planned from a study, whole, and the places that its refusals are about. Designs are tested in design.test.ts. */
import { describe, expect, test } from 'vitest';
import { placedStudy, refusalOf } from '../../test/placed-study.ts';
import { createClassifier } from '../train/classifier.ts';
import { networkChecksum, recordOfClassifier } from '../train/classifier-record.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { runIdentity } from './identity.ts';
import { planStudy, roundLength } from './plan.ts';
import { labModels, type StudyModels } from './study-models.ts';

const facts = { shape: [3, 32, 32], train: { count: 50_000 }, classes: Array.from('abcdefghij') } as const;

interface Lines {
  readonly baseline?: string;
  readonly design?: string;
  /** One for each line. */
  readonly factors?: readonly string[];
  readonly more?: string;
}

function study({
  baseline = '',
  design = 'one-at-a-time',
  factors = ['{ name: flat, set: { augment: false } }'],
  more = '',
}: Lines) {
  const each = factors.map((factor) => `  - ${factor}\n`).join('');
  return placedStudy(
    `name: test\nbaseline: { model: tuto, steps: 1000${baseline} }\ndesign: ${design}\nseeds: [4, 2]\nfactors:\n${each}${more}`,
  );
}

const plan = (lines: Lines, models?: StudyModels) => planStudy(study(lines), facts, models);
const refusal = (lines: Lines, models?: StudyModels) => refusalOf(() => plan(lines, models));

describe('a plan, whole', () => {
  test('names, text and runs: all variants with the first seed, then all with the next', () => {
    const planned = plan({});
    const { name, title, description, dataset, file, runs, trainings, notes, design } = planned;
    expect({ name, title, description, dataset, file, notes }).toEqual({
      ...{ name: 'test', title: 'test', description: '', dataset: 'cifar10', notes: [] },
      file: { path: 'study.yaml', text: study({}).text },
    });
    expect(plan({ more: 'title: T\ndescription: D\n' })).toMatchObject({ title: 'T', description: 'D' });
    expect(design.variants.map((variant) => variant.name)).toEqual(['baseline', 'flat']);
    expect(runs.map(({ variant, seed, config }) => [variant, seed, config.seed, config.augment])).toEqual([
      ['baseline', 4, 4, true],
      ['flat', 4, 4, false],
      ['baseline', 2, 2, true],
      ['flat', 2, 2, false],
    ]);
    expect(trainings).toEqual(runs);
    for (const { config, identity, quantization, classifier } of runs) {
      expect([config.dataset, config.threads, quantization]).toEqual(['cifar10', 1, undefined]);
      expect(config.networkChecksum).toBe(networkChecksum(classifier.network));
      expect(config.inputSize).toBe(classifier.preprocessing.inputSize);
      expect(identity).toBe(runIdentity(config));
    }
  });

  test('records: the network, the files of code, and what the images have', () => {
    const own = { path: '/mine.ts', sha256: 'ab', code: 'export default 1' };
    const keys = { augmentWith: './own.ts', augmentWithSettings: { strength: 2 }, augmentationChecksum: 'cd' };
    const augmentation = (name: string) =>
      name === './own.ts' ? { keys: () => keys, records: { 'own.mjs': 'code' } } : undefined;
    const models = Object.assign(
      (name: string) => ({ ...labModels(name), file: name === 'alex0' ? (own as never) : undefined }),
      { augmentation },
    );
    const file = study({ factors: ['{ name: mine, set: { augmentWith: ./own.ts } }', '{ name: alex, set: { model: alex0 } }'] });
    const { runs } = planStudy(file, { ...facts, records: { 'images.json': { from: 'here' } } }, models);
    const [plain, mine, alex] = runs;
    const network = (run: typeof plain) => recordOfClassifier(createClassifier(run!.config, facts));
    expect(plain!.records).toEqual({ ...network(plain), 'images.json': { from: 'here' } });
    expect(plain!.config).toMatchObject({ augmentWith: 'none', augmentationChecksum: '' });
    expect(mine!.records).toEqual({ ...network(mine), 'own.mjs': 'code', 'images.json': { from: 'here' } });
    expect(mine!.config).toMatchObject(keys);
    expect(alex!.records).toEqual({
      ...network(alex),
      'model-file.json': { path: '/mine.ts', sha256: 'ab' },
      'model.mjs': 'export default 1',
      'images.json': { from: 'here' },
    });
  });

  test.each([
    ['', { evalEvery: 100, logEvery: 20, saveEverySeconds: 60, keepCheckpoints: 1 }],
    [', steps: 1001', { evalEvery: 101, logEvery: 21 }],
    [', steps: 3', { evalEvery: 1, logEvery: 1 }],
    [', steps: 100000', { evalEvery: 10_000, logEvery: 50 }],
    [
      ', evalEvery: 7, logEvery: 90, saveEverySeconds: 5, keepCheckpoints: 3',
      { evalEvery: 7, logEvery: 90, saveEverySeconds: 5, keepCheckpoints: 3 },
    ],
    [', evalEvery: 0', { evalEvery: 0 }],
  ])('records and evaluations are those of runs that nobody watches, unless given: %s', (baseline, expected) => {
    const file = study({});
    const given = placedStudy(
      file.text.replace(/, steps: 1000/, baseline.includes('steps') ? baseline : `, steps: 1000${baseline}`),
    );
    expect(planStudy(given, facts).runs[0]!.config).toMatchObject(expected);
  });

  test('a search that stops trials early evaluates at the end of each round', () => {
    const { runs } = plan({ design: 'grid', more: 'halving: { factor: 3, rounds: 2 }\n' });
    expect(runs.map(({ config }) => config.evalEvery)).toEqual([111, 111, 111, 111]);
    expect(roundLength(1000, 3, 2)).toBe(111);
    expect(roundLength(1000, 10, 3)).toBe(1);
    expect(roundLength(5, 10, 3)).toBe(1);
  });

  test.each(['grid', 'random'])('trials of a %s that train the same are one, and the plan says so', (design) => {
    const twice = ['{ name: rate, levels: [{ learningRate: 0.1 }] }', '{ name: high, set: { learningRate: 0.1 } }'];
    const planned = plan({ design, factors: twice, more: design === 'random' ? 'trials: 2\n' : '' });
    const [name] = planned.design.variants.map((variant) => variant.name);
    expect(planned.design.variants).toHaveLength(1);
    expect(planned.runs).toHaveLength(2);
    const other = name === 'learningRate 0.1, no high' ? 'learningRate 0.1, high' : 'learningRate 0.1, no high';
    expect(planned.notes).toEqual([`1 of 2 trials are left out, which train exactly like others: "${other}" like "${name!}"`]);
  });

  test('what differs in quantization alone is trained once for each seed', () => {
    const int8 = '{ name: int8, set: { quantization: int8 } }';
    const { runs, trainings, notes } = plan({ factors: [int8, '{ name: flat, set: { augment: false } }'] });
    expect(runs.slice(0, 3).map(({ quantization }) => quantization!.scheme)).toEqual(['none', 'int8', 'none']);
    expect(trainings.map(({ variant, seed }) => [variant, seed])).toEqual([
      ['baseline', 4],
      ['flat', 4],
      ['baseline', 2],
      ['flat', 2],
    ]);
    expect(notes).toEqual(['4 trainings are enough for 6 runs: what differs in quantization alone is trained once']);
  });
});

describe('refusals, whole', () => {
  const flat = '{ name: flat, set: { augment: false } }';

  test('a change that changes nothing', () => {
    expect(refusal({ factors: [flat, '{ name: same, set: { learningRate: 0.1 } }'] })).toEqual({
      at: ['factors', 1, 'set'],
      message: '"same" trains exactly like "baseline": it changes nothing',
      fix: 'change another key, or remove it',
    });
  });

  test('two variants of one name', () => {
    const rates = '{ name: rate, levels: [{ learningRate: 0.2 }, { learningRate: 0.3 }] }';
    expect(refusal({ factors: [flat, rates, "{ name: 'rate: 0.3', set: { batchSize: 64 } }"] })).toEqual({
      at: ['factors'],
      message: 'two variants are called "rate: 0.3"',
      fix: 'give the factors or levels other names',
    });
  });

  test('views of images, and stopping early, beside quantization', () => {
    const int8 = ['{ name: int8, set: { quantization: int8 } }'];
    expect(refusal({ baseline: ', tta: mirror', factors: int8 })).toEqual({
      at: ['baseline', 'tta'],
      message: 'tta (=mirror) must be none with quantization: a frozen file sees each image once',
      fix: 'tta: none in the baseline',
    });
    expect(refusal({ design: 'grid', factors: int8, more: 'halving: { factor: 3 }\n' })).toEqual({
      at: ['halving'],
      message:
        'halving must be left out with quantization: it compares accuracies while the networks are trained, and files are quantized when they are',
      fix: undefined,
    });
    // Neither is in the way where nothing is quantized.
    expect(plan({ baseline: ', tta: mirror' }).runs[0]!.config.tta).toBe('mirror');
  });

  test.each([
    ['init', 'init: nin2'],
    ['teacher', 'teacher: nin2'],
    ['pruning.rewind', 'pruning: { type: magnitude, sparsity: 0.5, rewind: nin2 }'],
  ])('the newest run of a model as %s', (key, setting) => {
    expect(refusal({ factors: [flat, `{ name: x, set: { ${setting} } }`] })).toEqual({
      at: ['factors', 1, 'set', ...(key === 'pruning.rewind' ? ['pruning', 'rewind'] : [key])],
      message: `${key} (=nin2) must be one run or a file, not the newest run of a model`,
      fix: `${key}: nin2/1, or another run (ablate runs list --model nin2)`,
    });
    const one = [`{ name: x, set: { ${setting.replace('nin2', 'nin2/1')} } }`];
    const keys = { init: 'i', initChecksum: '1', teacher: 't', teacherChecksum: '2' };
    const [, changed] = plan(
      { factors: one },
      Object.assign((name: string) => labModels(name), { weights: () => keys }),
    ).runs;
    expect(changed!.config).toMatchObject(keys);
    expect(refusal({ factors: one })).toEqual({
      at: ['factors', 0, 'set', ...(key === 'pruning.rewind' ? ['pruning', 'rewind'] : [key])],
      message: `${key} names weights, which are not looked for here`,
      fix: 'a program looks for them: planStudy(file, facts, await loadStudyModels(file))',
    });
  });

  test('an augmentation that was not loaded', () => {
    const expected = {
      at: ['factors', 0, 'set', 'augmentWith'],
      message: 'augmentWith (=./own.ts) must be none, or a file of code that ends in .ts, .js, .mts or .mjs',
      fix: 'a program loads it: planStudy(file, facts, await loadStudyModels(file))',
    };
    const factors = ['{ name: x, set: { augmentWith: ./own.ts } }'];
    expect(refusal({ factors })).toEqual(expected);
    const others = Object.assign((name: string) => labModels(name), { augmentation: () => undefined });
    expect(refusal({ factors }, others)).toEqual(expected);
  });

  test.each([
    // The last of two names for the same key counts, and is to blame.
    ['{ name: x, set: { model.conv1.filters: 8, conv1.filters: 0 } }', ['conv1.filters']],
    ['{ name: x, set: { conv1.filters: 0, steps: 5 } }', ['conv1.filters']],
    // The beginning of another key's name is not that key.
    ['{ name: x, set: { learningRateMultipliers.bias: -1, learningRate: 0.2 } }', ['learningRateMultipliers.bias']],
    ['{ name: x, set: { schedule: { type: step, milestones: [0.5, 2] } } }', ['schedule', 'milestones', '1']],
  ])('the key to blame of %s', (factor, place) => {
    expect(refusal({ factors: [flat, factor] }).at).toEqual(['factors', 1, 'set', ...place]);
  });

  test('the last change is to blame where no key is; what is no mistake of the user stays as it is', () => {
    const failing = (error: Error) => () =>
      plan({ factors: [flat, '{ name: x, set: { model: alex0 } }'] }, (name) => {
        if (name === 'alex0') throw error;
        return labModels(name);
      });
    for (const error of [new AblateError('a', { fix: 'b' }), new ConfigurationError('a', { fix: 'b' })]) {
      expect(refusalOf(failing(error))).toEqual({ at: ['factors', 1, 'set'], message: 'a', fix: 'b' });
    }
    const fault = new TypeError('a fault');
    expect(failing(fault)).toThrow(fault);
  });
});
