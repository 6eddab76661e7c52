import { expect, test } from 'vitest';
import { shownDataset } from './shown-dataset.ts';

test.each([
  ['cifar10', 'cifar10'],
  ['images:pets', 'images:pets'],
  ['images:/home/me/secret/pets', 'images:pets'],
  ['images:../pets/', 'images:pets'],
  ['images:/data/a:b', 'images:a:b'],
])('%s is shown as %s', (name, shown) => {
  expect(shownDataset(name)).toBe(shown);
});
