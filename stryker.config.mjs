/**
 * Mutation testing: makes small wrong changes to the code, one at a time, and reports those that no test notices. Run it with
 * `npm run mutate -- <folder of src/>` (scripts/mutate.mjs); CONTRIBUTING.md says how to read the result.
 */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutation.config.ts', related: false },
  coverageAnalysis: 'perTest',
  // Code that runs once, when its module loads, has no test of its own: each such change would need all tests in a new process.
  ignoreStatic: true,
  // Of the root: src/runs is code.
  ignorePatterns: ['/runs', '/dist', '/coverage', '/reports'],
  concurrency: 1,
  timeoutMS: 20_000,
  timeoutFactor: 3,
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
};
