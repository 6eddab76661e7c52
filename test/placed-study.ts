import { parseStudyFile, type StudyFile } from '../src/study/study-file.ts';
import { ConfigurationError } from '../src/util/errors.ts';
import type { Path } from '../src/util/schema.ts';

/** A study whose errors have the place that they are about, where those of a file begin with its line. */
export function placedStudy(text: string): StudyFile {
  const error = (at: Path, message: string, fix?: string) => Object.assign(new ConfigurationError(message, { fix }), { at });
  return { ...parseStudyFile(text, 'study.yaml'), error };
}

/** All that is told of what is wrong in a study made by `placedStudy`, and where. Fails if nothing is. */
export function refusalOf(work: () => unknown): {
  readonly at: Path;
  readonly message: string;
  readonly fix: string | undefined;
} {
  try {
    work();
  } catch (error) {
    if (!(error instanceof ConfigurationError && 'at' in error)) throw error;
    return { at: error.at as Path, message: error.message, fix: error.fix };
  }
  throw new Error('nothing was thrown');
}
