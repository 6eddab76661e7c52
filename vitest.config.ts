import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // As examples of pages import it.
  resolve: { alias: { 'ablate/browser': fileURLToPath(new URL('src/browser.ts', import.meta.url)) } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Native libraries and worker threads live in the test's process: forks keep the files apart.
    pool: 'forks',
    // One more than two cores have: some tests wait for a scheduler or a time limit.
    poolOptions: { forks: { maxForks: 3 } },
    globalSetup: ['test/compile-sources.ts'],
    setupFiles: ['test/set-up.ts'],
    // More threads than cores: threads that wait must not keep the others from working.
    env: { OMP_WAIT_POLICY: 'passive', GOMP_SPINCOUNT: '0' },
    // What is waited for comes late on a machine with other work.
    expect: { poll: { timeout: 10_000 } },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
