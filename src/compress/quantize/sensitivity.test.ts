import { expect, test } from 'vitest';
import { onePixel, pixelFile, pixels } from '../../../test/pixel-graph.ts';
import {
  accuracyOnImages,
  costOf,
  keepWithinDrop,
  measureSensitivities,
  NoLayerWithinDropError,
  prepareCheck,
  type LayerSensitivity,
} from './sensitivity.ts';

const ln2 = Math.log(2);
/** Logits of ln 2 for each step of colour: probabilities are in the proportion of powers of two. */
const float = pixelFile(ln2, ln2, ln2);
const uniform = pixelFile(0, 0, 0);
const shape = onePixel;

test('accuracy is the part of the images whose largest logit is that of the label, in batches of any size', async () => {
  const count = 230;
  const colours = Array.from(
    { length: count },
    (_, i) => [i % 3 === 0 ? 9 : 0, i % 3 === 1 ? 9 : 0, i % 3 === 2 ? 9 : 0] as const,
  );
  // The last 23 are labelled otherwise.
  const images = pixels(
    colours,
    colours.map((_, i) => (i < 207 ? i : i + 1) % 3),
  );
  expect(await accuracyOnImages(float, { images, shape, threads: 1 })).toBe(0.9);
  const check = await prepareCheck(float, { images, shape, threads: 1 });
  expect(check.accuracy).toBe(0.9);
  expect(check.probabilities).toHaveLength(3 * count);
  // Without differences the first class is taken: 77 of 230 images, less those at the end.
  const { dropPoints } = await costOf(pixelFile(0, 0, 0), check);
  const first = images.labels.filter((label) => label === 0).length / count;
  expect(dropPoints).toBeCloseTo(100 * (0.9 - first), 6);
});

test('divergence is the mean of sum p ln(p / q), in nats', async () => {
  // p: 1/2, 1/4, 1/4 and 1/3 each.
  const images = pixels(
    [
      [1, 0, 0],
      [4, 4, 4],
    ],
    [0, 0],
  );
  const check = await prepareCheck(float, { images, shape, threads: 1 });
  expect(await costOf(float, check)).toEqual({ dropPoints: 0, divergence: 0 });
  const { divergence, dropPoints } = await costOf(uniform, check);
  expect(divergence).toBeCloseTo((0.5 * Math.log(1.5) + 0.5 * Math.log(0.75)) / 2, 7);
  expect(dropPoints).toBe(0);
});

test('what underflowed counts as the smallest float32, on either side', async () => {
  const images = pixels([[255, 0, 0]], [0]);
  const sure = pixelFile(1, 1, 1);
  const fromUniform = await prepareCheck(uniform, { images, shape, threads: 1 });
  expect((await costOf(sure, fromUniform)).divergence).toBeCloseTo((2 / 3) * 126 * ln2 - Math.log(3), 4);
  const fromSure = await prepareCheck(sure, { images, shape, threads: 1 });
  expect((await costOf(uniform, fromSure)).divergence).toBeCloseTo(Math.log(3), 6);
});

/** Each layer changes a factor; `costly` alone changes labels, `cheap` hardly anything. */
const factors = { slight: [1.1, 1, 1], costly: [-1, 1, 1], cheap: [1, 1.001, 1], odd: [1, 1, 1.3] } as const;
type Layer = keyof typeof factors;
const layers = Object.keys(factors) as Layer[];
const quantized = (names: readonly string[]) =>
  pixelFile(
    ...([0, 1, 2].map((c) => names.reduce((product, name) => product * factors[name as Layer][c]!, ln2)) as [
      number,
      number,
      number,
    ]),
  );
const images = pixels(
  [
    [9, 1, 0],
    [1, 9, 0],
    [0, 2, 9],
    [9, 0, 8],
  ],
  [0, 1, 2, 0],
);

test('each layer is measured alone, in the order given', async () => {
  const check = await prepareCheck(float, { images, shape, threads: 1 });
  const asked: string[][] = [];
  const told: unknown[] = [];
  const measured = await measureSensitivities(
    layers,
    (names) => {
      asked.push([...names]);
      return quantized(names);
    },
    check,
    (done, layer) => told.push([done, layer]),
  );
  expect(asked).toEqual([['slight'], ['costly'], ['cheap'], ['odd']]);
  expect(told).toEqual([
    [0, 'slight'],
    [1, 'costly'],
    [2, 'cheap'],
    [3, 'odd'],
    [4, ''],
  ]);
  expect(measured.map(({ layer }) => layer)).toEqual(layers);
  // Images 1 and 4 are labelled otherwise; 1.3 * 8 is above 9.
  expect(measured.map(({ dropPoints }) => dropPoints)).toEqual([0, 50, 0, 25]);
  for (const each of measured) expect(each).toEqual({ layer: each.layer, ...(await costOf(quantized([each.layer]), check)) });
});

const sensitivity = (layer: Layer, divergence: number): LayerSensitivity => ({ layer, divergence, dropPoints: 0 });
const measured = [sensitivity('slight', 0.2), sensitivity('costly', 0.9), sensitivity('cheap', 0.01), sensitivity('odd', 0.5)];

test('the layer with the largest divergence returns to float first, until the drop is kept', async () => {
  const check = await prepareCheck(float, { images, shape, threads: 1 });
  const kept = async (maxDrop: number) => (await keepWithinDrop(measured, quantized, check, maxDrop)).layers;
  expect(await kept(50)).toEqual(['slight', 'costly', 'cheap', 'odd']);
  expect(await kept(49.9)).toEqual(['slight', 'cheap', 'odd']);
  // At the limit it is kept.
  const odd = (await costOf(quantized(['slight', 'cheap', 'odd']), check)).dropPoints;
  expect(await kept(odd)).toEqual(['slight', 'cheap', 'odd']);
  const { layers: rest, cost } = await keepWithinDrop(measured, quantized, check, 0);
  expect(cost).toEqual(await costOf(quantized(rest), check));
  expect(rest).not.toContain('costly');
});

test('that no layer keeps the drop is an error, with the layer that changes least', async () => {
  const check = await prepareCheck(float, { images, shape, threads: 1 });
  const hopeless = keepWithinDrop([sensitivity('costly', 0.3), sensitivity('odd', 0.4)], quantized, check, 12.5);
  await expect(hopeless).rejects.toThrow(NoLayerWithinDropError);
  await expect(hopeless).rejects.toThrow(
    'no layer can be quantized within a drop of 12.5 points on 4 training images: even costly alone, which changes the least, costs 50.00',
  );
});
