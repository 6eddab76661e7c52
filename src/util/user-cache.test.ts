import { homedir } from 'node:os';
import { afterEach, expect, test, vi } from 'vitest';
import { userCacheFolder } from './user-cache.ts';

afterEach(() => void vi.unstubAllEnvs());

test('$XDG_CACHE_HOME, unless it is empty or relative', () => {
  vi.stubEnv('XDG_CACHE_HOME', '/somewhere/cache');
  expect(userCacheFolder()).toBe('/somewhere/cache/ablate');
  for (const ignored of ['', 'relative/cache']) {
    vi.stubEnv('XDG_CACHE_HOME', ignored);
    expect(userCacheFolder()).toBe(`${homedir()}/.cache/ablate`);
  }
});
