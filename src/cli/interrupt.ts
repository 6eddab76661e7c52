import { hangUpIsIgnored } from '../util/hang-up.ts';
import { Interruption } from './errors.ts';
import { note, onLostOutput } from './output.ts';

/** What a terminal, `kill` or a scheduler sends to have a program end; SIGBREAK is Ctrl-Break, and SIGHUP the window's end, on Windows. */
const signals: readonly NodeJS.Signals[] =
  process.platform === 'win32'
    ? ['SIGINT', 'SIGBREAK', 'SIGHUP']
    : ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** Sent by a person at the keyboard: the second one means it. Others may come twice for one reason: a terminal that closes sends two. */
const insistent: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);

/**
 * Runs work that can be stopped in order. A first signal aborts the one that `work` was given and says `notice`; a second Ctrl-C ends
 * the process at once. A reader of our output that goes away, or a disk that has no room for it, only aborts: Ctrl-C in a pipeline ends the
 * reader, too. A hang-up that the process was started to ignore (`nohup`) does nothing.
 *
 * @param stopped what is told where the work ends with the signal's reason
 */
export async function interruptible<T>(
  notice: string,
  work: (signal: AbortSignal) => Promise<T>,
  stopped = 'stopped',
): Promise<T> {
  const controller = new AbortController();
  const ignoresHangUp = hangUpIsIgnored();
  const onSignal = (signal: NodeJS.Signals) => {
    if (signal === 'SIGHUP' && ignoresHangUp) return;
    if (!controller.signal.aborted) {
      controller.abort();
      note(`\n${notice} (Ctrl-C again stops at once)`);
    } else if (insistent.has(signal)) process.exit(130);
  };
  for (const signal of signals) process.on(signal, onSignal);
  const forget = onLostOutput(() => controller.abort());
  try {
    return await work(controller.signal);
  } catch (error) {
    if (controller.signal.aborted && error === controller.signal.reason) throw new Interruption(stopped);
    throw error;
  } finally {
    forget();
    // Once stopped, the command ends: what comes twice shall not end it before its last words.
    if (!controller.signal.aborted) for (const signal of signals) process.off(signal, onSignal);
  }
}

/** Node opens its debugger at SIGUSR1, until it has had a handler: from then on, the signal ends the process like any other. */
export function closeDebugger(): void {
  const handler = () => undefined;
  process.on('SIGUSR1', handler);
  process.off('SIGUSR1', handler);
}
