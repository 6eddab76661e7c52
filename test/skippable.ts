/**
 * The name of a test, or of a group of tests, that is skipped if there is a reason; the reason ends the name, where .ci/run finds it: it
 * counts what was skipped and says why, and takes a skip without a reason for a failure.
 *
 *     test.skipIf(reason !== undefined)(skippable('in Chromium', reason), ...)
 */
export function skippable(name: string, reason: string | undefined): string {
  return reason === undefined ? name : `${name} [skipped: ${reason}]`;
}
