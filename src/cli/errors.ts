import { AblateError } from '../util/errors.ts';
import { asTyped } from './invocation.ts';
import { note, styles } from './output.ts';

/** The user stopped a command (Ctrl-C) and it ended in order; the message says what was saved. */
export class Interruption extends AblateError {
  override readonly exitCode = 130;
}

/**
 * Prints an error on stderr and returns the exit code for it. An error meant for the user is its message with the fix as last line;
 * anything else is a defect of ablate and keeps its stack trace. All of it is one write, so that nothing of another process comes between.
 *
 * @param heading a line above it
 */
export function reportError(error: unknown, heading?: string): number {
  const { red, bold } = styles(process.stderr);
  const report = (...lines: readonly (string | undefined)[]) => {
    note([heading, ...lines].filter((line) => line !== undefined).join('\n'));
  };
  if (!(error instanceof AblateError)) {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    report(`${bold(red('unexpected error:'))} ${trace}`);
    return 1;
  }
  const said = shortened(error.message);
  const message = error instanceof Interruption ? `interrupted: ${said}` : `${bold(red('error:'))} ${said}`;
  report(message, error.fix === undefined ? undefined : shortened(asTyped(error.fix)));
  return error.exitCode;
}

/** As much as anyone reads. */
const longestMessage = 20_000;

/** A message repeats what was given, which may be a whole file: of a longer one, its beginning and its end. */
function shortened(message: string): string {
  if (message.length <= longestMessage) return message;
  const half = longestMessage / 2;
  return `${message.slice(0, half)} ... (${message.length - longestMessage} characters) ... ${message.slice(-half)}`;
}
