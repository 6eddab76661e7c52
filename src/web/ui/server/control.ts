/** Stopping runs from the page, for who has the token that the address had when the server was started with `--control`. */
import { timingSafeEqual } from 'node:crypto';
import { hostname } from 'node:os';
import { runHolder } from '../../../runs/run-lock.ts';
import { runName, type Run } from '../../../runs/run-folder.ts';
import { AblateError } from '../../../util/errors.ts';
import { errorCode } from '../../../util/file-error.ts';

/** In the same time whatever was given. */
export function isToken(given: string | undefined, token: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * Asks the process that trains a run to stop, as Ctrl-C does: after its step, and saved.
 *
 * @throws AblateError if no process of this machine trains it, or it is another user's
 */
export function stopRun(run: Run): void {
  const holder = runHolder(run);
  if (holder === undefined) throw new AblateError(`${runName(run)} is not trained now`);
  const { pid, host } = holder;
  if (host !== hostname()) throw new AblateError(`${runName(run)} is trained on ${host}, and can be stopped there alone`);
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if (errorCode(error) === 'EPERM') throw new AblateError(`process ${pid}, which trains ${runName(run)}, is another user's`);
    // It has ended meanwhile.
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
