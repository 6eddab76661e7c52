/*
 * `npm start`: sets up whatever is missing, then runs a small study: what helps a network in its first 200 steps? On CIFAR-10 where that is
 * found or can be downloaded, else on generated images, saying so. It ends with how to read the result, and what to do next.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explainStudy, nextLines } from './study-explained.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const study = 'studies/quick-start.yaml';
const report = 'reports/quick-start';
/** Exit code of a command that Ctrl-C ended. */
const interrupted = 130;

/** Runs Node on a script of the repository, in the user's terminal; its exit code. */
function node(script, ...args) {
  const result = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  return result.status ?? interrupted;
}

// Ctrl-C goes to the study as well, which saves first; waiting for it here lets it finish.
process.on('SIGINT', () => {});

function start() {
  const setUp = node('scripts/setup.mjs', '--quiet');
  if (setUp !== 0) return setUp;
  const fetched = node('bin/ablate.js', 'data', 'fetch');
  if (fetched === interrupted) return fetched;
  const dataset = fetched === 0 ? 'cifar10' : 'synthetic';
  if (dataset === 'synthetic') {
    process.stderr.write('\nCIFAR-10 could not be had: studying synthetic images instead (drawn shapes, not photographs)\n');
  }
  // Small networks use two cores better one run each than together.
  const jobs = String(Math.min(2, availableParallelism()));
  const command = ['study', study, '--data', dataset, '--jobs', jobs, '--output', report];
  process.stderr.write(`\n> npx ablate ${command.join(' ')}\n`);
  const studied = node('bin/ablate.js', ...command);
  if (studied !== 0) return studied;
  const lines = explainStudy(JSON.parse(readFileSync(join(root, report, 'report.json'), 'utf8')));
  process.stdout.write(`\n${[...lines, '', ...nextLines()].join('\n')}\n`);
  return 0;
}

process.exitCode = start();
