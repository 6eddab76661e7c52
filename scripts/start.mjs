/*
 * `npm start`: sets up whatever is missing, then trains a network for a few hundred steps and says how accurate it is. On
 * CIFAR-10 where that is found or can be downloaded, else on generated images, saying so.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const steps = 600;

/** Runs Node on a script of the repository, in the user's terminal; its exit code. */
function node(script, ...args) {
  const result = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  // Ended by a signal: the shell's convention for Ctrl-C.
  return result.status ?? 130;
}

// Ctrl-C goes to the training as well, which saves first; waiting for it here lets it finish.
process.on('SIGINT', () => {});

process.exitCode = node('scripts/setup.mjs');
if (process.exitCode === 0) {
  const hasCifar10 = node('bin/ablate.js', 'data', 'fetch') === 0;
  if (!hasCifar10)
    process.stderr.write('CIFAR-10 could not be had: training on synthetic images instead (drawn shapes, not photographs)\n');
  const train = ['train', 'tuto', '--data', hasCifar10 ? 'cifar10' : 'synthetic', '--steps', String(steps)];
  process.stderr.write(`\n> npx ablate ${train.join(' ')}\n`);
  process.exitCode = node('bin/ablate.js', ...train);
}
