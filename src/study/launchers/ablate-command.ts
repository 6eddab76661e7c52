import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * How to start this program: compiled, or from source through tsx (a development dependency) as in the tests.
 *
 * @param module this one's URL: that of the source, or of what it was compiled to
 */
export function ablateCommand(module = import.meta.url): [string, ...string[]] {
  const isSource = module.endsWith('.ts');
  const main = fileURLToPath(new URL(`../../cli/main.${isSource ? 'ts' : 'js'}`, module));
  if (!isSource) return [process.execPath, main];
  const tsx = pathToFileURL(createRequire(module).resolve('tsx')).href;
  return [process.execPath, '--import', tsx, main];
}
