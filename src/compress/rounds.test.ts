import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import {
  hasDeviceLimits,
  hasLimits,
  keepsLimits,
  nextRound,
  reachedBy,
  requireTargets,
  resultOf,
  type CompressTargets,
  type Measured,
  type MeasuredRounds,
} from './rounds.ts';

const original: Measured = { parameters: 1000, operations: 100_000, bytes: 3000, latencyMs: 2, dropPoints: 0.1 };
const settings = { shrink: 0.7, rounds: 3 };

/** The original, and rounds that differ from it as given. */
function after(...rounds: readonly Partial<Measured>[]): MeasuredRounds {
  return [original, ...rounds.map((round) => ({ ...original, ...round }))];
}

test('a whole round leaves the part asked for; what is enough for the limits is told beside it', () => {
  expect(nextRound({ operations: 0.5 }, settings, after())).toEqual({
    type: 'shrink',
    whole: { operations: 0.7 },
    enough: { operations: 0.5 },
  });
  const last = { operations: 70_000, parameters: 600, bytes: 2500 };
  expect(nextRound({ operations: 0.56, bytes: 2400 }, settings, after(last))).toMatchObject({
    whole: { operations: 0.7 },
    enough: { operations: expect.closeTo(0.8, 12) as number, parameters: 500 },
  });
});

test('a limit that is kept asks for nothing, and latency does not say how much is enough', () => {
  const last = { operations: 50_000, latencyMs: 1.5 };
  expect(nextRound({ operations: 0.5, latencyMs: 1 }, settings, after(last))).toMatchObject({
    type: 'shrink',
    enough: undefined,
  });
  const both = nextRound({ operations: 0.4, bytes: 3000 }, settings, after(last));
  expect(both).toMatchObject({ enough: { operations: expect.closeTo(0.8, 12) as number } });
  expect(both).not.toHaveProperty('enough.parameters');
});

test('rounds end when all limits of size are kept, whatever the drop', () => {
  const limits: CompressTargets = { operations: 0.5, bytes: 2000, latencyMs: 1, maxDrop: 1 };
  const small = { operations: 50_000, bytes: 2000, latencyMs: 1, dropPoints: 9 };
  expect(nextRound(limits, settings, after(small))).toEqual({ type: 'stop', reason: 'limits' });
  for (const missed of [{ operations: 50_001 }, { bytes: 2001 }, { latencyMs: 1.01 }]) {
    expect(nextRound(limits, settings, after({ ...small, ...missed })).type).toBe('shrink');
  }
  expect(nextRound({ bytes: 3000 }, settings, after())).toEqual({ type: 'stop', reason: 'limits' });
});

test('with a drop alone, rounds end with the first that exceeds it', () => {
  expect(nextRound({ maxDrop: 1 }, settings, after({ dropPoints: 1 }))).toMatchObject({ type: 'shrink', enough: undefined });
  expect(nextRound({ maxDrop: 1 }, settings, after({ dropPoints: 1.01 }))).toEqual({ type: 'stop', reason: 'drop' });
  // Training may regain what quantizing alone costs.
  expect(nextRound({ maxDrop: 0 }, settings, after()).type).toBe('shrink');
});

test('there are at most so many rounds', () => {
  expect(nextRound({ operations: 0.1 }, settings, after({}, {})).type).toBe('shrink');
  expect(nextRound({ operations: 0.1 }, settings, after({}, {}, {}))).toEqual({ type: 'stop', reason: 'rounds' });
  expect(nextRound({ maxDrop: 5 }, { shrink: 0.7, rounds: 1 }, after({}))).toEqual({ type: 'stop', reason: 'rounds' });
});

test('the result: with limits the last network, with a drop alone the last that keeps it', () => {
  expect(resultOf({ bytes: 10, maxDrop: 1 }, after({ dropPoints: 5 }))).toBe(1);
  const drops = after({ dropPoints: 0.5 }, { dropPoints: 0.9 }, { dropPoints: 1.2 });
  expect(resultOf({ maxDrop: 1 }, drops)).toBe(2);
  expect(resultOf({ maxDrop: 0.3 }, drops)).toBe(0);
  expect(resultOf({ maxDrop: 0 }, drops)).toBeUndefined();
});

test('each target given is met or missed, and at the limit it is met', () => {
  const network = { ...original, operations: 40_000, bytes: 3000, dropPoints: 1.5 };
  expect(reachedBy({ operations: 0.4, bytes: 2999, maxDrop: 1.5 }, original, network)).toEqual([
    { target: 'operations', limit: 0.4, value: 0.4, met: true },
    { target: 'bytes', limit: 2999, value: 3000, met: false },
    { target: 'maxDrop', limit: 1.5, value: 1.5, met: true },
  ]);
  expect(keepsLimits({ operations: 0.4, maxDrop: 1 }, original, network)).toBe(true);
});

test('fewer bytes than there are without weights: what goes with the filters may be enough', () => {
  for (const bytes of [100, 2000]) expect(nextRound({ bytes }, settings, after())).toMatchObject({ enough: { parameters: 1 } });
  expect(nextRound({ bytes: 2001 }, settings, after())).toMatchObject({ enough: { parameters: 1 } });
});

test('as many rounds as it takes are enough', () => {
  requireTargets({ operations: 0.343 }, settings);
  requireTargets({ operations: 0.34 }, { ...settings, rounds: 4 });
});

test.each<[CompressTargets, Partial<typeof settings>, string]>([
  [{}, {}, 'what to reach is missing'],
  [{ operations: 1 }, {}, 'operations (=1) must be a number in (0, 1)'],
  [{ bytes: 1.5 }, {}, 'bytes (=1.5) must be a positive integer'],
  [{ latencyMs: 0 }, {}, 'latency (=0) must be a number above 0, in milliseconds'],
  [{ flashBytes: 0.5 }, {}, 'flash (=0.5) must be a positive number of bytes'],
  [{ ramBytes: 0 }, {}, 'ram (=0) must be a positive number of bytes'],
  [{ deviceMs: -3 }, {}, 'latency (=-3) must be a number above 0, in milliseconds'],
  [{ maxDrop: -1 }, {}, 'max-drop (=-1) must be a number of at least 0, in points'],
  [{ maxDrop: 1 }, { shrink: 1 }, 'shrink (=1) must be a number in (0, 1)'],
  [{ maxDrop: 1 }, { rounds: 0 }, 'rounds (=0) must be a positive integer'],
  [{ operations: 0.34 }, {}, 'operations (=0.34) is out of reach: 0.7 of the operations in each of 3 rounds leave 0.343'],
])('%j %j', (targets, changed, message) => {
  expect(() => {
    requireTargets(targets, { ...settings, ...changed });
  }).toThrow(message);
});

const refusal = (targets: CompressTargets, changed: Partial<typeof settings> = {}): ConfigurationError => {
  try {
    requireTargets(targets, { ...settings, ...changed });
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
  }
  throw new Error('it was not refused');
};

test('errors say what is allowed and what would do', () => {
  expect(refusal({}).fix).toBe(
    '--operations 0.5, --bytes 200000, --latency 0.5, --flash 64k, --ram 48k, --max-drop 1, or several of them; ablate quantize only quantizes',
  );
  expect(refusal({ operations: 0 }).message).toBe('operations (=0) must be a number in (0, 1): the part that is left');
  expect(refusal({ bytes: 0 }).message).toBe('bytes (=0) must be a positive integer');
  expect(refusal({ latencyMs: -1 }).message).toBe('latency (=-1) must be a number above 0, in milliseconds');
  expect(refusal({ maxDrop: NaN }).message).toBe('max-drop (=NaN) must be a number of at least 0, in points');
  expect(refusal({ maxDrop: 1 }, { shrink: 0 }).message).toBe(
    'shrink (=0) must be a number in (0, 1): the part of the operations that a round leaves',
  );
  expect(refusal({ maxDrop: 1 }, { rounds: 1.5 }).message).toBe('rounds (=1.5) must be a positive integer');
  // 0.7^5 is 0.168, 0.7^6 is 0.118.
  expect(refusal({ operations: 0.15 }, { rounds: 2 })).toMatchObject({
    message: 'operations (=0.15) is out of reach: 0.7 of the operations in each of 2 rounds leave 0.490',
    fix: '--rounds 6, or a smaller --shrink',
  });
});

test('values at the limits of what is allowed are taken', () => {
  for (const targets of [{ bytes: 1 }, { latencyMs: 1e-9 }, { maxDrop: 0 }, { operations: 0.999 }]) {
    expect(() => {
      requireTargets(targets, { shrink: 0.999, rounds: 1 });
    }).not.toThrow();
  }
});

test('what is left of the limits after a round counts from the network as it is, not from the original', () => {
  const last = { operations: 80_000, parameters: 700, bytes: 2500 };
  // 2500 bytes hold 700 weights: 1900 hold 100. Half of the original's operations are five eighths of these.
  expect(nextRound({ operations: 0.5, bytes: 1900 }, settings, after({}, last))).toEqual({
    type: 'shrink',
    whole: { operations: 0.7 },
    enough: { operations: 0.625, parameters: 100 },
  });
  expect(nextRound({ bytes: 2499 }, settings, after(last))).toMatchObject({ enough: { parameters: 699 } });
  // Of a limit alone that is kept, nothing is asked.
  expect(nextRound({ operations: 0.8, latencyMs: 1 }, settings, after(last))).toMatchObject({ enough: undefined });
  expect(nextRound({ bytes: 2500, operations: 0.4 }, settings, after(last))).toEqual({
    type: 'shrink',
    whole: { operations: 0.7 },
    enough: { operations: 0.5 },
  });
});

test('what says when to stop: any limit of size, or else the drop', () => {
  expect([{ operations: 0.5 }, { bytes: 1 }, { latencyMs: 1 }, { maxDrop: 1 }, {}].map(hasLimits)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  // A drop is no limit of size.
  expect(keepsLimits({ bytes: 3000, maxDrop: 0 }, original, original)).toBe(true);
  expect(keepsLimits({ bytes: 2999 }, original, original)).toBe(false);
});

test('limits on a microcontroller: flash by weights, time by operations, RAM by whole rounds', () => {
  const device = { flashBytes: 5000, ramBytes: 4000, deviceMs: 80 };
  const network = { parameters: 1000, operations: 50_000, device };
  const next = (targets: CompressTargets) => nextRound(targets, settings, after(network));
  // 4900 bytes hold 100 weights less; 60 of 80 ms are three quarters of the operations.
  expect(next({ flashBytes: 4900 })).toMatchObject({ enough: { parameters: 900 } });
  expect(next({ deviceMs: 60 })).toMatchObject({ enough: { operations: 0.75 } });
  expect(next({ ramBytes: 3999 })).toMatchObject({ type: 'shrink', enough: undefined });
  // The stricter of two.
  expect(next({ deviceMs: 60, operations: 0.25 })).toMatchObject({ enough: { operations: 0.5 } });
  expect(next({ flashBytes: 4900, bytes: 2950 })).toMatchObject({ enough: { parameters: 900 } });
  expect(next({ flashBytes: 4990, bytes: 2500 })).toMatchObject({ enough: { parameters: 500 } });
  expect(next({ flashBytes: 5000, ramBytes: 4000, deviceMs: 80 })).toEqual({ type: 'stop', reason: 'limits' });
  expect(next({ flashBytes: 4000 })).toMatchObject({ enough: { parameters: 1 } });
  expect(reachedBy({ ramBytes: 3000, deviceMs: 100 }, original, { ...original, ...network })).toEqual([
    { target: 'ramBytes', limit: 3000, value: 4000, met: false },
    { target: 'deviceMs', limit: 100, value: 80, met: true },
  ]);
  expect([{ flashBytes: 1 }, { ramBytes: 1 }, { deviceMs: 1 }].every(hasLimits)).toBe(true);
  expect([{ flashBytes: 1 }, { ramBytes: 1 }, { deviceMs: 1 }, { bytes: 1, maxDrop: 1 }].map(hasDeviceLimits)).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
