import { AblateError } from '../util/errors.ts';
import { note, styles } from './output.ts';

/** The user stopped a command (Ctrl-C) and it ended in order; the message says what was saved. */
export class Interruption extends AblateError {
  override readonly exitCode = 130;
}

/**
 * Prints an error on stderr and returns the exit code for it. An error meant for the user is its message with the fix as last line;
 * anything else is a defect of ablate and keeps its stack trace.
 */
export function reportError(error: unknown): number {
  const { red, bold } = styles(process.stderr);
  if (!(error instanceof AblateError)) {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    note(`${bold(red('unexpected error:'))} ${trace}`);
    return 1;
  }
  note(error instanceof Interruption ? `interrupted: ${error.message}` : `${bold(red('error:'))} ${error.message}`);
  if (error.fix !== undefined) note(error.fix);
  return error.exitCode;
}
