import { expect, test } from 'vitest';
import { onePixel, pixelModel, pixels } from '../../../test/pixel-graph.ts';
import { DataError } from '../../util/errors.ts';
import { calibrate } from './calibrate.ts';

const minMax = { method: 'min-max', percentile: 0 } as const;
/** 70 pixels: red from 0 to 69, green and blue as given. */
const images = pixels(
  Array.from({ length: 70 }, (_, i) => [i, 7, i === 69 ? 255 : 0] as const),
  new Array<number>(70).fill(0),
);
const colours = { tensors: ['x', 'alias'], observed: ['x'] };
const scaled = { tensors: ['scaled'], observed: ['scaled'] };

test('min-max spans all values of all images, those of the last partial batch too', async () => {
  const scales = await calibrate({
    model: pixelModel(-1, 0.5, 2),
    groups: [colours, scaled],
    images,
    shape: onePixel,
    method: minMax,
  });
  expect([...scales]).toEqual([
    ['x', { scale: 1, zeroPoint: 0 }],
    ['alias', { scale: 1, zeroPoint: 0 }],
    // From -69 to 510: 579 / 255 each, and 69 of these are below zero.
    ['scaled', { scale: Math.fround(579 / 255), zeroPoint: 30 }],
  ]);
});

test('tensors of a group share the range of all that are observed', async () => {
  const both = { tensors: ['x', 'scaled'], observed: ['x', 'scaled'] };
  const scales = await calibrate({ model: pixelModel(-1, 0.5, 0), groups: [both], images, shape: onePixel, method: minMax });
  const shared = { scale: Math.fround((255 + 69) / 255), zeroPoint: 54 };
  expect([...scales]).toEqual([
    ['x', shared],
    ['scaled', shared],
  ]);
});

test('a percentile counts the values of all images', async () => {
  // 140 zeros and sevens, red evenly from 0 to 69, and one value of 255 among 210: half a percent at the upper end is it.
  const method = { method: 'percentile', percentile: 99 } as const;
  const scales = await calibrate({ model: pixelModel(1, 1, 1), groups: [colours], images, shape: onePixel, method });
  const { scale, zeroPoint } = scales.get('x')!;
  expect(zeroPoint).toBe(0);
  // The second largest of 210 values is 69, and bins are 255 / 2048 wide. 0.5 % of 210 are 1.05 values.
  expect(255 * scale).toBeGreaterThan(69);
  expect(255 * scale).toBeLessThan(69 + 255 / 2048);
});

test('it says how far it is through all passes, and a signal stops it', async () => {
  const seen: string[] = [];
  const given = { model: pixelModel(1, 1, 1), groups: [colours], images, shape: onePixel };
  const onProgress = (done: number, total: number) => seen.push(`${done}/${total}`);
  await calibrate({ ...given, method: minMax, onProgress });
  await calibrate({ ...given, method: { method: 'percentile', percentile: 99 }, onProgress });
  expect(seen).toEqual([...['32/70', '64/70', '70/70'], ...['32/140', '64/140', '70/140', '102/140', '134/140', '140/140']]);
  const controller = new AbortController();
  const reason = new Error('stopped');
  const stopped = calibrate({
    ...{ ...given, method: minMax, signal: controller.signal },
    onProgress(done) {
      if (done === 64) controller.abort(reason);
      if (done > 64) throw new Error('it went on');
    },
  });
  await expect(stopped).rejects.toBe(reason);
});

test.each([Infinity, NaN])('values that are not finite are refused (%d)', async (factor) => {
  const broken = calibrate({
    model: pixelModel(1, factor, 1),
    groups: [colours, scaled],
    images,
    shape: onePixel,
    method: minMax,
  });
  await expect(broken).rejects.toThrow(DataError);
  await expect(broken).rejects.toThrow('the values of scaled in the network are not all finite');
});
