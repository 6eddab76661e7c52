/** The package `webgpu`, an optional peer dependency: where it has to lie so that this program finds it, and the command that puts it there. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { AblateError } from '../util/errors.ts';
import { packageRoot, versionOfOptional } from '../util/package.ts';
import { quoted } from '../util/shell.ts';
import { hasCommand, runCommand, type Say } from './run-command.ts';

const name = 'webgpu';

/** What installs the package. */
export interface PackageCommand {
  readonly command: readonly string[];
  /** Where it is run. */
  readonly folder: string;
  /** Where the package comes to, for people. */
  readonly place: string;
  /** A folder that it is installed in first, to be moved from its node_modules into that of `folder`. */
  readonly staging?: string;
}

/** What other package managers keep in a project; they do not want npm to touch it. */
const lockFiles = [
  ['pnpm-lock.yaml', ['pnpm', 'add']],
  ['yarn.lock', ['yarn', 'add']],
  ['bun.lock', ['bun', 'add']],
  ['bun.lockb', ['bun', 'add']],
] as const;

/** The command for the place where this program is: a clone, a project that has it among its packages, or all users' packages. */
export function commandFor(root = packageRoot(), version = wantedWebgpu()): PackageCommand {
  const wanted = `${name}@${version}`;
  const quiet = ['--no-audit', '--no-fund'];
  const project = projectAround(root);
  if (project === undefined) {
    // Into a clone itself npm puts no optional peer dependency, even if it is asked to.
    const staging = join(root, 'node_modules', `.${name}`);
    const command = ['npm', 'install', '--no-save', '--install-strategy=nested', ...quiet, '--prefix', staging, wanted];
    return { command, folder: root, place: join(root, 'node_modules'), staging };
  }
  const other = lockFiles.find(([file]) => existsSync(join(project, file)));
  if (other !== undefined) return { command: [...other[1], wanted], folder: project, place: `the project ${project}` };
  if (existsSync(join(project, 'package.json'))) {
    return { command: ['npm', 'install', ...quiet, wanted], folder: project, place: `the project ${project}` };
  }
  return { command: ['npm', 'install', '--global', ...quiet, wanted], folder: project, place: "npm's global packages" };
}

/** The folder that has this program below its node_modules; undefined for a clone. */
function projectAround(folder: string): string | undefined {
  const above = dirname(folder);
  if (above === folder) return undefined;
  if (basename(above) !== 'node_modules') return projectAround(above);
  // pnpm keeps packages in node_modules/.pnpm/<name>/node_modules.
  return projectAround(dirname(above)) ?? dirname(above);
}

/** The version that this program works with. */
export function wantedWebgpu(): string {
  return versionOfOptional(name);
}

/** The version of the package that the program would load; undefined if there is none. */
export function installedWebgpu(root = packageRoot()): string | undefined {
  try {
    return (createRequire(join(root, 'package.json'))(`${name}/package.json`) as { readonly version: string }).version;
  } catch {
    return undefined;
  }
}

/**
 * Runs what `commandFor` found.
 *
 * @throws AblateError if it fails, or if the program does not find the package where it has come to
 */
export async function installWebgpu(what: PackageCommand, say: Say, root = packageRoot()): Promise<void> {
  const { command, folder, staging } = what;
  const [manager] = command as [string];
  if (!hasCommand(manager)) {
    throw new AblateError(`${manager}, which installs the package ${name}, was not found`, {
      fix: `install ${manager}, then: ablate setup --gpu`,
    });
  }
  if (staging !== undefined) mkdirSync(staging, { recursive: true });
  const done = await runCommand(command, say, { cwd: folder });
  if (staging !== undefined) {
    const target = join(folder, 'node_modules', name);
    if (done) {
      rmSync(target, { recursive: true, force: true });
      renameSync(join(staging, 'node_modules', name), target);
    }
    rmSync(staging, { recursive: true, force: true });
  }
  if (!done) {
    const again = staging === undefined ? `cd ${quoted(folder)} && ${command.join(' ')}` : 'ablate setup --gpu';
    throw new AblateError(`the package ${name} could not be installed; what ${manager} said is above`, {
      fix: `with a network connection, and the right to write there: ${again}`,
    });
  }
  if (installedWebgpu(root) !== wantedWebgpu()) {
    throw new AblateError(`the package ${name} was installed, but not where ${root} finds it`, {
      fix: `install ${name}@${wantedWebgpu()} into a node_modules folder beside or above that folder`,
    });
  }
}
