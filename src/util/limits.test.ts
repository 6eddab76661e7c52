import { cpus, totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { ConfigurationError } from './errors.ts';
import { memoryLimit, mostThreadsHere, requireMemory, requireThreads } from './limits.ts';

test('the limit is that of the machine or its container', () => {
  expect(memoryLimit()).toBeGreaterThan(64e6);
  expect(memoryLimit()).toBeLessThanOrEqual(totalmem());
});

test('what needs more memory than there is, is refused with both numbers', () => {
  expect(() => requireMemory(8e9, 'batchSize (=7)', 'a smaller batch', 8e9)).not.toThrow();
  expect(() => requireMemory(8.1e9, 'batchSize (=7)', 'a smaller batch', 8e9)).toThrow(
    new ConfigurationError('batchSize (=7) needs at least 8.1 GB of memory, and this process can have 8.0 GB', {
      fix: 'a smaller batch',
    }),
  );
  expect(() => requireMemory(1e30, 'conv1', 'less')).toThrow(ConfigurationError);
});

test('threads are bounded by the processor, but not below what a larger machine has', () => {
  expect(mostThreadsHere(2)).toBe(64);
  expect(mostThreadsHere(100)).toBe(400);
  expect(mostThreadsHere()).toBeGreaterThanOrEqual(cpus().length);
  for (const threads of [1, 2, 64]) expect(() => requireThreads(threads, 64)).not.toThrow();
});

test.each([0, -1, 1.5, NaN, 65, 100_000, 2 ** 32])('%d threads are refused', (threads) => {
  expect(() => requireThreads(threads, 64)).toThrow(
    new ConfigurationError(`threads (=${threads}) must be an integer from 1 to 64 on this machine`, { key: 'threads' }),
  );
});
