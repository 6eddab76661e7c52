/**
 * Mutation testing of one folder of src/:
 *
 *     npm run mutate -- train                       all of src/train
 *     npm run mutate -- train schedules.ts          these files of it only
 *     npm run mutate -- train --record              and write the score to docs/results/mutation.json
 *
 * Results are kept in reports/mutation/, so that a second run tries only what may have changed. Only tests that run in the test's own
 * process can notice a mutant: those beside the source, and those listed here.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const recordFile = join(root, 'docs', 'results', 'mutation.json');

/** Tests that cover a folder from outside of it. */
const furtherTests = {
  deploy: ['test/device-plans.test.ts', 'test/onnx-layers.test.ts'],
};

/** Tests of a folder that take too long to run for every mutant. What they alone would notice counts as not noticed. */
const slowTests = {
  runs: ['checkpoint-killed', 'run-list-many'].map((name) => `src/runs/${name}.test.ts`),
  data: ['src/data/whole-synthetic.test.ts'],
  train: ['airbench', 'pruned-training', 'train'].map((name) => `src/train/${name}.test.ts`),
  study: ['src/study/simulated-studies.test.ts'],
  report: ['src/report/compare-runs.test.ts'],
};

const args = process.argv.slice(2);
const record = args.includes('--record');
const [folder, ...files] = args.filter((arg) => !arg.startsWith('--'));
const unknown = args.find((arg) => arg.startsWith('--') && arg !== '--record');
if (unknown !== undefined || folder === undefined || !existsSync(join(root, 'src', folder))) {
  process.stderr.write('usage: npm run mutate -- <folder of src/> [file ...] [--record]\n');
  process.exit(2);
}
if (record && files.length > 0) {
  process.stderr.write('--record wants the whole folder: leave the files out\n');
  process.exit(2);
}

const reports = join(root, 'reports', 'mutation');
mkdirSync(reports, { recursive: true });
const name = folder.replaceAll('/', '-');
const report = join(reports, `${name}.json`);
const settings = join(reports, `${name}.config.json`);
const wanted = files.length > 0 ? files.map((file) => `src/${folder}/${file}`) : [`src/${folder}/**/*.ts`];
const { default: base } = await import('../stryker.config.mjs');
writeFileSync(
  settings,
  JSON.stringify({
    ...base,
    mutate: [...wanted, '!src/**/*.test.ts'],
    incremental: true,
    incrementalFile: join(reports, `${name}.incremental.json`),
    reporters: ['clear-text', 'json', 'progress-append-only'],
    jsonReporter: { fileName: report },
    tempDirName: join('reports', `sandbox-${name}`),
  }),
);

const tests = [`src/${folder}/**/*.test.ts`, ...(furtherTests[folder] ?? [])];
const stryker = join(root, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js');
const { status } = spawnSync(process.execPath, [stryker, 'run', settings], {
  cwd: root,
  stdio: 'inherit',
  // Tests run in a worker thread, which cannot set for native code what deploy/onnx-runtime.ts sets.
  env: {
    ...process.env,
    MUTATION_TESTS: tests.join(','),
    MUTATION_TESTS_LEFT_OUT: (slowTests[folder] ?? []).join(','),
    ORT_DISABLE_TELEMETRY: '1',
  },
});
if (status !== 0) process.exit(status ?? 1);
if (record) writeRecord();

/**
 * How many mutants of a folder had which end. Mutants that a comment in the source calls equivalent do not count, nor those of code that runs once; those
 * whose tests could not be run (`failed`) count as not noticed.
 */
function score() {
  const counts = { killed: 0, timedOut: 0, survived: 0, notCovered: 0, failed: 0, equivalent: 0, static: 0 };
  for (const { mutants } of Object.values(JSON.parse(readFileSync(report, 'utf8')).files)) {
    for (const { status: end, static: runsOnce } of mutants) {
      if (end === 'Killed') counts.killed++;
      else if (end === 'Timeout') counts.timedOut++;
      else if (end === 'Survived') counts.survived++;
      else if (end === 'NoCoverage') counts.notCovered++;
      else if (end === 'RuntimeError') counts.failed++;
      else if (end === 'Ignored') counts[runsOnce === true ? 'static' : 'equivalent']++;
    }
  }
  const noticed = counts.killed + counts.timedOut;
  const percent = (100 * noticed) / (noticed + counts.survived + counts.notCovered + counts.failed);
  return { percent: Number(percent.toFixed(1)), ...counts };
}

/** The first score of each folder stays; the latest is rewritten. */
function writeRecord() {
  const kept = existsSync(recordFile) ? JSON.parse(readFileSync(recordFile, 'utf8')).folders : {};
  const git = (...words) => spawnSync('git', words, { cwd: root, encoding: 'utf8' }).stdout.trim();
  const packageVersion = (dependency) =>
    JSON.parse(readFileSync(join(root, 'node_modules', dependency, 'package.json'), 'utf8')).version;
  const latest = {
    ...score(),
    commit: git('rev-parse', '--short', 'HEAD'),
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    stryker: packageVersion('@stryker-mutator/core'),
    vitest: packageVersion('vitest'),
    processor: cpus()[0]?.model ?? 'unknown',
  };
  const folders = { ...kept, [folder]: { first: kept[folder]?.first ?? latest, latest } };
  writeFileSync(recordFile, JSON.stringify({ command: 'npm run mutate -- <folder> --record', folders }, null, 2) + '\n');
  process.stdout.write(`${folder}: ${latest.percent} % of the mutants noticed; written to docs/results/mutation.json\n`);
}
