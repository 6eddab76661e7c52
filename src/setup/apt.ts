/** Debian's and Ubuntu's packages. */
import { spawnSync } from 'node:child_process';
import { administratorPrefix, hasCommand, runCommand, type Say } from './run-command.ts';

/** The newest package of this distribution whose name is the pattern's, a regular expression; undefined without package lists. */
export function newestPackage(pattern: string): string | undefined {
  const { stdout } = spawnSync('apt-cache', ['search', '--names-only', pattern], { encoding: 'utf8' }) as {
    stdout: string | null;
  };
  const names = (stdout ?? '').split('\n').map((line) => line.split(' ')[0]!);
  const found = names.filter((name) => name !== '');
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/** The words before `apt-get` with which packages can be installed here; undefined where they cannot. */
export function aptPrefix(): readonly string[] | undefined {
  return process.platform === 'linux' && hasCommand('apt-get') ? administratorPrefix() : undefined;
}

/** Installs the package that `find` names, which is asked again once the package lists are up to date; whether it succeeded. */
export async function installWithApt(prefix: readonly string[], find: () => string | undefined, say: Say): Promise<boolean> {
  // Through env, as sudo keeps no variables.
  const apt = (...args: readonly string[]) =>
    runCommand([...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args], say);
  const install = async () => {
    const name = find();
    return name !== undefined && (await apt('install', '--yes', '--no-install-recommends', name));
  };
  // Fresh images have no package lists, and old lists name versions that are gone: both are cured by an update.
  return (await install()) || ((await apt('update')) && (await install()));
}
