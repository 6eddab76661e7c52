/** Starts the live page beside a command that computes. */
import { once } from 'node:events';
import { AblateError } from '../../../util/errors.ts';
import { startProcess } from '../../../util/start-process.ts';
import type { PageServer } from '../../page-server.ts';
import type { PageProcessAnswer } from './page-process.ts';
import type { UiOptions } from './server.ts';

/**
 * Serves the page in a process of its own until it is closed, at the given port or, where that is taken, another.
 *
 * @throws AblateError if it cannot be served
 */
export async function startPageBeside(options: UiOptions): Promise<PageServer> {
  const child = startProcess(import.meta.url, 'page-process', [JSON.stringify(options)]);
  const exited = once(child, 'exit');
  const answer = await Promise.race([
    once(child, 'message').then(([message]) => message as PageProcessAnswer),
    exited.then((): PageProcessAnswer => ({ problem: 'the process of the live page ended before it said its address' })),
  ]);
  // Whoever computes decides how long there is something to see.
  child.unref();
  child.channel?.unref();
  const close = async () => {
    if (child.connected) child.disconnect();
    child.ref();
    await exited;
  };
  if ('url' in answer) return { url: answer.url, close };
  await close();
  throw new AblateError(`the live page cannot be served: ${answer.problem}`, answer.fix === undefined ? {} : { fix: answer.fix });
}
