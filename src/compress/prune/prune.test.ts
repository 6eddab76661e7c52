import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { told, toldLater } from '../../../test/told.ts';
import { network, sparse, untrained } from '../../../test/untrained-squeeze0.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { saveCheckpoint } from '../../runs/checkpoint.ts';
import { describeEnvironment } from '../../runs/environment.ts';
import { createRun, runName } from '../../runs/run-folder.ts';
import { createClassifier, decodeClassifier, encodeClassifier } from '../../train/classifier.ts';
import { weightsChecksum } from '../../train/weights-checksum.ts';
import { configOfPruning, planPruning, prune, resumePruning, startOf, type PruningWork } from './prune.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });
const method = { type: 'filters', target: { filters: 0.5 }, scope: 'layer' } as const;

test.each([0, 2])('stopped before anything is trained, it leaves nothing (steps %i)', async (steps) => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
  try {
    const plan = planPruning({ source: untrained, reference: untrained.path, method, steps, overrides: {} }, dataset);
    const result = await prune(plan, { engine: referenceEngine, dataset, runsFolder, signal: AbortSignal.abort() });
    expect(result).toMatchObject({ status: 'interrupted', run: undefined, pruned: undefined });
    expect(readdirSync(runsFolder)).toEqual([]);
  } finally {
    rmSync(runsFolder, { recursive: true });
  }
});

test.each([
  ['weights', { type: 'weights', pruning: { sparsity: 0.95, scope: 'global', rounds: 3, growth: 'cubic', rewind: 'rate' } }],
  ['filters', method],
] as const)('weights that are zero in a file without masks stay zero when %s are pruned', (_, what) => {
  const start = startOf(planPruning({ source: sparse, reference: sparse.path, method: what, steps: 2, overrides: {} }, dataset));
  for (const { name, role } of network.parameters) {
    if (role !== 'weight') continue;
    const { data } = start.file.tensors.get(name)!;
    expect(start.file.tensors.get(`mask.${name}`)!.data).toEqual(data.map((value) => (value === 0 ? 0 : 1)));
  }
});

describe('less sparsity than the network has is refused, whether anything is trained or not', () => {
  const plan = (sparsity: number, steps: number, source: typeof sparse) => () =>
    planPruning(
      {
        ...{ source, reference: source.path, steps, overrides: {} },
        method: { type: 'weights', pruning: { sparsity, scope: 'global', rounds: 1, growth: 'cubic', rewind: 'rate' } },
      },
      dataset,
    );

  test.each([0, 2])('steps %i', (steps) => {
    expect(plan(0.3, steps, sparse)).toThrow(
      /^pruning\.sparsity \(=0\.3\) must be above 0\.50\d\d, the sparsity of the weights it starts from$/,
    );
    expect(plan(0.6, steps, sparse)).not.toThrow();
    expect(plan(0.3, steps, untrained)).not.toThrow();
  });
});

describe('without steps', () => {
  const work = { engine: referenceEngine, dataset, runsFolder: 'nowhere' };
  const weightNames = network.parameters.filter(({ role }) => role === 'weight').map(({ name }) => name);
  const pruning = { sparsity: 0.7, scope: 'global', rounds: 1, growth: 'cubic', rewind: 'rate' } as const;
  const request = { source: untrained, reference: 'squeeze0.safetensors', steps: 0, overrides: {} } as const;

  test('the weights of least magnitude become zero, all others stay, and both networks are measured on the test images', async () => {
    const plan = planPruning({ ...request, method: { type: 'weights', pruning } }, dataset);
    const { status, run, step, steps, record, pruned } = await prune(plan, work);
    expect([status, run, step, steps]).toEqual(['finished', undefined, 0, untrained.config.steps]);
    const magnitudes = weightNames.flatMap((name) => Array.from(untrained.file.tensors.get(name)!.data, Math.abs));
    const zeros = Math.round(0.7 * magnitudes.length);
    const threshold = magnitudes.toSorted((a, b) => a - b)[zeros]!;
    for (const { name, role } of network.parameters) {
      const before = untrained.file.tensors.get(name)!.data;
      const expected = role === 'weight' ? before.map((value) => (Math.abs(value) < threshold ? 0 : value)) : before;
      expect(pruned!.saved.file.tensors.get(name)!.data).toEqual(expected);
    }
    const { before, ...rest } = record;
    expect(rest).toEqual({ format: 'ablate-pruning-1', method: 'weights', source: 'squeeze0.safetensors', layers: [] });
    expect(before).toMatchObject({ sparsity: 0, weights: magnitudes.length, evaluation: { split: 'test', images: 4 } });
    expect(pruned!.report).toMatchObject({ nonZeroWeights: magnitudes.length - zeros, evaluation: { split: 'test', images: 4 } });
    expect(pruned!.report.parameters).toBe(before.parameters);
    expect(pruned!.report.evaluation!.loss).not.toBe(before.evaluation!.loss);
    expect(Object.keys(pruned!.report.evaluation!).sort()).toEqual(['accuracy', 'images', 'loss', 'split']);
    expect(pruned!.saved.file.metadata).toEqual({
      model: 'squeeze0',
      config: JSON.stringify(plan.config),
      classifier: JSON.stringify(encodeClassifier(plan.classifier)),
    });
  });

  test('filters are gone, and the network says so', async () => {
    const plan = planPruning({ ...request, method }, dataset);
    const { record, pruned } = await prune(plan, work);
    expect(record.method).toBe('filters');
    expect(record.layers.length).toBeGreaterThan(3);
    for (const { before, after } of record.layers) expect(after).toBe(before / 2);
    expect(plan.config.modelSettings).toEqual(untrained.config.modelSettings);
    expect(plan.classifier.network.layers[0]!.outputShape[0]).toBe(4);
    expect(decodeClassifier(JSON.parse(pruned!.saved.file.metadata['classifier']!), 'the file')).toEqual(plan.classifier);
    expect(pruned!.saved.file.tensors.get('conv1.weight')!.shape[0]).toBe(4);
    expect(pruned!.report.operations).toBeLessThan(0.5 * record.before.operations);
    expect(JSON.parse(pruned!.saved.file.metadata['config']!)).toEqual(plan.config);
  });

  test('with val, both are measured on the images that are kept out', async () => {
    const many = noiseDataset(12, { train: 40, test: 3 });
    const plan = planPruning({ ...request, overrides: { val: true }, method }, many);
    const { record, pruned } = await prune(plan, { ...work, dataset: many });
    for (const { evaluation } of [record.before, pruned!.report]) expect(evaluation).toMatchObject({ split: 'val', images: 4 });
  });

  test('several rounds, another network and other classes are refused', () => {
    const plan =
      (changes: object, pruned: object = {}, data = dataset) =>
      () =>
        planPruning({ ...request, method: { type: 'weights', pruning: { ...pruning, ...pruned } }, ...changes }, data);
    expect(told(plan({}, { rounds: 2 }))).toEqual({
      kind: 'ConfigurationError',
      message: 'rounds (=2) must be 1 without training between them',
      fix: 'Give --steps too',
    });
    expect(plan({ steps: 1 }, { rounds: 2 })).not.toThrow();
    expect(told(plan({ overrides: { 'conv1.filters': 9 } }))).toEqual({
      kind: 'ConfigurationError',
      message: 'conv1.filters cannot be set here: the network has it already, with the weights for it',
      fix: 'train another network: ablate train squeeze0 --set conv1.filters=9',
    });
    expect(plan({ overrides: { inputSize: 10 } })).toThrow('inputSize cannot be set here');
    const classifier = createClassifier(untrained.config, dataset);
    const others = { ...classifier, classes: ['a', 'b', 'c', 'e'] };
    expect(plan({ source: { ...untrained, classifier: others } })).toThrow(
      'squeeze0.safetensors tells a, b, c, e apart; noise has the classes a, b, c, d',
    );
    expect(plan({ source: { ...untrained, classifier } })).not.toThrow();
  });
});

test.each([
  [{ sparsity: 0 }, 'sparsity (=0) must be a number in (0, 1)'],
  [{ sparsity: 1 }, 'sparsity (=1) must be a number in (0, 1)'],
  [{ sparsity: 0.7, rounds: 0 }, 'rounds (=0) must be a positive integer'],
])('weights cannot be pruned with %j, whether anything is trained or not', (pruning, message) => {
  for (const steps of [0, 2]) {
    const request = { source: untrained, reference: untrained.path, steps, overrides: {} };
    expect(() => planPruning({ ...request, method: { type: 'weights', pruning } }, dataset)).toThrow(message);
  }
});

test('only the sparsity must be given; keys that the pruning decides are refused', () => {
  const request = { source: untrained, reference: untrained.path, steps: 2, overrides: {} };
  const method = { type: 'weights', pruning: { sparsity: 0.7 } } as const;
  const { config } = planPruning({ ...request, method }, dataset);
  expect(config.pruning).toEqual({
    ...{ type: 'magnitude', sparsity: 0.7, scope: 'global', rounds: 1, growth: 'cubic', rewind: 'rate' },
  });
  expect(config.dataset).toBe('noise');
  expect(() => planPruning({ ...request, method, overrides: { steps: 3 } }, dataset)).toThrow('steps cannot be set here');
});

test('the name of a model stands for the run that is its newest now', () => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
  try {
    const environment = describeEnvironment({ threads: 1 });
    for (const step of [1, 2]) {
      const run = createRun(runsFolder, 'squeeze0', untrained.config, environment);
      saveCheckpoint(run, { step, tensors: untrained.file.tensors, metadata: {} });
    }
    const request = { source: untrained, steps: 2, method, runsFolder } as const;
    const plan = planPruning({ ...request, reference: 'squeeze0', overrides: { teacher: 'squeeze0' } }, dataset);
    expect([plan.reference, plan.config.init, plan.config.teacher]).toEqual(Array(3).fill('squeeze0/2'));
    const first = planPruning({ ...request, reference: 'squeeze0/1', overrides: {} }, dataset);
    expect([first.reference, first.config.init, first.config.teacher]).toEqual(['squeeze0/1', 'squeeze0/1', 'none']);
  } finally {
    rmSync(runsFolder, { recursive: true });
  }
});

test('a run is continued only if its record of the pruning is what it must be', () => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
  try {
    const environment = describeEnvironment({ threads: 1 });
    const resume = (files: Record<string, unknown>) => {
      const run = createRun(runsFolder, 'squeeze0', untrained.config, environment, files);
      return () => configOfPruning(run, { steps: 2 });
    };
    expect(told(resume({}))).toEqual({
      kind: 'ConfigurationError',
      message: 'squeeze0/1 has no pruning.json: ablate prune did not start it',
      fix: 'ablate train --resume squeeze0/1',
    });
    const size = { parameters: 1, operations: 1, multiplyAdds: 1, weights: 1, nonZeroWeights: 1, sparsity: 0, bytes: 4 };
    const before = { ...size, compressedBytes: 4, layers: [], evaluation: { split: 'test', accuracy: 1, loss: NaN, images: 4 } };
    const record = { format: 'ablate-pruning-1', method: 'weights', source: 'squeeze0/1', before, layers: [] };
    // What it can change is another question.
    expect(resume({ 'pruning.json': record })).toThrow('steps cannot be set here');
    expect(resume({ 'pruning.json': { ...record, source: 1, before: { ...before, bytes: 'few' } } })).toThrow(
      /squeeze0\/3\/pruning\.json is not the record of a pruning: source \(=1\) must be a text; before\.bytes \(=few\) must be an integer/,
    );
  } finally {
    rmSync(runsFolder, { recursive: true });
  }
});

describe('what is left is trained', () => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
  afterAll(() => rmSync(runsFolder, { recursive: true }));
  const plan = planPruning({ source: untrained, reference: untrained.path, method, steps: 3, overrides: {} }, dataset);
  const work: PruningWork = { engine: referenceEngine, dataset };

  test('to the same weights, also after it was stopped; nothing is recorded without a folder for runs', async () => {
    const straight = await prune(plan, work);
    expect(straight).toMatchObject({ status: 'finished', run: undefined, step: 3, steps: 3, record: { method: 'filters' } });
    expect(straight.pruned!.report.parameters).toBeLessThan(straight.record.before.parameters);

    const stop = new AbortController();
    const hooks = { onStep: () => stop.abort() };
    const stopped = await prune(plan, { ...work, runsFolder, hooks, signal: stop.signal });
    expect(stopped).toMatchObject({ status: 'interrupted', step: 2, steps: 3, pruned: undefined });
    const run = stopped.run!;
    expect(JSON.parse(readFileSync(join(run.path, 'pruning.json'), 'utf8'))).toEqual(stopped.record);
    const seen: number[] = [];
    const listening = { hooks: { onStep: ({ step }: { readonly step: number }) => seen.push(step) } };
    const rest = await resumePruning(run, configOfPruning(run, {}), { ...work, ...listening });
    expect(seen).toEqual([3]);
    expect(rest).toMatchObject({ status: 'finished', step: 3, steps: 3, record: stopped.record });
    expect(rest.pruned!.saved.path).toBe(runName(run));
    expect(weightsChecksum(rest.pruned!.saved.file.tensors)).toBe(weightsChecksum(straight.pruned!.saved.file.tensors));
    expect(rest.pruned!.report).toEqual(straight.pruned!.report);
    // What is left is not measured for somebody who wants it to end.
    const ended = await resumePruning(run, configOfPruning(run, {}), { ...work, signal: AbortSignal.abort() });
    expect(ended).toMatchObject({ status: 'interrupted', pruned: undefined });
  });

  test('unless the smaller network was never saved: with filters gone, there is nothing to go on from', async () => {
    const { record } = await prune(plan, { ...work, runsFolder });
    const resume = (changes: Partial<typeof record>) => {
      const files = { 'pruning.json': { ...record, ...changes } };
      const run = createRun(runsFolder, 'squeeze0', plan.config, describeEnvironment({ threads: 1 }), files);
      return { run, end: resumePruning(run, plan.config, work) };
    };
    const { run, end } = resume({});
    expect(await toldLater(end)).toEqual({
      kind: 'DataError',
      message: `${runName(run)} was interrupted before the pruned weights were saved: there is nothing to continue`,
      fix: 'ablate prune squeeze0.safetensors with the options of the first time',
    });
    // Pruning of weights begins with the source.
    await expect(resume({ layers: [] }).end).rejects.toThrow('squeeze0.safetensors');
    await expect(resume({ layers: [] }).end).rejects.not.toThrow('was interrupted');
  });
});

test('what is trained: all rounds together, from the source, without the teacher that the source had', () => {
  const pruning = { sparsity: 0.7, scope: 'layer', rounds: 3, growth: 'geometric', rewind: 'none' } as const;
  const source = { ...untrained, config: { ...untrained.config, teacher: 'nin/1', teacherChecksum: 'x', init: 'nin/2' } };
  const request = { source, reference: 'squeeze0/4', steps: 5, overrides: { learningRate: 0.5 } } as const;
  const { config } = planPruning({ ...request, method: { type: 'weights', pruning } }, dataset);
  expect(config).toEqual({
    ...untrained.config,
    epochs: 'none',
    init: 'squeeze0/4',
    steps: 15,
    learningRate: 0.5,
    pruning: { type: 'magnitude', ...pruning },
  });
  const filters = planPruning({ ...request, method }, dataset).config;
  expect([filters.steps, filters.pruning, filters.init]).toEqual([5, { type: 'none' }, 'squeeze0/4']);
});
