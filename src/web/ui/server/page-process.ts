/**
 * The live page beside a command that computes, in a process of its own: it answers while a step is computed, and the computation goes first.
 * It ends with the process that started it.
 */
import { setPriority } from 'node:os';
import { AblateError } from '../../../util/errors.ts';
import type { UiOptions } from './server.ts';

/** The address, or why there is none. */
export type PageProcessAnswer = { readonly url: string } | { readonly problem: string; readonly fix?: string };

const niceness = 10;
/** What a terminal sends to all that it has started: the command saves then, and is followed until it ends. */
const terminalSignals = ['SIGINT', 'SIGQUIT', 'SIGHUP'] as const;

async function serve(options: UiOptions): Promise<string> {
  const { startUi } = await import('./server.ts');
  try {
    return (await startUi(options)).url;
  } catch (error) {
    // The usual port may be another page's: any will do.
    if (!(error instanceof AblateError)) throw error;
    return (await startUi({ ...options, port: 0 })).url;
  }
}

async function answer(): Promise<PageProcessAnswer> {
  try {
    return { url: await serve(JSON.parse(process.argv[2]!) as UiOptions) };
  } catch (error) {
    if (!(error instanceof AblateError)) throw error;
    return { problem: error.message, ...(error.fix !== undefined && { fix: error.fix }) };
  }
}

setPriority(niceness);
for (const signal of terminalSignals) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
process.send!(await answer());
