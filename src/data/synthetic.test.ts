import { expect, test } from 'vitest';
import { generateSynthetic } from './synthetic.ts';

test('the same seed gives the same images, another seed and the test set others', () => {
  const options = { trainCount: 40, testCount: 40 };
  const first = generateSynthetic(options);
  expect(generateSynthetic(options)).toEqual(first);
  expect(generateSynthetic({ ...options, seed: 1 }).fingerprint).not.toBe(first.fingerprint);
  expect(first.test.images).not.toEqual(first.train.images);
});

test('an image does not depend on how many there are', () => {
  const few = generateSynthetic({ trainCount: 20, testCount: 10 });
  const more = generateSynthetic({ trainCount: 30, testCount: 10 });
  expect(more.train.images.subarray(0, few.train.images.length)).toEqual(few.train.images);
});

test('the images are pinned: a change of the generator changes the results of everyone who uses it', () => {
  const { fingerprint } = generateSynthetic({ trainCount: 100, testCount: 10 });
  expect(fingerprint).toMatchInlineSnapshot(`"d723e183922d549a07f6971c58a906f00b560fa1453663dbe8c286c5e048add5"`);
});

test('ten balanced classes, and it says that it is synthetic', () => {
  const dataset = generateSynthetic({ trainCount: 200, testCount: 50 });
  expect(dataset).toMatchObject({ name: 'synthetic', synthetic: true, shape: [3, 32, 32] });
  expect(new Set(dataset.classes).size).toBe(10);
  for (const set of [dataset.train, dataset.test]) {
    expect(set.images.length).toBe(set.count * 3072);
    for (let label = 0; label < 10; label++) expect(set.labels.filter((each) => each === label).length).toBe(set.count / 10);
  }
});

test('no colour statistic gives the class away: the nearest mean colour is right for less than half', () => {
  const { train, test: held } = generateSynthetic({ trainCount: 600, testCount: 300 });
  const colour = (images: Uint8Array, image: number): number[] =>
    [0, 1, 2].map((channel) => {
      const start = image * 3072 + channel * 1024;
      return images.subarray(start, start + 1024).reduce((sum, value) => sum + value, 0) / 1024;
    });
  const means = Array.from({ length: 10 }, () => [0, 0, 0]);
  for (let image = 0; image < 600; image++) {
    colour(train.images, image).forEach((value, channel) => (means[train.labels[image]!]![channel]! += value / 60));
  }
  let correct = 0;
  for (let image = 0; image < 300; image++) {
    const own = colour(held.images, image);
    const distances = means.map((mean) => mean.reduce((sum, value, channel) => sum + (value - own[channel]!) ** 2, 0));
    if (distances.indexOf(Math.min(...distances)) === held.labels[image]) correct++;
  }
  expect(correct / 300).toBeLessThan(0.5);
});
