/** What this machine allows: as much memory as it has, as many threads as make sense on it. Checked before anything is allocated or computed. */
import { cpus, totalmem } from 'node:os';
import { ConfigurationError } from './errors.ts';
import { formatBytes } from './format.ts';

/** Bytes of memory that this process may have: those of the machine, or of its container. */
export function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}

/**
 * @param bytes that are needed at least
 * @param what needs them: `batchSize (=100000)`
 * @param fix how to need less
 * @throws ConfigurationError if there are not so many
 */
export function requireMemory(bytes: number, what: string, fix: string, limit = memoryLimit()): void {
  if (bytes <= limit) return;
  throw new ConfigurationError(
    `${what} needs at least ${formatBytes(bytes)} of memory, and this process can have ${formatBytes(limit)}`,
    { fix },
  );
}

/** More threads than the machine can run only wait for each other; those of a run that was made on a larger one give the same bits here. */
export function mostThreadsHere(hardwareThreads = cpus().length): number {
  return Math.max(64, 4 * hardwareThreads);
}

/** @throws ConfigurationError for what is no number of threads that this machine can start */
export function requireThreads(threads: number, most = mostThreadsHere()): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= most) return;
  throw new ConfigurationError(`threads (=${threads}) must be an integer from 1 to ${most} on this machine`, {
    key: 'threads',
  });
}
