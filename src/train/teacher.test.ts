import { expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { createClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { initializeParameters } from './initialize.ts';
import type { SavedModel } from './saved-model.ts';
import { createTeacher, requireSameTeacher, teacherChecksum } from './teacher.ts';
import { tensorsOf } from './weights.ts';
import { weightsChecksum } from './weights-checksum.ts';

const dataset = noiseDataset(8, { train: 4, test: 4 });

const config = resolveConfig({
  model: 'tuto',
  'conv1.filters': 2,
  'conv1.kernel': 3,
  'conv2.filters': 2,
  'conv2.kernel': 3,
  'dense1.features': 4,
  dense2: false,
  inputSize: 6,
  steps: 10,
  threads: 1,
});
const classifier = createClassifier(config, dataset);

/** A plan with the first values of a seed. */
async function planOf(seed: number, batchSize = 2) {
  const plan = await referenceEngine.compileInference(classifier.network, { batchSize });
  await initializeParameters(plan.parameters, seed, { type: 'heNormal' });
  return plan;
}

/** Weights of seed 1 as trained, averages of seed 2. */
async function savedModel(averaged = true, changed: Partial<SavedModel> = {}): Promise<SavedModel> {
  const [raw, averages] = [(await planOf(1)).parameters, (await planOf(2)).parameters];
  const tensors = new Map([
    ...(await tensorsOf(raw, raw.values, '')),
    ...(averaged ? await tensorsOf(averages, averages.values, 'ema.') : []),
  ]);
  return {
    path: 'the/file',
    file: { tensors, metadata: { model: 'tuto' } },
    config,
    step: 5,
    classifier,
    ...changed,
  };
}

const options = { dataset, student: classifier, batchSize: 2, precision: 'f32', engine: referenceEngine } as const;

test.each([
  ['its averages where it has them', true, 2],
  ['its weights as trained where it has none', false, 1],
] as const)('teaches with %s', async (_, averaged, seed) => {
  const inputs = Float32Array.from({ length: 2 * 3 * 36 }, (__, i) => Math.sin(i));
  const expected = await planOf(seed);
  expected.bindInput(inputs);
  expected.forward();
  const saved = await savedModel(averaged);
  const teacher = await createTeacher({ ...options, saved });
  expect(teacher.logits(inputs)).toEqual(expected.output);
  teacher.dispose();
  const { parameters } = expected;
  expect(teacherChecksum(saved)).toBe(weightsChecksum(await tensorsOf(parameters, parameters.values, '')));
});

test('is compiled for the batches and in the precision of its student, and let go', async () => {
  const seen: unknown[] = [];
  const engine: Engine = {
    ...referenceEngine,
    async compileInference(compiled, asked) {
      seen.push(asked);
      return {
        ...(await referenceEngine.compileInference(compiled, { ...asked, precision: 'f32' })),
        parameters: (await planOf(1)).parameters,
        dispose: () => seen.push('disposed of'),
      };
    },
  };
  (await createTeacher({ ...options, engine, precision: 'bf16', saved: await savedModel() })).dispose();
  expect(seen).toEqual([{ batchSize: 2, precision: 'bf16' }, 'disposed of']);
  const { file } = await savedModel();
  const tensors = new Map(file.tensors);
  tensors.delete('ema.logits.bias');
  tensors.delete('logits.bias');
  const damaged = await savedModel(true, { file: { ...file, tensors } });
  await expect(createTeacher({ ...options, engine, saved: damaged })).rejects.toThrow(
    'the teacher the/file does not fit the network: logits.bias is missing',
  );
  expect(seen.slice(2)).toEqual([{ batchSize: 2, precision: 'f32' }, 'disposed of']);
});

test('must tell the same classes apart and see the same images', async () => {
  const refusal = async (changed: Partial<SavedModel>): Promise<unknown> => {
    try {
      await createTeacher({ ...options, saved: await savedModel(true, changed) });
    } catch (error) {
      return error;
    }
    return undefined;
  };
  const other = (overrides: ConfigOverrides) => ({ classifier: createClassifier(resolveConfig(config, overrides), dataset) });
  expect(await refusal({ classifier: undefined })).toBeUndefined();
  expect(await refusal({ classifier: { ...classifier, classes: ['a', 'b', 'd', 'c'] } })).toMatchObject({
    message: 'the teacher the/file tells a, b, d, c apart; noise has the classes a, b, c, d',
    fix: 'give the data it was trained on with --data',
  });
  expect(await refusal({ classifier: { ...classifier, imageShape: [3, 8, 9] } })).toMatchObject({
    message: 'the teacher the/file is for images of 3x8x9; those of noise are 3x8x8',
  });
  expect(await refusal(other({ inputSize: 7 }))).toMatchObject({
    message: "the teacher the/file was trained on images of 7x7, and sees the student's of 6x6",
    fix: '--set inputSize=7, or use another teacher',
  });
  const standardization = { type: 'channel', mean: [0, 0, 0], deviation: [1, 1, 1] } as const;
  expect(await refusal(other({ standardization }))).toMatchObject({
    message: `the teacher the/file was trained with the standardization ${JSON.stringify(standardization)}, not {"type":"image"}`,
    fix: `--set 'standardization=${JSON.stringify(standardization)}', or use another teacher`,
  });
});

test('must have the weights that the run was started with', async () => {
  const saved = await savedModel();
  expect(() => requireSameTeacher(saved, '')).not.toThrow();
  expect(() => requireSameTeacher(saved, teacherChecksum(saved))).not.toThrow();
  expect(() => requireSameTeacher(saved, 'ab')).toThrow(
    expect.objectContaining({
      message: 'the teacher the/file has other weights now than those that this training was started with',
      fix: 'Restore its weights, or start a new run',
    }) as Error,
  );
});
