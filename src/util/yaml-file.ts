/** Text files in YAML, or in JSON, which is YAML: what they say, and in which line they say it. */
import { isUtf8 } from 'node:buffer';
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document, visit } from 'yaml';
import { ConfigurationError } from './errors.ts';
import { readRegularFile } from './regular-file.ts';
import type { Path } from './schema.ts';

export interface YamlFile {
  readonly value: unknown;
  /** Whether something is at a path. */
  has(at: Path): boolean;
  /** `run.yaml:7`: where the key at a path is, or else what is nearest above it. */
  where(at: Path): string;
}

/**
 * Reads a text that a person names.
 *
 * @param what the file should be, for errors: `a study file`
 * @param help what else to say of such files: `docs/studies.md`
 * @throws AblateError if it cannot be read or is larger; ConfigurationError if it is no text
 */
export function readText(path: string, maximumBytes: number, what: string, help: string): string {
  const bytes = readRegularFile(path, maximumBytes);
  if (!isUtf8(bytes)) {
    throw new ConfigurationError(`${path} is not text in UTF-8`, { fix: `give ${what}, saved as UTF-8 (${help})` });
  }
  return bytes.toString('utf8');
}

/**
 * @param path what the text is called in errors
 * @param what the text should be, for errors: `a study file`
 * @throws ConfigurationError naming each wrong line
 */
export function parseYaml(text: string, path: string, what: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems = problemsOf(document, lines, what).map((problem) => `${path}:${problem.line}: ${problem.what}`);
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
  return {
    value: valueOf(document, path),
    has: (at) => nodeAt(document, at) !== undefined,
    where: (at) => `${path}:${lineOf(document, lines, at)}`,
  };
}

interface Problem {
  readonly line: number;
  readonly what: string;
}

/** What is wrong with a file as YAML, whatever its keys mean: each message once, where it is said first. */
function problemsOf(document: Document.Parsed, lines: LineCounter, kind: string): readonly Problem[] {
  const said = [...document.errors, ...document.warnings];
  const found: Problem[] = said.map(({ code, message, linePos }) => ({
    line: linePos?.[0].line ?? 1,
    // The parser's own words are for those who call it.
    what: code === 'MULTIPLE_DOCS' ? `a second document begins here: ${kind} has one` : firstLine(message),
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
