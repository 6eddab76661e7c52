import { expect, test } from 'vitest';
import { streamKey } from '../util/random.ts';
import { augmentationKeys } from './transform.ts';

test('each draw has a stream of its own by seed and epoch; the first flip is that of epoch 0', () => {
  const key = (what: string, epoch = 7) => streamKey(5, `augment:${what}`, epoch);
  const keys = augmentationKeys(5, 7);
  // Other names would be other images in every run that is trained again.
  expect(keys).toEqual({
    epoch: 7,
    ...{ translateY: key('translate-y'), translateX: key('translate-x'), cropY: key('crop-y'), cropX: key('crop-x') },
    ...{ flip: key('flip'), firstFlip: key('flip', 0) },
    ...{ brightness: key('brightness'), contrast: key('contrast') },
    ...{ cutoutY: key('cutout-y'), cutoutX: key('cutout-x'), own: key('own') },
  });
  expect(new Set(Object.values(keys)).size).toBe(Object.keys(keys).length);
});
