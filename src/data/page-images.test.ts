import { expect, test } from 'vitest';
import { generatePageImages } from './page-images.ts';
import { generateSynthetic } from './synthetic.ts';

test('a page has the images that Node has, in memory of its own', () => {
  const options = { trainCount: 12, testCount: 7, seed: 3 };
  const { train, test: tested, ...others } = generatePageImages(options);
  const inNode = generateSynthetic(options);
  expect(others).toEqual({ name: inNode.name, classes: inNode.classes, shape: inNode.shape });
  for (const [own, set] of [
    [train, inNode.train],
    [tested, inNode.test],
  ] as const) {
    expect([own.count, own.images.buffer.constructor]).toEqual([set.count, ArrayBuffer]);
    expect(Buffer.compare(own.images, set.images)).toBe(0);
    expect([...own.labels]).toEqual([...set.labels]);
  }
  expect(generatePageImages({ trainCount: 12, testCount: 7 }).train).not.toEqual(train);
});
