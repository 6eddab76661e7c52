/*
 * `npm start`: sets up whatever is missing, then runs a small study: what do augmentation and normalization do to a network in its first
 * steps? On CIFAR-10 where that is found or can be downloaded, else on generated images, saying so.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const study = 'studies/quick-start.yaml';
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
  const command = ['study', study, '--data', dataset];
  process.stderr.write(`\n> npx ablate ${command.join(' ')}\n`);
  return node('bin/ablate.js', ...command);
}

process.exitCode = start();
