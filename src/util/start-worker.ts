import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts the worker thread whose module lies beside the module at `importer` (its `import.meta.url`): the compiled `.js` in an installed
 * package, the `.ts` source (through esbuild) when running from source, as the tests do.
 *
 * @param name file name without extension: `loader-worker`
 */
export function startWorker(importer: string, name: string, options: WorkerOptions): Worker {
  // Not the parent's Node options: some (`--input-type`) make a worker fail.
  const ownOptions = { ...options, execArgv: [] };
  if (!importer.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, importer), ownOptions);
  const module = new URL(`./${name}.ts`, importer).href;
  return new Worker(new URL('./source-worker.mjs', import.meta.url), { ...ownOptions, argv: [module] });
}
