import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, about a minute or more. Begun last, it would go on alone, with a core idle. */
const longest = [
  ...['webgpu', 'mpi/data-parallel', 'webgpu-training', 'compress-cli', 'privacy', 'study', 'ui', 'interruption', 'device-code'],
  ...['package', 'ui-commands', 'configuration-keys', 'slurm/study', 'own-network', 'hostile-input', 'prune-cli'],
].map((name) => fileURLToPath(new URL(`test/${name}.test.ts`, import.meta.url)));
const gone = longest.find((path) => !existsSync(path));
if (gone !== undefined) throw new Error(`${gone} is among the longest tests of vitest.config.ts, but is not there`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = longest.indexOf(moduleId);
      return place === -1 ? longest.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  // As examples of pages import it.
  resolve: { alias: { 'ablate/browser': fileURLToPath(new URL('src/browser.ts', import.meta.url)) } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Native libraries and worker threads live in the test's process.
    pool: 'forks',
    // Two processes for all files, in which a module is loaded once.
    isolate: false,
    poolOptions: { forks: { maxForks: 2 } },
    globalSetup: ['test/compile-sources.ts'],
    sequence: { sequencer: LongestFirst },
    setupFiles: ['test/set-up.ts'],
    // Two test processes with two threads each on two cores: threads that wait must not keep the others from working.
    env: { OMP_WAIT_POLICY: 'passive', GOMP_SPINCOUNT: '0' },
    // What is waited for comes late on a machine with other work.
    expect: { poll: { timeout: 10_000 } },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
