import { note, onClosedOutput } from './output.ts';

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs work that can be stopped in order. The first Ctrl-C aborts the signal that `work` was given and says `notice`; the second ends
 * the process at once. A reader of our output that goes away only aborts: Ctrl-C in a pipeline ends the reader, too.
 */
export async function interruptible<T>(notice: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    note(`\n${notice} (Ctrl-C again stops at once)`);
  };
  for (const signal of signals) process.on(signal, onSignal);
  const forget = onClosedOutput(() => controller.abort());
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    forget();
  }
}
