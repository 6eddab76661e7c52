/*
 * Sets up whatever is missing, and does nothing where nothing is: the npm packages from the lockfile, the compiled program in
 * dist/, and the oneDNN system library. Plain Node without packages, because it runs before there are any; `npm start`,
 * `npm test`, the Dockerfile and the dev container all go through it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const oldestNode = 20;

/** A step of the set-up that cannot go on; the message says what the user can do. */
class SetupError extends Error {}

/** Says what is run, then runs it in the repository; true if it succeeded. */
function run(command, args, environment = {}) {
  say(`${command} ${args.join(' ')}`);
  const result = spawnSync(command, args, {
    cwd: root,
    // Everything a set-up says goes to stderr, so that the output of what it sets up stays clean.
    stdio: ['inherit', 2, 2],
    env: { ...process.env, ...environment },
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

/** What the program itself says about oneDNN, asked in a process of its own because a library once missing stays missing there. */
function probeOnednn() {
  const probe = pathToFileURL(join(root, 'dist', 'engine', 'onednn', 'probe.js')).href;
  const code = `import { probeOnednn } from ${JSON.stringify(probe)}; console.log(JSON.stringify(probeOnednn()));`;
  const result = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' });
  if (result.status !== 0) return { ok: false, error: result.stderr.trim() };
  return JSON.parse(result.stdout);
}

/** The prefix that gives a command administrator rights: nothing for root, sudo where there is one, undefined where neither is. */
function administratorPrefix() {
  if (process.getuid?.() === 0) return [];
  if (spawnSync('sudo', ['--version']).status !== 0) return undefined;
  return process.stdin.isTTY ? ['sudo'] : ['sudo', '--non-interactive'];
}

function hasCommand(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** The package with the newest oneDNN of this distribution: libdnnl2 on Debian 12, libdnnl3.6 on Debian 13. */
function onednnPackage() {
  const { stdout } = spawnSync('apt-cache', ['search', '--names-only', '^libdnnl[0-9.]+$'], { encoding: 'utf8' });
  const names = (stdout ?? '').split('\n').map((line) => line.split(' ')[0]);
  const found = names.filter((name) => name !== '');
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

function installOnednnWithApt() {
  const prefix = administratorPrefix();
  if (prefix === undefined) {
    const byHand = `sudo apt-get install ${onednnPackage() ?? 'libdnnl2'}`;
    throw new SetupError(`the oneDNN library is missing, and installing it takes an administrator; run: ${byHand}`);
  }
  const apt = (...args) => {
    const [command, ...rest] = [...prefix, 'apt-get', ...args];
    return run(command, rest, { DEBIAN_FRONTEND: 'noninteractive' });
  };
  const install = () => {
    const name = onednnPackage();
    return name !== undefined && apt('install', '--yes', '--no-install-recommends', name);
  };
  // Fresh images have no package lists, and old lists name versions that are gone: both are cured by an update.
  if (install()) return;
  if (apt('update') && install()) return;
  throw new SetupError(`the oneDNN library could not be installed; run: sudo apt-get install ${onednnPackage() ?? 'libdnnl2'}`);
}

function installOnednn() {
  if (probeOnednn().ok) return;
  say('the oneDNN library, which does the arithmetic, is not usable yet');
  if (process.platform === 'darwin' && hasCommand('brew')) {
    if (!run('brew', ['install', 'onednn']))
      throw new SetupError('the oneDNN library could not be installed; run: brew install onednn');
  } else if (process.platform === 'linux' && hasCommand('apt-get')) {
    installOnednnWithApt();
  } else {
    throw new SetupError(
      'no known way to install the oneDNN library here; install oneDNN 2 or 3 (libdnnl.so) with your package manager',
    );
  }
  const found = probeOnednn();
  if (!found.ok) throw new SetupError(`the oneDNN library is installed but not usable: ${found.error}`);
  say(`oneDNN ${found.version} is ready`);
}

try {
  requireNode();
  installPackages();
  build();
  installOnednn();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`set-up failed: ${error.message}\n`);
  process.exitCode = 1;
}
