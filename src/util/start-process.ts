import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Starts a Node process, with a channel for messages, whose module lies beside the module at `importer` (its `import.meta.url`): the
 * compiled `.js` in an installed package, the `.ts` source (through tsx) when running from source. Its output goes to our stderr.
 *
 * @param name file name without extension
 * @param output what its output goes to instead: `pipe` for the parent to read (`child.stderr`; the rest goes nowhere)
 */
export function startProcess(importer: string, name: string, args: readonly string[], output?: 'pipe'): ChildProcess {
  const fromSource = importer.endsWith('.ts');
  const module = fileURLToPath(new URL(`./${name}${fromSource ? '.ts' : '.js'}`, importer));
  const execArgv = fromSource ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  const streams = output === 'pipe' ? (['ignore', 'ignore', 'pipe'] as const) : (['ignore', 2, 2] as const);
  return fork(module, args, { execArgv, stdio: [...streams, 'ipc'] });
}
