import { expect, test } from 'vitest';
import { DataError } from '../util/errors.ts';
import { largestImageSide, parseWeightsMetadata } from './weights-metadata.ts';

const complete = {
  model: 'tuto',
  config: '{"model":"tuto","steps":5}',
  step: '5',
  classes: '["a","b"]',
  imageShape: '[3,32,48]',
  dataset: 'noise',
  datasetFingerprint: 'f',
};

test('what is recorded is read; what ablate does not know is left alone', () => {
  expect(parseWeightsMetadata({ ...complete, preprocessing: 'x', other: 'null' }, 'w')).toEqual({
    model: 'tuto',
    config: { model: 'tuto', steps: 5 },
    step: 5,
    classes: ['a', 'b'],
    imageShape: [3, 32, 48],
    dataset: 'noise',
    datasetFingerprint: 'f',
  });
  const { model, config } = complete;
  expect(parseWeightsMetadata({ model, config, step: '0' }, 'w')).toEqual({ model, config: { model, steps: 5 }, step: 0 });
  const names = (count: number) => JSON.stringify(Array.from({ length: count }, (_, i) => `c${i}`));
  expect(parseWeightsMetadata({ ...complete, classes: names(256) }, 'w')!.classes).toHaveLength(256);
  expect(() => parseWeightsMetadata({ ...complete, classes: names(257) }, 'w')).toThrow('a list of 2 to 256 different names');
  const shape = (side: number) => ({ ...complete, imageShape: `[3,1,${side}]` });
  expect(parseWeightsMetadata(shape(largestImageSide), 'w')!.imageShape).toEqual([3, 1, 8192]);
  expect(() => parseWeightsMetadata(shape(largestImageSide + 1), 'w')).toThrow(DataError);
});

test('weights from elsewhere record no configuration, and may say what they like', () => {
  expect(parseWeightsMetadata({ format: 'pt', step: 'twelve', classes: 'null' }, 'w')).toBeUndefined();
});

const classes = 'a list of 2 to 256 different names';
const shape = '[3, height, width] in pixels, at most 8192 each';

test.each([
  ['classes', 'null', classes],
  ['classes', '["a"]', classes],
  ['classes', '["a",1]', classes],
  ['classes', '["a",""]', classes],
  ['classes', '["a","b","a"]', classes],
  ['classes', 'a, b', 'JSON'],
  ['imageShape', 'null', shape],
  ['imageShape', '[3,32]', shape],
  ['imageShape', '[1,32,32]', shape],
  ['imageShape', '[3,0,32]', shape],
  ['imageShape', '[3,32,1e9]', shape],
  ['imageShape', '[3,32,1.5]', shape],
  ['imageShape', '{"0":3}', shape],
  ['imageShape', 'junk', 'JSON'],
  ['step', '-1', 'an integer of at least 0'],
  ['step', '0.5', 'an integer of at least 0'],
  ['step', '1e300', 'an integer of at least 0'],
  ['step', 'null', 'an integer of at least 0'],
  ['config', 'null', 'an object of keys'],
  ['config', '[]', 'an object of keys'],
  ['config', '{', 'JSON'],
  ['model', '', 'a name'],
  ['model', 'nin', 'the same as in config'],
])('%s=%s is refused', (key, value, allowed) => {
  const parse = () => parseWeightsMetadata({ ...complete, [key]: value }, 'runs/w.safetensors');
  expect(parse).toThrow(DataError);
  expect(parse).toThrow(`the metadata of runs/w.safetensors is damaged: ${key} (=${value}) must be ${allowed}`);
});

test('a missing model is refused, several faults are told together, and long ones in short', () => {
  const { config } = complete;
  expect(() => parseWeightsMetadata({ config }, 'w')).toThrow('damaged: model (=missing) must be a name');
  expect(() => parseWeightsMetadata({ ...complete, step: 'x', classes: `"${'y'.repeat(100)}"` }, 'w')).toThrow(
    `damaged: step (=x) must be JSON; classes (="${'y'.repeat(59)}...) must be ${classes}`,
  );
});
