import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Starts a Node process, with a channel for messages, whose module lies beside the module at `importer` (its `import.meta.url`): the
 * compiled `.js` in an installed package, the `.ts` source (through tsx) when running from source. Its output goes to our stderr.
 *
 * @param name file name without extension
 */
export function startProcess(importer: string, name: string, args: readonly string[]): ChildProcess {
  const fromSource = importer.endsWith('.ts');
  const module = fileURLToPath(new URL(`./${name}${fromSource ? '.ts' : '.js'}`, importer));
  const execArgv = fromSource ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  return fork(module, args, { execArgv, stdio: ['ignore', 2, 2, 'ipc'] });
}
