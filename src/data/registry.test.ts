import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { told, toldLater } from '../../test/told.ts';
import { loadNamedDataset as loadDataset, publishedDataset, shapeByName } from './registry.ts';

const mustBe = (name: string) =>
  `data set (=${name}) must be one of cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder>, or a file (data.ts).`;

test.each(['cifar', 'CIFAR10', 'images', 'images:', 'synthetic:', 'cifar10:x', '', 'toString'])(
  'refuses %j and lists what is allowed',
  async (name) => {
    const { kind, message } = await toldLater(loadDataset(name));
    expect([kind, message]).toEqual(['ConfigurationError', expect.stringContaining(mustBe(name))]);
  },
);

test('suggests the name that was meant, or how a folder is given', async () => {
  const refused = (name: string) => toldLater(loadDataset(name));
  expect(await refused('cifar-10')).toEqual({
    kind: 'ConfigurationError',
    message: `${mustBe('cifar-10')} Did you mean "cifar10"?`,
    fix: undefined,
  });
  expect(await refused('images')).toMatchObject({
    message: mustBe('images'),
    fix: 'say which folder: --data images:<folder>',
  });
  expect(await refused('synthetic:x')).toMatchObject({ message: mustBe('synthetic:x'), fix: undefined });
  const folder = mkdtempSync(join(tmpdir(), 'ablate-registry-'));
  try {
    // Close to a name, and still a folder.
    const named = join(folder, 'cifar-10');
    mkdirSync(named);
    expect(await refused(named)).toEqual({
      kind: 'ConfigurationError',
      message: mustBe(named),
      fix: `for the pictures in that folder: images:${named}`,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  ['cifar10', [3, 32, 32]],
  ['cifar100', [3, 32, 32]],
  ['cifar100?labels=coarse', [3, 32, 32]],
  ['cifar100?labels=fine', [3, 32, 32]],
  ['mnist', [1, 28, 28]],
  ['fashion-mnist', [1, 28, 28]],
  ['synthetic', [3, 32, 32]],
  ['images:pets', [3, 32, 32]],
  ['images:a:b', [3, 32, 32]],
  ['images:what?is?size=8', [3, 8, 8]],
  ['images:pets?size=96', [3, 96, 96]],
  ['images:pets?channels=1&size=48x64', [1, 48, 64]],
  ['images:pets?channels=3&test=0.5&seed=4', [3, 32, 32]],
  ['images:pets?size=1024', undefined],
  ['pets', undefined],
  ['mnist?size=28', undefined],
])('the shape of %s', (name, shape) => {
  expect(shapeByName(name)).toEqual(shape);
});

test.each([
  ['cifar10?size=32', 'size'],
  ['synthetic?seed=1', 'seed'],
  ['cifar100?labels=all', 'labels'],
  ['images:pets?size=0', 'a size in pixels, 96 or 96x128 (height x width), each side from 1 to'],
  ['images:pets?size=2x', 'a size in pixels'],
  ['images:pets?channels=2', '1 (grey) or 3 (colour)'],
  ['images:pets?test=1', 'a number between 0 and 1, the part of each class that is for testing'],
  ['images:pets?test=half', 'a number between 0 and 1'],
  ['images:pets?size', 'what is behind the question mark (=size) must be options: size=96&channels=1'],
  ['images:pets?', 'what is behind the question mark (=) must be options: size=96&channels=1'],
  ['images:pets?seed=1&seed=2', 'seed is given twice'],
])('the options of %s are refused by name', async (name, reason) => {
  const { kind, message } = await toldLater(loadDataset(name));
  expect([kind, message]).toEqual(['ConfigurationError', expect.stringContaining(reason)]);
  expect(message.startsWith(`data set (=${name}): `)).toBe(true);
});

test('what is published, and what is not', () => {
  const names = ['cifar10', 'cifar100', 'mnist', 'fashion-mnist'];
  expect(names.map((name) => publishedDataset(name).name)).toEqual(names);
  for (const name of ['synthetic', 'images:pets']) {
    expect(told(() => publishedDataset(name))).toEqual({
      kind: 'ConfigurationError',
      message: `data set (=${name}) must be one of ${names.join(', ')}: the others are not downloaded`,
      fix: 'ablate data show reads any data set',
    });
  }
});

test.each(['cifar10', 'cifar100', 'mnist', 'fashion-mnist'])('%s is read where it is said to be', async (name) => {
  const { kind, message } = await toldLater(loadDataset(name, { dataDir: '/nowhere' }));
  expect([kind, message]).toEqual(['DataError', expect.stringContaining('--data-dir (=/nowhere) ')]);
});
