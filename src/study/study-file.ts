/** Reads and checks a study file. Every error names the line it is about, and what is allowed there. */
import { isUtf8 } from 'node:buffer';
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document, visit } from 'yaml';
import { ConfigurationError } from '../util/errors.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { check, type Path } from '../util/schema.ts';
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
  const bytes = readRegularFile(path, largestStudyFile);
  if (!isUtf8(bytes)) {
    throw new ConfigurationError(`${path} is not text in UTF-8`, { fix: 'give a study file, saved as UTF-8 (docs/studies.md)' });
  }
  return parseStudyFile(bytes.toString('utf8'), path, dataset);
}

/**
 * @param path what the text is called in errors
 * @param dataset used instead of the one that the text names
 */
export function parseStudyFile(text: string, path: string, dataset?: string): StudyFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems = problemsOf(document, lines).map(({ line, what }) => `${path}:${line}: ${what}`);
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
  const value = valueOf(document, path);
  const where = (at: Path) => `${path}:${lineOf(document, lines, at)}`;
  const source = check(
    studySchema,
    value,
    (problems) => new ConfigurationError(problems.map(({ path: at, message }) => `${where(at)}: ${message}`).join('\n')),
  );
  return {
    path,
    text,
    source: dataset === undefined ? source : { ...source, dataset },
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

interface Problem {
  readonly line: number;
  readonly what: string;
}

/** What is wrong with a file as YAML, whatever its keys mean: each message once, where it is said first. */
function problemsOf(document: Document.Parsed, lines: LineCounter): readonly Problem[] {
  const said = [...document.errors, ...document.warnings];
  const found: Problem[] = said.map(({ code, message, linePos }) => ({
    line: linePos?.[0].line ?? 1,
    // The parser's own words are for those who call it.
    what: code === 'MULTIPLE_DOCS' ? 'a second document begins here: a study file has one' : firstLine(message),
  }));
  // What is said beside it comes of the parser's giving up.
  const tooDeep = said.findIndex(({ code }) => code === 'RESOURCE_EXHAUSTION');
  if (tooDeep >= 0) return [{ line: found[tooDeep]!.line, what: 'lists and groups are nested too deeply' }];
  if (document.errors.length === 0) {
    const add = (node: unknown, what: string) => found.push({ line: lineOfNode(node, lines) ?? 1, what });
    visit(document, {
      Alias(_, alias, path) {
        const target = alias.resolve(document);
        if (target === undefined) add(alias, `there is no anchor "&${alias.source}" before this alias`);
        else if (path.includes(target)) add(alias, `the alias "*${alias.source}" stands for something that it is a part of`);
      },
      Pair(_, { key }) {
        if (!isScalar(key)) add(key, 'a key must be a word');
        else if (key.value === '__proto__') add(key, 'there is no key "__proto__"');
      },
    });
  }
  return found.filter(({ what }, i) => found.findIndex((other) => other.what === what) === i);
}

/** Aliases that stand for aliases, and so on, may ask for more than any memory holds: the parser refuses to follow them. */
function valueOf(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new ConfigurationError(`${path}:1: the aliases stand for far more than the file itself holds`, {
      fix: 'write out what the aliases stand for',
      cause: error,
    });
  }
}

/** The line of the node at a path: of its key in a map; of the nearest node above it that exists. Counted from 1. */
function lineOf(document: Document, lines: LineCounter, at: Path): number {
  for (let length = at.length; length > 0; length--) {
    const line = lineOfNode(nodeAt(document, at.slice(0, length)), lines);
    if (line !== undefined) return line;
  }
  return 1;
}

function nodeAt(document: Document, at: Path): unknown {
  const parent: unknown = at.length === 1 ? document.contents : document.getIn(at.slice(0, -1), true);
  if (!isMap(parent)) return document.getIn(at, true);
  return parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(at.at(-1)))?.key;
}

function lineOfNode(node: unknown, lines: LineCounter): number | undefined {
  const offset = isNode(node) ? node.range?.[0] : undefined;
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

/** The parser's message goes on with a picture of the place. */
function firstLine(message: string): string {
  return message.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '');
}
