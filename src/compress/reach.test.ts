import { expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { ConfigurationError } from '../util/errors.ts';
import { requireEnoughRounds, requireWithinReach } from './reach.ts';
import { reachedBy, type CompressTargets, type Measured } from './rounds.ts';

const device = { flashBytes: 8000, ramBytes: 8000, deviceMs: 8 };
const original: Measured = { parameters: 1000, operations: 100_000, bytes: 8000, latencyMs: 8, dropPoints: 0, device };

/** Each round halves a network, until it has 1000 bytes. @returns the error, with its fix */
async function refusal(rounds: number, limits: CompressTargets): Promise<string> {
  const rehearsal = {
    original,
    smaller: (network: Measured) => {
      if (network.bytes <= 1000) return undefined;
      const { flashBytes, ramBytes, deviceMs } = network.device!;
      const half = { flashBytes: flashBytes / 2, ramBytes: ramBytes / 2, deviceMs: deviceMs / 2 };
      return { ...network, bytes: network.bytes / 2, latencyMs: network.latencyMs / 2, device: half };
    },
    missedBy: (network: Measured) => Promise.resolve(reachedBy(limits, original, network).filter(({ met }) => !met)),
  };
  try {
    await requireEnoughRounds({ rounds, shrink: 0.5 }, rehearsal);
    return '';
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return `${error.message}\n${error.fix!}`;
  }
}

test('rounds that are enough are let go on', async () => {
  expect(await refusal(2, { bytes: 2000, latencyMs: 2 })).toBe('');
});

test('too few rounds are refused, with how many it takes', async () => {
  expect(await refusal(1, { bytes: 1500, latencyMs: 8 })).toBe(
    'bytes (=1500) is out of reach: 0.5 of the operations in each of 1 rounds leave a file of 4,000\n--rounds 3, or a smaller --shrink',
  );
  expect(await refusal(2, { bytes: 2000, latencyMs: 1 })).toBe(
    'latency (=1) is out of reach: 0.5 of the operations in each of 2 rounds leave 2.000 ms\n--rounds 3, or a smaller --shrink',
  );
});

test('a latency that may be within the limit when it counts is let go on', async () => {
  expect(await refusal(2, { latencyMs: 1.7 })).toBe('');
});

test('the last bytes take less than a whole round', async () => {
  expect(await refusal(9, { bytes: 999 })).toBe('');
  expect(await refusal(1, { bytes: 999 })).toBe(
    'bytes (=999) is out of reach: 0.5 of the operations in each of 1 rounds leave a file of 4,000\n--rounds 4, or a smaller --shrink',
  );
});

test('a latency that no number of rounds reaches is refused', async () => {
  expect(await refusal(9, { latencyMs: 0.5 })).toBe(
    'latency (=0.5) is out of reach: 0.5 of the operations in each of 3 rounds leave 1.000 ms\nask for less, or start from a smaller network',
  );
});

test('a latency is let go on up to a quarter above its limit, and no further; bytes are not', async () => {
  // Two rounds leave 2 ms and 2000 bytes.
  expect(await refusal(2, { latencyMs: 1.6 })).toBe('');
  expect(await refusal(2, { latencyMs: 1.59 })).toMatch(/^latency \(=1\.59\) is out of reach/);
  expect(await refusal(2, { bytes: 1999 })).toMatch(/^bytes \(=1999\) is out of reach/);
});

test('all that is out of reach is told, with the rounds that all of it takes', async () => {
  expect(await refusal(1, { bytes: 2500, latencyMs: 1 })).toBe(
    'bytes (=2500) is out of reach: 0.5 of the operations in each of 1 rounds leave a file of 4,000\n' +
      'latency (=1) is out of reach: 0.5 of the operations in each of 1 rounds leave 4.000 ms\n--rounds 3, or a smaller --shrink',
  );
  // What may be within its limit counts for the rounds that it takes.
  expect(await refusal(2, { bytes: 1999, latencyMs: 1.7 })).toMatch(/^bytes [^\n]*\n--rounds 3, or a smaller --shrink$/);
});

test('RAM that no number of rounds leaves is refused, without advice to add rounds', async () => {
  const words = 'of the operations in each of';
  expect(await refusal(2, { ramBytes: 500 })).toBe(
    `ram (=500) is out of reach: 0.5 ${words} 2 rounds leave 2.0 kB of RAM\nask for less, or start from a smaller network`,
  );
  expect(await refusal(9, { ramBytes: 500 })).toBe(
    `ram (=500) is out of reach: 0.5 ${words} 3 rounds leave 1.0 kB of RAM\nask for less, or start from a smaller network`,
  );
  expect(await refusal(2, { ramBytes: 500, flashBytes: 500 })).toMatch(/\nask for less, or start from a smaller network$/);
  // Less than a whole round leads to the flash, and may lead to the RAM.
  expect(await refusal(9, { ramBytes: 500, flashBytes: 500 })).toBe('');
  expect(await refusal(2, { flashBytes: 500 })).toMatch(/\n--rounds 4, or a smaller --shrink$/);
});

test('limits that one filter in every layer misses are told with what it takes', () => {
  const limits = { bytes: 7999, latencyMs: 1, flashBytes: 8000, ramBytes: 100, deviceMs: 0.001 };
  const least = { ...original, device: { ...device, deviceMs: 0.12341 } };
  const missed = reachedBy(limits, original, least).filter(({ met }) => !met);
  expect(told(() => requireWithinReach(missed))).toEqual({
    kind: 'ConfigurationError',
    message: [
      'bytes (=7999) must be at least 8000: that is with one filter in every layer',
      'ram (=100) must be at least 8000: that is with one filter in every layer',
      'latency (=0.001) must be at least 0.124: that is with one filter in every layer',
    ].join('\n'),
    fix: undefined,
  });
  expect(told(() => requireWithinReach(reachedBy({ deviceMs: 0.5 }, original, original))).message).toContain('at least 8:');
  // A latency of this machine varies.
  expect(() => requireWithinReach(reachedBy({ latencyMs: 1 }, original, original))).not.toThrow();
});

test('what a microcontroller is limited to is known exactly', async () => {
  expect(await refusal(2, { flashBytes: 2000, ramBytes: 2000, deviceMs: 2 })).toBe('');
  expect(await refusal(1, { flashBytes: 3999, ramBytes: 3999, deviceMs: 3.9 })).toBe(
    'flash (=3999) is out of reach: 0.5 of the operations in each of 1 rounds leave 4.0 kB of flash\n' +
      'ram (=3999) is out of reach: 0.5 of the operations in each of 1 rounds leave 4.0 kB of RAM\n' +
      'latency (=3.9) is out of reach: 0.5 of the operations in each of 1 rounds leave 4.000 ms on the microcontroller\n' +
      '--rounds 2, or a smaller --shrink',
  );
});
