import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Native libraries and worker threads live in the test's process: forks keep the files apart.
    pool: 'forks',
    poolOptions: { forks: { maxForks: 2 } },
    setupFiles: ['test/set-up.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
