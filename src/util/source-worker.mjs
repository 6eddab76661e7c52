/**
 * The entry of every worker thread when running from TypeScript source (never in an installed package; see start-worker.ts). tsx must be
 * registered inside the thread, as Node 20 does not apply `--import` hooks to a worker's own module. The worker's module is
 * its first argument.
 */
import { register } from 'tsx/esm/api';

register();
await import(process.argv[2]);
