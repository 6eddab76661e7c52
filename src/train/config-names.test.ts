import { expect, test } from 'vitest';
import { keyMeantBy, meantKeys } from './config-names.ts';
import { resolveConfig } from './config.ts';

test.each([
  ['lr', 'learningRate'],
  ['learning-rate', 'learningRate'],
  ['label_smoothing', 'labelSmoothing'],
  ['weight-decay', 'weightDecay'],
  ['Nesterov', 'optimizer.nesterov'],
  ['random-crop', 'augmentation.randomCrop'],
  ['lrn', undefined],
  ['constructor', undefined],
])('%s means %s', (name, key) => {
  expect(keyMeantBy(name)).toBe(key);
});

test.each(meantKeys)('%s is a key', (key) => {
  const config: unknown = resolveConfig({ model: 'tuto', schedule: 'cosine', pruning: { type: 'magnitude', sparsity: 0.5 } });
  const value = key.split('.').reduce<unknown>((group, name) => (group as Record<string, unknown>)[name], config);
  expect(value).toBeDefined();
});
