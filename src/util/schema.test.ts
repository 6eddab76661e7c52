import { expect, test } from 'vitest';
import * as z from 'zod';
import { ConfigurationError, DataError } from './errors.ts';
import { allowedBy, check, describePath } from './schema.ts';

const schema = z.strictObject({
  rate: z.number().positive().default(1),
  steps: z.int().min(1).default(1),
  schedule: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('constant') }),
      z.strictObject({ type: z.literal('cosine'), warmup: z.number().min(0).lt(1).default(0) }),
    ])
    .default({ type: 'constant' }),
  factors: z.array(z.strictObject({ name: z.string('a name').min(1), levels: z.array(z.boolean()).optional() })).default([]),
});

function thrownBy(action: () => unknown): ConfigurationError {
  try {
    action();
  } catch (error) {
    return error as ConfigurationError;
  }
  throw new Error('nothing was thrown');
}

test('what is allowed comes back with the defaults', () => {
  expect(check(schema, { schedule: { type: 'cosine' } })).toEqual({
    rate: 1,
    steps: 1,
    schedule: { type: 'cosine', warmup: 0 },
    factors: [],
  });
});

test.each<[unknown, string, string]>([
  [{ rate: 0 }, 'rate', 'rate (=0) must be a number above 0'],
  [{ rate: Infinity }, 'rate', 'rate (=Infinity) must be a number above 0'],
  [{ steps: 1.5 }, 'steps', 'steps (=1.5) must be a positive integer'],
  [{ steps: 2 ** 53 }, 'steps', 'steps (=9007199254740992) must be at most 9007199254740991'],
  [{ steps: '3' }, 'steps', 'steps (="3") must be a positive integer'],
  [{ schedule: 'fast' }, 'schedule', 'schedule (=fast) must be one of constant, cosine'],
  [{ schedule: {} }, 'schedule.type', 'schedule.type (=missing) must be one of constant, cosine'],
  [{ schedule: { type: 'cosine', warmup: 1 } }, 'schedule.warmup', 'schedule.warmup (=1) must be a number in [0, 1)'],
  [{ factors: [{ name: '' }] }, 'factors[0].name', 'factors[0].name (="") must be a name'],
  [{ factors: [{ name: 'a' }, 3] }, 'factors[1]', 'factors[1] (=3) must be a group of keys: name, levels'],
  [{ factors: [{ name: 'a', levels: ['x'] }] }, 'factors[0].levels[0]', 'factors[0].levels[0] (=x) must be true or false'],
  [{ factors: 4 }, 'factors', 'factors (=4) must be a list'],
  [7, '', 'it (=7) must be a group of keys: rate, steps, schedule, factors'],
  [{ stps: 1 }, 'stps', 'there is no key "stps". Did you mean "steps"? Allowed: rate, steps, schedule, factors'],
  [
    { schedule: { type: 'constant', warmup: 0.1 } },
    'schedule.warmup',
    'there is no key "warmup" in schedule of type "constant". Allowed: type',
  ],
  [
    { schedule: { type: 'cosine', wramup: 0.1 } },
    'schedule.wramup',
    'there is no key "wramup" in schedule of type "cosine". Did you mean "warmup"? Allowed: type, warmup',
  ],
  [
    { factors: [{ name: 'a', level: [] }] },
    'factors[0].level',
    'there is no key "level" in factors[0]. Did you mean "levels"? Allowed: name, levels',
  ],
])('%j is refused', (value, key, message) => {
  const error = thrownBy(() => check(schema, value));
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error).toMatchObject({ key, otherKeys: [], message });
});

test('all that is wrong is said at once, each with its key', () => {
  const error = thrownBy(() => check(schema, { steps: 0, rate: -1, a: 1, b: 2 }));
  expect(error.message.split('\n')).toHaveLength(4);
  expect([error.key, ...error.otherKeys]).toEqual(['rate', 'steps', 'a', 'b']);
});

test('the caller makes the error that suits it', () => {
  const refused = () => check(schema, { steps: 0 }, ([problem]) => new DataError(`line 3: ${problem!.message}`));
  expect(refused).toThrow(new DataError('line 3: steps (=0) must be a positive integer'));
});

test.each<[z.ZodType, string]>([
  [z.int(), 'an integer'],
  [z.int().min(0), 'an integer of at least 0'],
  [z.int().positive(), 'a positive integer'],
  [z.int().min(1).max(64), 'an integer from 1 to 64'],
  [z.number(), 'a number'],
  [z.number().min(0), 'a number of at least 0'],
  [z.number().min(0).max(1), 'a number in [0, 1]'],
  [z.number().gt(50).max(100), 'a number in (50, 100]'],
  [z.string(), 'a text'],
  [z.enum(['a', 'b']).optional(), 'one of a, b'],
  [z.literal([7, 8]), 'one of 7, 8'],
  [z.literal('sgd'), 'sgd'],
  [z.record(z.string(), z.unknown()), 'a group of keys'],
])('a schema in words: %#', (each, words) => {
  expect(allowedBy(each)).toBe(words);
});

test('places are called as people write them', () => {
  expect(describePath(['factors', 1, 'levels'])).toBe('factors[1].levels');
  expect(describePath([])).toBe('');
});
