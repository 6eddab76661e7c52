/**
 * Errors whose message is meant for the user. The command line prints the message (and the fix, as its last line) without a
 * stack trace and exits with `exitCode`; anything else that is thrown is a defect and keeps its trace.
 */
export class AblateError extends Error {
  /** Process exit code: 1 for a failure, 2 for wrong usage or configuration. */
  readonly exitCode: number = 1;
  /** What the user can do about it: a command, a flag, an allowed value. */
  readonly fix: string | undefined;

  constructor(message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.fix = options.fix;
  }
}

/** Wrong usage or configuration: unknown name, value out of range, impossible combination. */
export class ConfigurationError extends AblateError {
  override readonly exitCode = 2;
}

/** A data set, checkpoint or other file that is missing, truncated, corrupt or of another kind. */
export class DataError extends AblateError {}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
