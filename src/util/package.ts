/** The package that this program is: where it lies, and its version. */
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with package.json: two above this file, in `src` as in `dist`. */
export function packageRoot(): string {
  return realpathSync(join(dirname(fileURLToPath(import.meta.url)), '..', '..'));
}

export function packageVersion(): string {
  return manifest().version;
}

/** The version of an optional package that this program works with: `0.6.2`. */
export function versionOfOptional(name: string): string {
  return manifest().peerDependencies[name]!;
}

interface Manifest {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as Manifest;
}
