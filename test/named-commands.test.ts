/** Every command that documents, help texts and errors name is one that runs: it is parsed as the program parses it. */
import type { Command } from 'commander';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Assignments } from '../src/cli/options.ts';
import { modelNames } from '../src/models/registry.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { resolveConfig } from '../src/train/config.ts';
import { parsed, wholeProgram } from './parse-command.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const below = (folder: string, end: RegExp) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => end.test(file))
    .map((file) => join(folder, file));

const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below('docs', /^[^/]*\.md$/)];
const program = wholeProgram();

interface NamedCommand {
  readonly line: string;
  /** Whether it is meant to be run as it is; in a sentence a command may lack its arguments. */
  readonly complete: boolean;
}

/** Command lines of a document: in blocks of shell, and in `code` within sentences. */
function commandLines(page: string): NamedCommand[] {
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```/gms)]
    .filter(([, language = '']) => ['', 'sh'].includes(language))
    .flatMap(([, , text = '']) => text.replaceAll('\\\n', ' ').split('\n'));
  const inSentences = [...page.replaceAll(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map((code) => code[1]!);
  const commandIn = (text: string) => /(?:^|\s)(?:npx )?(ablate [a-z-].*)$/.exec(text.replace(/\s+#.*$/, ''))?.[1];
  return [
    ...blocks.map((text) => ({ line: commandIn(text), complete: true })),
    ...inSentences.map((text) => ({ line: commandIn(text), complete: false })),
  ].flatMap(({ line, complete }) => (line === undefined ? [] : [{ line, complete }]));
}

/** The words of a command line, as a shell divides them; what is to be filled in (`<run>`, `[model]`, `...`) stays a word, or goes. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, plain]) => double ?? single ?? plain!);
  const end = words.findIndex((word) => ['&', '&&', '|', '>', '2>'].includes(word));
  return (end < 0 ? words : words.slice(0, end)).slice(1).filter((word) => word !== '...');
}

describe('documents', () => {
  const named = documents.flatMap((file) => commandLines(read(file)).map((command) => [file, command.line, command] as const));

  test('name commands', () => {
    expect(named.length).toBeGreaterThan(80);
  });

  test.each(named)('%s: %s', (_, line, { complete }) => {
    const words = wordsOf(line);
    expect(problemOf(words)).toBeUndefined();
    if (!complete) return;
    const command = parsed(words);
    // Keys and settings that are changed exist, and may have these values.
    const [model] = command.args;
    const { set = {}, recipe } = command.opts<{ readonly set?: Assignments; readonly recipe?: string }>();
    if (model !== undefined && modelNames().includes(model)) {
      const given: ConfigOverrides = { model, ...(recipe !== undefined && { recipe }) };
      expect(() => resolveConfig({ ...given, ...set })).not.toThrow();
    }
  });
});

describe('help texts', () => {
  const leaves = (command: Command): Command[] => (command.commands.length === 0 ? [command] : command.commands.flatMap(leaves));

  test.each(leaves(program).map((command) => [command.name(), command] as const))('%s', (_, command) => {
    const help = program.createHelp();
    const texts = [
      help.commandDescription(command),
      ...command.registeredArguments.map((argument) => help.argumentDescription(argument)),
      ...command.options.map((option) => help.optionDescription(option)),
    ];
    expect(texts.length).toBeGreaterThan(1);
    for (const words of texts.flatMap(mentions)) expect([words, problemOf(words)]).toEqual([words, undefined]);
  });
});

describe('errors and notes', () => {
  const sources = below('src', /(?<!\.test)\.ts$/);
  const found = sources.flatMap((file) => mentions(withoutComments(read(file))).map((words) => [file, words.join(' ')] as const));

  test('name commands', () => {
    expect(found.length).toBeGreaterThan(25);
  });

  test.each(found)('%s: ablate %s', (_, words) => {
    expect(problemOf(words.split(' '))).toBeUndefined();
  });
});

/** Values put into a text count as one word. */
function withoutComments(source: string): string {
  return source.replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, '').replaceAll(/\$\{[^}]*\}/g, 'x');
}

/** What follows `ablate` where that is a command in a text, up to the end of the clause. */
function mentions(text: string): string[][] {
  const names = program.commands.map((command) => command.name()).join('|');
  const mention = new RegExp(String.raw`(?<![\w./-])ablate ((?:${names})\b[^\n;,()'"\`]*)`, 'g');
  return [...text.matchAll(mention)].map((match) => match[1]!.trim().split(/\s+/));
}

/** What is wrong with a command line of which only the command and its options count; undefined if nothing is. */
function problemOf(words: readonly string[], command: Command = program): string | undefined {
  const [first, ...rest] = words;
  if (first === 'help') return undefined;
  const next = command.commands.find((each) => each.name() === first);
  if (next !== undefined) return problemOf(rest, next);
  if (command.commands.length > 0 && first !== undefined && !first.startsWith('-')) return `${command.name()} ${first}`;
  const known = ['--help', '--version', '-h', ...command.options.flatMap(({ long, short }) => [long ?? '', short ?? ''])];
  const options = words.map((word) => word.replace(/[.:=].*$/, '')).filter((word) => /^--?[a-z]/.test(word));
  const unknown = options.find((option) => !known.includes(option));
  return unknown === undefined ? undefined : `${command.name()} ${unknown}`;
}
