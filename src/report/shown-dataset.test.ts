import { expect, test } from 'vitest';
import { shownDataset, withShownDatasets } from './shown-dataset.ts';

test.each([
  ['cifar10', 'cifar10'],
  ['images:pets', 'images:pets'],
  ['images:/home/me/secret/pets', 'images:pets'],
  ['images:../pets/', 'images:pets'],
  ['images:/data/a:b', 'images:a:b'],
])('%s is shown as %s', (name, shown) => {
  expect(shownDataset(name)).toBe(shown);
});

test('every mention of a folder is its name alone, and nothing else changes', () => {
  const name = 'images:/home/me/secret/my pets';
  const reported = {
    dataset: name,
    variants: [{ config: { dataset: name, steps: 3, val: false }, loss: undefined, curve: [[1, 0.5]] }],
    text: `a: 1\ndataset: "${name}"\n`,
    command: `npx ablate study s.yaml --data '${name}'`,
    none: null,
  };
  expect(withShownDatasets(reported, ['cifar10', name])).toStrictEqual({
    dataset: 'images:my pets',
    variants: [{ config: { dataset: 'images:my pets', steps: 3, val: false }, loss: undefined, curve: [[1, 0.5]] }],
    text: 'a: 1\ndataset: "images:my pets"\n',
    command: "npx ablate study s.yaml --data 'images:my pets'",
    none: null,
  });
});
