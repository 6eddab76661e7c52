import { expect, test } from 'vitest';
import * as z from 'zod';
import { expandLayer, isGroup, mergeLayers, valueOfText } from './key-layers.ts';

const schema = z.strictObject({
  name: z.string(),
  rate: z.number(),
  sizes: z.strictObject({ width: z.number(), height: z.number() }),
  settings: z.record(z.string(), z.number()),
  schedule: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('constant') }),
    z.strictObject({ type: z.literal('cosine'), warmup: z.number(), final: z.number() }),
  ]),
  average: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({ type: z.literal('mean'), decay: z.number() }),
  ]),
  pruning: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({ type: z.literal('filters') }),
    z.strictObject({ type: z.literal('weights') }),
  ]),
  weightDecay: z.discriminatedUnion('rule', [z.strictObject({ rule: z.literal('none'), value: z.number() })]),
});

test('the text of a value is JSON or a number where it is one', () => {
  const texts = ['0.1', '.1', 'false', 'null', '[0.5, 1]', '"a"', 'a', '', ' ', '1e', '0x10', 'none', '-.5'];
  expect(texts.map(valueOfText)).toEqual([0.1, 0.1, false, null, [0.5, 1], 'a', 'a', '', ' ', '1e', 16, 'none', -0.5]);
});

test('groups are objects, records, and those with a tag', () => {
  const groups = Object.keys(schema.shape).filter((key) => isGroup(schema, key));
  expect(groups).toEqual(['sizes', 'settings', 'schedule', 'average', 'pruning', 'weightDecay']);
  expect(isGroup(schema, 'constructor')).toBe(false);
});

test('dotted names go into their groups, beside what is there; what is undefined is not said', () => {
  const locate = (name: string) => name.split('.') as [string, string?];
  const expand = (layer: Record<string, unknown>) => expandLayer(schema, layer, locate);
  expect(expand({ rate: 1, 'sizes.width': 2, sizes: { height: 3 }, name: undefined })).toStrictEqual({
    rate: 1,
    sizes: { width: 2, height: 3 },
  });
  expect(expand({ name: 2017, 'schedule.type': 7, 'settings.type': 7 })).toStrictEqual({
    name: '2017',
    schedule: { type: '7' },
    settings: { type: 7 },
  });
});

test.each<[string, unknown, unknown]>([
  ['schedule', 'cosine', { type: 'cosine' }],
  ['schedule', 'other', { type: 'other' }],
  // There is no none to switch it off to.
  ['schedule', false, false],
  ['average', false, { type: 'none' }],
  ['average', true, { type: 'mean' }],
  // Of two kinds nobody knows which is meant.
  ['pruning', true, true],
  ['pruning', false, { type: 'none' }],
  ['weightDecay', 0.5, { value: 0.5 }],
  ['weightDecay', true, true],
  ['average', 0.5, 0.5],
  ['rate', true, true],
  ['name', 3, '3'],
  ['name', true, true],
])('%s: %j is short for %j', (key, short, written) => {
  expect(expandLayer(schema, { [key]: short }, (name) => [name])).toStrictEqual({ [key]: written });
});

test('the strongest layer is the last; groups are merged, those with a tag where the tag is the same', () => {
  const merge = (...layers: Record<string, unknown>[]) => mergeLayers(schema, layers);
  expect(merge({ rate: 1, name: 'a' }, { rate: undefined }, { rate: 2 })).toStrictEqual({ rate: 2, name: 'a' });
  expect(merge({ sizes: { width: 1, height: 2 } }, { sizes: { width: 3 } })).toStrictEqual({ sizes: { width: 3, height: 2 } });
  const cosine = { schedule: { type: 'cosine', warmup: 0.1, final: 0 } };
  const later = { schedule: { warmup: 0.2 } };
  expect(merge(cosine, later)).toStrictEqual({ schedule: { type: 'cosine', warmup: 0.2, final: 0 } });
  expect(merge(cosine, { schedule: { type: 'constant' } })).toStrictEqual({ schedule: { type: 'constant' } });
  expect(merge(cosine, { schedule: { type: 'constant' } }, { schedule: { type: 'cosine' } }, later)).toStrictEqual({
    schedule: { type: 'cosine', warmup: 0.2, final: 0 },
  });
  // What is no group takes the place of one, and nothing is merged into it.
  for (const wrong of [null, [1], 'x']) {
    expect(merge(cosine, { schedule: wrong })).toStrictEqual({ schedule: wrong });
    expect(merge({ schedule: wrong }, later)).toStrictEqual({ schedule: { warmup: 0.2 } });
    // After it, all is as ever.
    expect(merge(cosine, { schedule: wrong }, cosine, { schedule: { type: 'constant' } })).toStrictEqual({
      schedule: { type: 'constant' },
    });
  }
});
