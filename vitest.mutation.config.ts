import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Quick tests first: the first that fails ends a mutant. */
class QuickestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { cache, config } = this.ctx;
    const duration = ({ project, moduleId }: TestSpecification): number =>
      cache.getFileTestResults(`${project.name}:${relative(config.root, moduleId)}`)?.duration ?? 0;
    return Promise.resolve([...files].sort((a, b) => duration(a) - duration(b)));
  }
}

/** The tests that mutation testing runs: those that scripts/mutate.mjs names, in one process that loads each module once. */
export default defineConfig({
  test: {
    // Modules are loaded once for all mutants: loading them takes longer than most tests.
    isolate: false,
    include: (process.env['MUTATION_TESTS'] ?? 'src/**/*.test.ts').split(','),
    globalSetup: ['test/compile-sources.ts'],
    exclude: (process.env['MUTATION_TESTS_LEFT_OUT'] ?? '').split(',').filter(Boolean),
    setupFiles: ['test/set-up.ts'],
    sequence: { sequencer: QuickestFirst },
    testTimeout: 60_000,
  },
});
