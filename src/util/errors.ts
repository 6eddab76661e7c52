interface Explanation {
  readonly fix?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Errors whose message is meant for the user. The command line prints the message (and the fix, as its last line) without a
 * stack trace and exits with `exitCode`; anything else that is thrown is a defect and keeps its trace.
 */
export class AblateError extends Error {
  /** Process exit code: 1 for a failure, 2 for wrong usage or configuration. */
  readonly exitCode: number = 1;
  /** What the user can do about it: a command, a flag, an allowed value. */
  readonly fix: string | undefined;

  constructor(message: string, options: Explanation = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.fix = options.fix;
  }
}

/** Wrong usage or configuration: unknown name, value out of range, impossible combination. */
export class ConfigurationError extends AblateError {
  override readonly exitCode = 2;
  /** The key that is wrong, as a whole configuration names it: `schedule.warmup`, `modelSettings.lrn`. Undefined if it is about no key. */
  readonly key: string | undefined;
  /** Other keys that are also wrong, or that it contradicts: to change one of these may help as well. */
  readonly otherKeys: readonly string[];

  constructor(message: string, options: Explanation & { key?: string | undefined; otherKeys?: readonly string[] } = {}) {
    super(message, options);
    this.key = options.key;
    this.otherKeys = options.otherKeys ?? [];
  }
}

/** A data set, checkpoint or other file that is missing, truncated, corrupt or of another kind. */
export class DataError extends AblateError {}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
