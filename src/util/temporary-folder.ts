import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What ends a process that does not handle it. */
const signals = ['SIGINT', process.platform === 'win32' ? 'SIGBREAK' : 'SIGTERM', 'SIGHUP'] as const;

/** Exit code of a command that Ctrl-C or the like ended. */
const interrupted = 130;

/**
 * Does `work` with an empty folder for temporary files, which is gone afterwards: whether the work ends, fails, or is interrupted.
 *
 * @param prefix how the folder's name begins: `ablate-bench-`
 */
export async function withTemporaryFolder<T>(prefix: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // Who else handles a signal stops the work in order. Where nobody does, the process would end here.
  const onSignal = (signal: NodeJS.Signals) => {
    if (process.listeners(signal).every((listener) => listener === onSignal)) process.exit(interrupted);
  };
  process.on('exit', remove);
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(folder);
  } finally {
    remove();
    process.off('exit', remove);
    for (const signal of signals) process.off(signal, onSignal);
  }
}
