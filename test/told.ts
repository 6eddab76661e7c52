import { AblateError } from '../src/util/errors.ts';

/** All that the user is told of a failure: the kind of the error, its message, and the fix. Fails if there is none. */
export function told(work: () => unknown): { readonly kind: string; readonly message: string; readonly fix: string | undefined } {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AblateError)) throw error;
    const { name: kind, message, fix } = error;
    return { kind, message, fix };
  }
  throw new Error('nothing was thrown');
}

/** The same of what fails later. */
export async function toldLater(work: Promise<unknown>): Promise<ReturnType<typeof told>> {
  const [result] = await Promise.allSettled([work]);
  return told(() => {
    if (result.status === 'rejected') throw result.reason;
  });
}
