/*
 * Sets up whatever is missing, and does nothing where nothing is: the npm packages from the lockfile, the compiled program in
 * dist/, and what `ablate setup` sees to, which is given the arguments. Plain Node without packages, because it runs before there are
 * any; `npm start`, `npm test`, the Dockerfile and the dev container all go through it.
 *
 *     node scripts/setup.mjs [--quiet] [--gpu] ...
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const oldestNode = 20;

const isQuiet = process.argv.includes('--quiet');
const args = process.argv.slice(2).filter((arg) => arg !== '--quiet');

/** A step of the set-up that cannot go on; the message says what the user can do. */
class SetupError extends Error {}

/** Says what is run, then runs it in the repository; true if it succeeded. */
function run(command, words) {
  say(`${command} ${words.join(' ')}`);
  const result = spawnSync(command, words, {
    cwd: root,
    // Everything a set-up says goes to stderr, so that the output of what it sets up stays clean.
    stdio: ['inherit', 2, 2],
    shell: process.platform === 'win32',
  });
  return result.status === 0;
}

function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

function requireNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < oldestNode) {
    throw new SetupError(
      `Node ${process.versions.node} is too old: ablate needs Node ${oldestNode} or newer (https://nodejs.org)`,
    );
  }
}

/** Whether every package of the lockfile is installed in the version it names (packages for other platforms may be absent). */
function packagesAreInstalled() {
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    return installed[path] === undefined ? optional === true : installed[path].version === version;
  });
}

function installPackages() {
  if (packagesAreInstalled()) return;
  if (!run('npm', ['ci', '--no-audit', '--no-fund'])) {
    throw new SetupError('the npm packages could not be installed; with a network connection, run: npm ci');
  }
}

/** Files below a folder, tests left out: they are not compiled into dist. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** Compiles src/ into dist/ if a source or a setting is newer than the last build, and removes what no source stands behind. */
function build() {
  const stamp = join(root, 'dist', '.built');
  const settings = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map((name) => join(root, name));
  const sources = filesBelow(join(root, 'src'));
  const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  const names = sources
    .map((file) => relative(root, file))
    .sort()
    .join('\n');
  const unchanged = builtAt > 0 && readFileSync(stamp, 'utf8') === names;
  if (unchanged && [...settings, ...sources].every((file) => statSync(file).mtimeMs <= builtAt)) return;

  const startedAt = new Date();
  if (!run('npm', ['run', '--silent', 'build'])) {
    throw new SetupError('the sources could not be compiled; the messages above name the files');
  }
  // The pages for the browser are bundles: vite empties their folders itself.
  const bundles = join(root, 'dist', 'client');
  for (const file of filesBelow(join(root, 'dist')).filter((path) => !path.startsWith(bundles))) {
    const source = join(root, 'src', relative(join(root, 'dist'), file)).replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts');
    if (file !== stamp && !existsSync(source)) rmSync(file);
  }
  writeFileSync(stamp, names);
  // A source saved while the compiler ran counts as newer than this build.
  utimesSync(stamp, startedAt, startedAt);
}

/** The rest is the program's: `ablate setup`, which says itself what is wrong. */
function setUpSystem() {
  const { status } = spawnSync(process.execPath, [join(root, 'bin', 'ablate.js'), 'setup', ...args], {
    cwd: root,
    stdio: ['inherit', isQuiet ? 'ignore' : 2, 2],
  });
  process.exitCode = status ?? 1;
}

try {
  requireNode();
  installPackages();
  build();
  setUpSystem();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`set-up failed: ${error.message}\n`);
  process.exitCode = 1;
}
