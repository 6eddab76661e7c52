import { expect, test } from 'vitest';
import { requireTrainingOverrides } from './training-overrides.ts';

test('what only decides how the network is trained may be changed', () => {
  expect(() =>
    requireTrainingOverrides({ learningRate: 0.1, 'schedule.warmup': 0.1, threads: 1, initializer: 'dirac' }),
  ).not.toThrow();
});

test.each([
  ['steps', 'the network and the other options decide it'],
  ['init', 'the network and the other options decide it'],
  ['pruning', 'the network and the other options decide it'],
  ['pruning.rounds', 'the network and the other options decide it'],
  ['model', 'the network and the other options decide it'],
  ['modelSettings.lrn', 'the network and the other options decide it'],
  ['dataset', 'that would change what is recorded, not the training'],
  ['recipe', 'that would change what is recorded, not the training'],
])('%s is not', (key, why) => {
  expect(() => requireTrainingOverrides({ seed: 1, [key]: 1 })).toThrow(
    expect.objectContaining({ key, message: `${key} cannot be set here: ${why}` }) as Error,
  );
});
