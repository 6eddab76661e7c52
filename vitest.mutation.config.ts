import { defineConfig } from 'vitest/config';

/** The tests that mutation testing runs: those that scripts/mutate.mjs names, in one process that loads each module once. */
export default defineConfig({
  test: {
    // Modules are loaded once for all mutants: loading them takes longer than most tests.
    isolate: false,
    include: (process.env['MUTATION_TESTS'] ?? 'src/**/*.test.ts').split(','),
    globalSetup: ['test/compile-sources.ts'],
    exclude: (process.env['MUTATION_TESTS_LEFT_OUT'] ?? '').split(',').filter(Boolean),
    setupFiles: ['test/set-up.ts'],
    testTimeout: 60_000,
  },
});
