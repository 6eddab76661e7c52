/** What a user types to start this program, where the user stands. Errors and notes call it `ablate`; `asTyped` says what works. */
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, resolve, sep } from 'node:path';
import { environmentVariable } from '../util/env.ts';
import { packageRoot } from '../util/package.ts';
import { quoted } from '../util/shell.ts';

/** Only before one of these is `ablate` a command. */
export const commandNames = [
  'train',
  'eval',
  'info',
  'new',
  'prune',
  'freeze',
  'quantize',
  'compress',
  'export',
  'label',
  'demo',
  'bench',
  'study',
  'report',
  'runs',
  'show',
  'ui',
  'data',
  'doctor',
  'setup',
  'help',
] as const;

const command = new RegExp(String.raw`(?<![\w./-]|npx )ablate (?=(?:${commandNames.join('|')}|--\w+)\b)`, 'g');

export interface Place {
  /** The working directory. */
  readonly folder: string;
  /** `$PATH`. */
  readonly path: string;
  /** The folder with this program's package.json. */
  readonly root: string;
}

/** `ablate` where a shell finds it (installed globally), `npx ablate` where npm does (in a clone, or a project that has it), else the whole path. */
export function invocation({ folder, path, root }: Place): string {
  // npx puts its own folders into the path, for the time that the program runs.
  const own = join('node_modules', '.bin');
  const folders = path.split(delimiter).filter((each) => each !== '' && !each.endsWith(`${sep}${own}`));
  if (folders.some((each) => isExecutable(join(each, 'ablate')))) return 'ablate';
  const project = projectOf(resolve(folder));
  const works = project !== undefined && (isSame(project, root) || existsSync(join(project, own, 'ablate')));
  return works ? 'npx ablate' : `node ${quoted(join(root, 'bin', 'ablate.js'))}`;
}

/** The folder, this one or the nearest above, that npm takes for the project. */
function projectOf(folder: string): string | undefined {
  if (existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules'))) return folder;
  return dirname(folder) === folder ? undefined : projectOf(dirname(folder));
}

function isSame(a: string, b: string): boolean {
  return realpathSync(a) === realpathSync(b);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Text in which each command of this program begins as it must be typed here. */
export function asTyped(text: string, place?: Place): string {
  return text.replaceAll(command, () => `${invocation(place ?? here())} `);
}

function here(): Place {
  return { folder: process.cwd(), path: environmentVariable('PATH') ?? '', root: packageRoot() };
}
