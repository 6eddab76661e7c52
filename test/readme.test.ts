/** Every `ablate` command in the README is one that works: the quick ones run, of the long ones the command line is checked. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawFigure, figurePaths, withModelsTable } from '../bench/records/first-screen.ts';
import { reproductionPath, withResultsTable } from '../bench/records/results-table.ts';
import { findCifar10 } from '../src/data/cifar10.ts';
import { runCli } from './run-cli.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const shellLines = [...readme.matchAll(/^```sh\n(.*?)^```/gms)].flatMap((block) => block[1]!.trim().split('\n'));
const withoutComment = (line: string) => line.replace(/\s+#.*$/, '');
const commands = shellLines.map(withoutComment).filter((line) => line.startsWith('npx ablate '));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-readme-'));
  for (const name of ['studies', 'trained_models']) {
    cpSync(new URL(`../${name}`, import.meta.url), join(folder, name), { recursive: true });
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Expected {
  readonly code: number;
  readonly stderr: RegExp;
  /** Put behind the command. */
  readonly more?: readonly string[];
}

const hasCifar10 = findCifar10() !== undefined;

/** What a command must do in a folder without runs. */
function expectedOf(command: string): Expected {
  if (command.includes(' study ')) return { code: 0, stderr: /^$/, more: ['--dry-run'] };
  if (/ (label|demo|bench infer) /.test(command)) return { code: 1, stderr: /^error: .*(tuto\.onnx|photo\.jpg)/ };
  // It would listen until it is stopped.
  if (command.endsWith(' ui')) return { code: 2, stderr: /--port/, more: ['--port', 'none'] };
  if (/ (eval|export) trained_models\//.test(command)) {
    if (!hasCifar10) return { code: 1, stderr: /^error: \$ABLATE_DATA_DIR \(=nowhere\) does not exist/ };
    // The integers of all test images take minutes.
    if (command.includes(' export ')) return { code: 0, stderr: /^(image .*calibrating.*\n)+$/, more: ['--no-evaluate'] };
    return { code: 0, stderr: /^$/ };
  }
  // There is no run yet: that this is all there is to complain about shows that the options are right.
  if (/ train --resume | eval | runs show | freeze | prune | quantize | compress | export /.test(command))
    return { code: 1, stderr: /^error: there is no run "/ };
  if (command.includes(' train '))
    return { code: 2, stderr: /^error: steps \(=0\) must be an integer from 1 to 999999999$/m, more: ['--steps', '0'] };
  if (command.includes(' data ') && !hasCifar10)
    return { code: 1, stderr: /^error: \$ABLATE_DATA_DIR \(=nowhere\) does not exist/ };
  return { code: 0, stderr: /^(wrote .*\n)?$/ };
}

test('the README shows commands, and the scripts of package.json that it names', () => {
  expect(commands.length).toBeGreaterThan(10);
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { scripts: object };
  for (const line of shellLines.map(withoutComment)) {
    const script = /^npm (?:run )?(\S+)/.exec(line)?.[1];
    if (script !== undefined) expect(Object.keys(scripts)).toContain(script);
  }
});

describe('commands of the README', () => {
  test.each(commands)('%s', async (command) => {
    const { code, stderr, more = [] } = expectedOf(command);
    const args = command.split(/\s+/).slice(2);
    // Without a copy of CIFAR-10 nothing is to be downloaded here.
    const elsewhere = hasCifar10 ? {} : { environment: { ABLATE_DATA_DIR: 'nowhere' } };
    const result = await runCli([...args, ...more], { cwd: folder, ...elsewhere });
    expect(result.stderr).toMatch(stderr);
    expect(result.code).toBe(code);
  });
});

test('the files that the README links to exist', () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((link) => link[1]!);
  expect(links).toContain('LICENSE');
  for (const link of links) expect(existsSync(new URL(`../${link}`, import.meta.url)), link).toBe(true);
});

test('the tables and the figure are what the records say: npm run results', async () => {
  expect(await withModelsTable(readme)).toBe(readme);
  const reproduction = readFileSync(reproductionPath, 'utf8');
  expect(await withResultsTable(reproduction)).toBe(reproduction);
  const { light, dark } = await drawFigure();
  expect(readFileSync(figurePaths.light, 'utf8')).toBe(light);
  expect(readFileSync(figurePaths.dark, 'utf8')).toBe(dark);
  expect(dark).not.toBe(light);
});
