import { once } from 'node:events';
import { startProcess } from './start-process.ts';

export interface Asked<T> {
  /** What it sent; undefined if it ended, or took too long, before it sent anything. */
  readonly answer: T | undefined;
  /** Why there is no answer: `ended (SIGSEGV)`. */
  readonly failure: string | undefined;
  /** What it printed on stderr. */
  readonly said: string;
}

/**
 * Asks something in a process of its own, which may print, crash or hang without harm to this one: it answers with one message (`process.send`), and is
 * ended then.
 *
 * @param importer as for `startProcess`
 * @param name as for `startProcess`
 */
export async function askProcess<T>(importer: string, name: string, limitMs: number): Promise<Asked<T>> {
  const child = startProcess(importer, name, [], 'pipe');
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const answered = new Promise<Omit<Asked<T>, 'said'>>((resolve) => {
    const fail = (failure: string) => resolve({ answer: undefined, failure });
    child.once('message', (message) => resolve({ answer: message as T, failure: undefined }));
    child.once('error', ({ message }) => fail(`could not be started: ${message}`));
    child.once('exit', (code, signal) => fail(`ended (${signal ?? `code ${String(code)}`})`));
  });
  const closed = once(child, 'close').catch(() => undefined);
  const late = { answer: undefined, failure: `did not answer within ${limitMs / 1000} s` };
  const result = (await within(limitMs, answered)) ?? late;
  // How it ends is of no interest: native code may crash there as well. One that hangs in the kernel cannot be ended, nor is it waited for.
  child.kill('SIGKILL');
  await within(1000, closed);
  child.unref();
  child.stderr!.destroy();
  return { ...result, said };
}

/** What a promise resolves to; undefined if it takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), milliseconds)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
