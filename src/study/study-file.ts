/** Reads and checks a study file. Every error names the line it is about, and what is allowed there. */
import { dirname } from 'node:path';
import { ConfigurationError } from '../util/errors.ts';
import { datasetBeside } from '../util/file-names.ts';
import { check, type Path } from '../util/schema.ts';
import { parseYaml, readText } from '../util/yaml-file.ts';
import { studySchema, type StudyDefinition, type StudySource } from './study-schema.ts';

/** In bytes: far above what the largest study needs. */
const largestStudyFile = 10e6;

/** A study as written, in a file or in code, and where in it everything is. */
export interface StudyFile {
  readonly path: string;
  readonly text: string;
  readonly source: StudySource;
  /** An error about the node at `at`, with its line: `study.yaml:7: ...`. */
  error(at: Path, message: string, fix?: string): ConfigurationError;
}

/**
 * @param dataset used instead of the one that the file names
 * @throws AblateError if the file cannot be read; ConfigurationError naming each wrong line
 */
export function readStudyFile(path: string, dataset?: string): StudyFile {
  return parseStudyFile(readText(path, largestStudyFile, 'a study file', 'docs/studies.md'), path, dataset);
}

/**
 * @param path what the text is called in errors
 * @param dataset used instead of the one that the text names
 */
export function parseStudyFile(text: string, path: string, dataset?: string): StudyFile {
  const { value, where } = parseYaml(text, path, 'a study file');
  const source = check(
    studySchema,
    value,
    (problems) => new ConfigurationError(problems.map(({ path: at, message }) => `${where(at)}: ${message}`).join('\n')),
  );
  return {
    path,
    text,
    source: { ...source, dataset: dataset ?? datasetBeside(dirname(path), source.dataset) },
    error: (at, message, fix) => new ConfigurationError(`${where(at)}: ${message}`, { fix }),
  };
}

/**
 * A study written in code in place of a file: the same keys, the same checks. Errors begin with the study's name, not with a line.
 *
 * @throws ConfigurationError naming each wrong key
 */
export function defineStudy(study: StudyDefinition): StudyFile {
  const { name } = Object(study) as Partial<StudyDefinition>;
  const path = `study ${typeof name === 'string' ? name : 'without a name'}`;
  const error = (_: Path, message: string, fix?: string) => new ConfigurationError(`${path}: ${message}`, { fix });
  const source = check(studySchema, study, (problems) => error([], problems.map(({ message }) => message).join('; ')));
  // JSON is YAML: the record of the study can be read, and run, as a file.
  return { path, text: `${JSON.stringify(study, undefined, 2)}\n`, source, error };
}
