/** Reads and checks a study file. Every error names the line it is about, and what is allowed there. */
import { readFileSync } from 'node:fs';
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document, visit } from 'yaml';
import type * as z from 'zod';
import { ConfigurationError } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { didYouMean } from '../util/suggest.ts';
import { knownKeysAt, valueAt } from './schema-keys.ts';
import { studySchema, type StudySource } from './study-schema.ts';

type Path = readonly PropertyKey[];

/** A study file as written, and where in it everything is. */
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
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError('read', path, error);
  }
  return parseStudyFile(text, path, dataset);
}

/**
 * @param path what the text is called in errors
 * @param dataset used instead of the one that the text names
 */
export function parseStudyFile(text: string, path: string, dataset?: string): StudyFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems = document.errors.map((error) => `${path}:${error.linePos?.[0].line ?? 1}: ${firstLine(error.message)}`);
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      problems.push(
        `${path}:${lines.linePos(alias.range?.[0] ?? 0).line}: there is no anchor "&${alias.source}" before this alias`,
      );
    },
  });
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
  const value: unknown = document.toJS();
  const where = (at: Path) => `${path}:${lineOf(document, lines, at)}`;
  const { success, data, error } = studySchema.safeParse(value, { reportInput: true });
  if (!success) throw new ConfigurationError(error.issues.flatMap((issue) => describeIssue(issue, value, where)).join('\n'));
  return {
    path,
    text,
    source: dataset === undefined ? data : { ...data, dataset },
    error: (at, message, fix) => new ConfigurationError(`${where(at)}: ${message}`, fix === undefined ? {} : { fix }),
  };
}

/** `factors[1].levels`: how a place in the file is called. */
export function describePath(at: Path): string {
  return at.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`)).join('');
}

function describeIssue(issue: z.core.$ZodIssue, value: unknown, where: (at: Path) => string): string[] {
  const at = issue.path;
  if (issue.code === 'unrecognized_keys') {
    const inside = at.length === 0 ? '' : ` in ${describePath(at)}`;
    const known = knownKeysAt(studySchema, at);
    return issue.keys.map(
      (key) => `${where([...at, key])}: there is no key "${key}"${inside}.${didYouMean(key, known)} Allowed: ${known.join(', ')}`,
    );
  }
  if (at.length === 0)
    return [`${where(at)}: a study must be keys with their values: ${knownKeysAt(studySchema, []).join(', ')}`];
  const found = valueAt(value, at);
  const shown = found === undefined ? 'missing' : typeof found === 'string' ? found : JSON.stringify(found);
  return [`${where(at)}: ${describePath(at)} (=${shown}) must be ${issue.message}`];
}

/** The line of the node at a path: of its key in a map; of the nearest node above it that exists. Counted from 1. */
function lineOf(document: Document, lines: LineCounter, at: Path): number {
  for (let length = at.length; length > 0; length--) {
    const offset = offsetOf(document, at.slice(0, length));
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

function offsetOf(document: Document, at: Path): number | undefined {
  const parent: unknown = at.length === 1 ? document.contents : document.getIn(at.slice(0, -1), true);
  const key = at.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
    return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
  }
  const node: unknown = document.getIn(at, true);
  return isNode(node) ? node.range?.[0] : undefined;
}

/** The parser's message goes on with a picture of the place. */
function firstLine(message: string): string {
  return message.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '');
}
